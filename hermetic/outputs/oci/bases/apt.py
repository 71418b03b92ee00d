"""Debian packages by apt's own client: which ones a base needs, and the archives of those that are locked.

The machine's configuration says where from (sources, keys, proxies, credentials); all that apt writes goes into a
folder of ours, so that nothing of the machine changes and nobody needs to be root. Hooks of the machine's own
installations do not run. What apt takes is signed by the mirror; what is locked is checked by its digest besides.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hermetic.errors import HermeticError, MachineError, NetworkError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.model import DebianPackage
from hermetic.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHITECTURES = {"linux-64": "amd64", "linux-aarch64": "arm64", "linux-ppc64le": "ppc64el", "linux-s390x": "s390x"}

ROOTS = (
    "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "debianutils", "findutils", "grep",
    "gzip", "hostname", "libc-bin", "libc6", "libgcc-s1", "libstdc++6", "netbase", "sed", "tar", "tzdata", "zlib1g",
)  # fmt: skip
"""What the embedded base is made of, with what these need."""

_NOT_NEEDED = (
    "awk", "debconf", "debconf-2.0", "dpkg", "init-system-helpers", "libdebconfclient0", "openssl", "perl-base",
    "usr-is-merged", "usrmerge",
)  # fmt: skip
"""What only scripts of packages need, which never run: apt is told that it is there."""

_FILES = {
    "Dir::Etc::sourcelist": "f", "Dir::Etc::sourceparts": "d", "Dir::Etc::trusted": "f", "Dir::Etc::trustedparts": "d",
    "Dir::Etc::netrc": "f", "Dir::Etc::netrcparts": "d", "Dir::Etc::preferences": "f",
    "Dir::Etc::preferencesparts": "d", "Dir::Bin::methods": "d",
}  # fmt: skip
_KEPT = re.compile(r"(Acquire(::|\s)|APT::Default-Release\s)")
_LINE = re.compile(r"'[^']*/[^']*' (?P<file>\S+\.deb) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$")
_SHOWN = 6
_LOOK = 2.0  # seconds between looks at the disk
_LOOKS = 3
_FULL = 64 << 10  # bytes that are as good as none
REMEDY = (
    "use a base from a registry (`hermetic base list`) or scratch, or pin the base on a machine with Debian's apt "
    "and fetch its packages there"
)


class Apt:
    """apt for one architecture, with a folder of its own."""

    def __init__(self, folder: Path, architecture: str, environ: Mapping[str, str] | None = None) -> None:
        """Prepare the folder. Raises MachineError where there is no apt."""
        self._folder = folder
        self._environ = dict(os.environ if environ is None else environ)
        if not shutil.which("apt-get", path=self._environ.get("PATH")):
            raise MachineError(
                "the embedded base is made of Debian packages, and this machine has no apt", remedy=REMEDY
            )
        for name in ("lists/partial", "archives/partial", "log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text(
            "Package: hermetic-not-needed\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
            "Maintainer: nobody\nDescription: what only scripts of packages need\n"
            f"Provides: {', '.join(f'{name} (= 99:1)' for name in _NOT_NEEDED)}\n",
            encoding="ascii",
        )
        settings = "\n".join(self._settings(architecture))
        (folder / "apt.conf").write_text(settings + "\n", encoding="utf-8")
        self._environ |= {"APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}

    def update(self, reporter: Reporter = SILENT) -> None:
        """Bring the mirror's lists up to date. Raises NetworkError."""
        with task(reporter, "apt update", "reading Debian's package lists"):
            self._run("apt-get", "-q", "update", what="read Debian's package lists")

    def plan(self, roots: Sequence[str] = ROOTS) -> tuple[DebianPackage, ...]:
        """Give the newest packages that are needed for some, these included, sorted by name.

        Raises MachineError for packages that the machine's sources do not have.
        """
        listing = self._run("apt-get", "-q", "install", "--print-uris", "--yes", *roots, what="choose packages")
        found = [package for line in listing.splitlines() if (package := _package(line))]
        if missing := sorted(set(roots) - {package.name for package in found}):
            raise MachineError(
                f"apt does not say where {', '.join(missing)} would come from",
                remedy="see `apt-get install --print-uris` on this machine, or use another base",
            )
        return tuple(sorted(found))

    def download(self, packages: Sequence[DebianPackage], folder: Path, reporter: Reporter = SILENT) -> None:
        """Fetch archives into a folder, under apt's names for them.

        Raises NetworkError, also for a version that the mirror no longer has.
        """
        names = [f"{package.name}={package.version}" for package in packages]
        total = sum(package.size for package in packages)
        with task(reporter, "apt download", f"fetching {len(names)} Debian packages", total, "bytes"):
            self._run("apt-get", "-q", "download", *names, what="fetch Debian packages", folder=folder)
            reporter.advance("apt download", total)

    def _settings(self, architecture: str) -> list[str]:
        dump = self._run("apt-config", "dump", what="read apt's configuration")
        kept = [line for line in dump.splitlines() if _KEPT.match(line)]
        asked = [word for number, (key, kind) in enumerate(_FILES.items()) for word in (f"K{number}", f"{key}/{kind}")]
        shell = self._run("apt-config", "shell", *asked, what="read apt's configuration")
        places = dict(re.findall(r"^K(\d+)='(.*)'$", shell, re.MULTILINE))
        own = {key: places[str(number)] for number, key in enumerate(_FILES) if str(number) in places}
        folder = f"{self._folder}/"
        own |= {
            "Dir::Etc::parts": "/dev/null", "Dir::Etc::main": "/dev/null", "Dir::State": folder,
            "Dir::State::lists": f"{folder}lists/", "Dir::State::status": f"{folder}status", "Dir::Cache": folder,
            "Dir::Cache::archives": f"{folder}archives/", "Dir::Log": f"{folder}log/",
            "Acquire::ForceHash": "SHA256", "Acquire::Languages": "none",
            "APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Install-Recommends": "0",
            "APT::Install-Suggests": "0", "APT::Sandbox::User": "", "APT::Update::Error-Mode": "any",
        }  # fmt: skip
        return [*kept, *(f'{key} "{value}";' for key, value in own.items())]

    def _run(self, program: str, *arguments: str, what: str, folder: Path | None = None) -> str:
        from hermetic.store.faults import full_disk

        try:
            process = subprocess.Popen(
                [program, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=self._environ,
                cwd=folder or self._folder,
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError as error:
            raise MachineError(f"cannot run {program}: {error.strerror}", remedy=REMEDY) from None
        with _ended(process):
            said, complaint = self._attended(process, what)
        if process.returncode:
            if re.search(r"No space left on device|enough free space", complaint):
                raise full_disk(what, folder or self._folder)
            raise _failed(program, what, complaint)
        return said

    def _attended(self, process: subprocess.Popen[str], what: str) -> tuple[str, str]:
        """Give what a process says. One that waits while its disk is full waits for ever: then it is ended."""
        from hermetic.store.faults import free_bytes, full_disk

        full = 0
        while True:
            try:
                return process.communicate(timeout=_LOOK)
            except subprocess.TimeoutExpired:
                full = full + 1 if free_bytes(self._folder) < _FULL else 0
                if full == _LOOKS:
                    raise full_disk(what, self._folder) from None


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a process with all that it started, if the block ends without it."""
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise


def _package(line: str) -> DebianPackage | None:
    """Read a line of ``--print-uris``: the address, the file's name with an escaped version, size and digest."""
    match = _LINE.match(line.strip())
    parts = match["file"].removesuffix(".deb").split("_") if match else []
    if not match or len(parts) != 3:
        return None
    name, version, architecture = parts
    return DebianPackage(name, unquote(version), architecture, int(match["size"]), match["sha256"])


def _failed(program: str, what: str, output: str) -> HermeticError:
    lines = [redact(line.removeprefix("E: ")) for line in output.splitlines() if line.startswith("E: ")]
    reasons = lines or [redact(line) for line in output.splitlines() if line.strip()] or ["it does not say why"]
    reason = "; ".join(reasons[:_SHOWN])
    if gone := [line for line in lines if re.match(r"Version '.*' for '.*' was not found", line)]:
        return NetworkError(
            f"the mirror no longer has what the lock says: {'; '.join(gone[:_SHOWN])}",
            remedy="pin the base anew with `hermetic base update`, or add an archive of old versions to apt's sources",
        )
    if any("Could not get lock" in line for line in lines):
        return MachineError(
            f"{program} cannot {what}: {reason}",
            remedy="an apt that an earlier run left behind still works: wait until it ends, and run the command again",
        )
    if any(line.startswith(("Unable to locate package", "Package '", "Unable to correct problems")) for line in lines):
        return MachineError(
            f"{program} cannot {what}: {reason}",
            remedy="the embedded base needs Debian's or Ubuntu's main archive among apt's sources; "
            "else use a base from a registry",
        )
    return NetworkError(
        f"{program} cannot {what}: {reason}",
        remedy="try `apt-get update` on this machine: its sources may need mending",
    )
