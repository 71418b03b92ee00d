"""Commands run in a sandbox: no network, no host but its system folders, only the given folders writable.

What a command sees is the same on every machine but for the system folders (``/usr`` and the like, read-only, for
compilers and shells): a root of its own, its own processes, network (a loopback of its own, nothing beyond), host name
and IPC, an empty home and ``/tmp``, one user, fixed locale, time zone, hash seed and umask, no variable of the host.

Linux only. bubblewrap makes the sandbox where it is installed and works, else namespaces directly
(``hermetic.realize.namespaces``); both are held to one contract by the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

from hermetic.errors import BuildError, MachineError
from hermetic.plan.files import MTIME

HOME = "/home/build"
"""The home inside of every sandbox: private, empty, gone afterwards."""

ENVIRONMENT: Mapping[str, str] = {
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "LOGNAME": "build",
    "PATH": "/usr/bin:/bin",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": str(MTIME),
    "TMPDIR": "/tmp",  # noqa: S108  private to the sandbox
    "TZ": "UTC",
    "USER": "build",
}
"""What every command finds in its environment; ``environment`` adds to it and may override it."""

HOST_NAME, USER = "build", 1000
_TAIL = 16 << 10
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/ld.so.cache",
           "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/nix/store", "/gnu/store")  # fmt: skip
_FILES = (
    ("/etc/passwd", f"root:x:0:0::/:/bin/sh\nbuild:x:{USER}:{USER}::{HOME}:/bin/sh\n"),
    ("/etc/group", f"root:x:0:\nbuild:x:{USER}:\n"),
    ("/etc/hosts", "127.0.0.1 localhost build\n::1 localhost\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
)
_SCRATCH = ("/tmp", HOME)  # noqa: S108  inside of the sandbox
_FOR_STARTING = ("LD_LIBRARY_PATH",)  # some interpreters need it; the sandbox gets nothing of it
_GRACE = 10.0


@dataclass(frozen=True)
class Completed:
    """How a sandboxed command ended: its exit status (128 + N: by signal N), and the end of what it said."""

    status: int
    tail: str


@dataclass(frozen=True)
class Layout:
    """What a sandbox is made of, whoever makes it. ``mounts``: (path on the host, path inside, writable)."""

    command: tuple[str, ...]
    mounts: tuple[tuple[str, str, bool], ...]
    environment: Mapping[str, str]
    cwd: str
    links: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = _FILES
    scratch: tuple[str, ...] = _SCRATCH


@dataclass(frozen=True)
class Start:
    """How to start a sandbox: the command that makes it, what that reads, and descriptors that it inherits."""

    command: Sequence[str]
    stdin: bytes = b""
    inherited: tuple[int, ...] = field(default=())


class Backend(Protocol):
    """What makes sandboxes. It tells of them in JSON lines: its first process (``init``, ``child-pid``), ``error``."""

    name: str

    def start(self, layout: Layout, report: int) -> contextlib.AbstractContextManager[Start]:
        """Prepare a sandbox that reports to a descriptor."""

    def outcome(self, said: Mapping[str, Any], ended: int, output: IO[bytes]) -> int:
        """Give the command's exit status from the report and the status of what made the sandbox.

        Raises MachineError if the command was never run.
        """


class Namespaces:
    """Linux namespaces, made by a script of our own with the running interpreter."""

    def __init__(self, *, user_namespace: bool = True) -> None:
        self.user_namespace = user_namespace
        self.name = "namespaces" if user_namespace else "namespaces without a user namespace"

    @contextlib.contextmanager
    def start(self, layout: Layout, report: int) -> Iterator[Start]:
        """Prepare a sandbox that reports to a descriptor."""
        wanted = {
            "command": layout.command,
            "mounts": layout.mounts,
            "links": layout.links,
            "files": layout.files,
            "scratch": layout.scratch,
            "environment": dict(layout.environment),
            "cwd": layout.cwd,
            "host": HOST_NAME,
            "uid": USER,
            "user_namespace": self.user_namespace,
            "report": report,
            "parent": os.getpid(),
        }
        script = Path(__file__).with_name("namespaces.py")
        yield Start((sys.executable, "-I", "-S", "-B", str(script)), json.dumps(wanted).encode(), (report,))

    def outcome(self, said: Mapping[str, Any], ended: int, output: IO[bytes]) -> int:
        """Give the command's exit status. Raises MachineError if the command was never run."""
        if "error" in said or "ready" not in said or ended < 0:
            raise MachineError(f"{self.name}: {said.get('error') or _tail(output).strip() or _ended(ended)}")
        return ended


class Bubblewrap:
    """The ``bwrap`` program: good where the kernel lets only it, not everybody, make namespaces."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.name = "bubblewrap"

    @contextlib.contextmanager
    def start(self, layout: Layout, report: int) -> Iterator[Start]:
        """Prepare a sandbox that reports to a descriptor."""
        arguments = ["--unshare-all", "--unshare-user", "--uid", str(USER), "--gid", str(USER), "--hostname", HOST_NAME,
                     "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--json-status-fd", str(report),
                     "--proc", "/proc", "--dev", "/dev",
                     "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # fmt: skip  # noqa: S108
        with contextlib.ExitStack() as opened:
            for target, points_to in layout.links:
                arguments += ["--symlink", points_to, target]
            inherited = [report]
            arguments += ["--perms", "0755", "--dir", "/etc"]
            for target, text in layout.files:
                data = opened.enter_context(tempfile.TemporaryFile())
                data.write(text.encode())
                data.seek(0)
                inherited.append(data.fileno())
                arguments += ["--perms", "0644", "--ro-bind-data", str(data.fileno()), target]
            for target in layout.scratch:
                arguments += ["--perms", "0755", "--tmpfs", target]
            for source, target, writable in layout.mounts:
                arguments += ["--bind" if writable else "--ro-bind", source, target]
            arguments += ["--remount-ro", "/", "--chdir", layout.cwd, "--clearenv"]
            for name, value in layout.environment.items():
                arguments += ["--setenv", name, value]
            given = opened.enter_context(tempfile.TemporaryFile())
            given.write(b"".join(os.fsencode(argument) + b"\0" for argument in arguments))
            given.seek(0)
            yield Start(
                (self.program, "--args", str(given.fileno()), "--", *layout.command),
                inherited=(*inherited, given.fileno()),
            )

    def outcome(self, said: Mapping[str, Any], ended: int, output: IO[bytes]) -> int:
        """Give the command's exit status. Raises MachineError if the command was never run."""
        if "exit-code" in said:
            return int(said["exit-code"])
        last = _tail(output).strip()
        if "execvp" in last:
            return 127 if "No such file" in last else 126
        raise MachineError(f"{self.name}: {last or _ended(ended)}")


def run_sandboxed(
    command: Sequence[str],
    *,
    writable: Mapping[str, Path],
    readable: Mapping[str, Path] | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: str = HOME,
    timeout: float | None = None,
    log: Path | None = None,
    backend: Backend | None = None,
) -> Completed:
    """Run a command in a sandbox and wait for its end.

    ``writable`` and ``readable`` map absolute paths inside of the sandbox to the folders (or files) of the host that
    stand there; nothing else of the host can be written, and of its data nothing else be read. ``environment`` is
    added to ``ENVIRONMENT``. ``timeout`` is in seconds. ``log`` takes all that the command says; the end of it is in
    the answer. ``backend`` is chosen by what works on this machine.

    A command that fails is no exception. Raises BuildError when the time is over (all of its processes are ended),
    MachineError if no sandbox can be made. An interrupt or the end of this process ends the sandbox with it.
    """
    chosen = backend or usable_backend()
    layout = _layout(command, writable, readable or {}, environment or {}, cwd)
    with log.open("w+b") if log else tempfile.TemporaryFile() as output:
        status = _run(chosen, layout, output, timeout)
        tail = _tail(output)
    if status is None:
        raise BuildError(
            f"{command[0]} did not end within {timeout:g} seconds\n{tail}".rstrip(),
            remedy=f"see the log: {log}" if log else None,
        )
    return Completed(status, tail)


@cache
def usable_backend() -> Backend:
    """Give what makes sandboxes on this machine; it is tried once. Raises MachineError if nothing does."""
    if sys.platform != "linux":
        raise MachineError(
            "a sandbox needs Linux namespaces, and this machine is no Linux",
            remedy="build on Linux, or do without packages that must be built or that run link scripts",
        )
    reasons = []
    for candidate in backends():
        try:
            done = run_sandboxed(("true",), writable={}, backend=candidate, timeout=60)
        except (MachineError, BuildError) as error:
            reasons.append(error.message)
            continue
        if done.status == 0:
            return candidate
        reasons.append(f"{candidate.name}: {done.tail.strip() or done.status}")
    raise MachineError(
        "this machine makes no sandbox: " + "; ".join(reasons),
        remedy="install bubblewrap, or allow user namespaces (sysctl user.max_user_namespaces, "
        "kernel.apparmor_restrict_unprivileged_userns), or give the container the right to make them",
    )


def backends() -> tuple[Backend, ...]:
    """Give the backends that this machine may have, the preferred one first."""
    from shutil import which

    found: list[Backend] = []
    if program := which("bwrap"):
        found.append(Bubblewrap(program))
    found.append(Namespaces())
    if os.geteuid() == 0:
        found.append(Namespaces(user_namespace=False))
    return tuple(found)


def _layout(
    command: Sequence[str],
    writable: Mapping[str, Path],
    readable: Mapping[str, Path],
    environment: Mapping[str, str],
    cwd: str,
) -> Layout:
    given = [(str(path), inside, True) for inside, path in writable.items()]
    given += [(str(path), inside, False) for inside, path in readable.items()]
    for source, inside, _ in given:
        if not inside.startswith("/") or os.path.normpath(inside) != inside or inside == "/":
            raise ValueError(f"{inside!r} is no place in a sandbox")
        if not Path(source).exists():
            raise MachineError(f"{source} is not there, and a sandbox needs it")
    system, links = [], []
    for path in map(Path, _SYSTEM):
        if path.is_symlink() and path.parent == Path("/"):  # /lib -> usr/lib
            links.append((str(path), str(path.readlink())))
        elif path.exists():
            system.append((str(path), str(path), False))
    for _, inside, _ in given:
        above = next((target for _, target, _ in system if inside.startswith(f"{target}/")), None)
        if above and not Path(inside).exists():
            raise MachineError(
                f"a sandbox cannot show a folder as {inside}: {above} is the system's and stands there read-only",
                remedy=f"use a folder that is not below {above}",
            )
    given.sort(key=lambda mount: mount[1])  # a folder before what stands in it
    return Layout(tuple(command), (*system, *given), {**ENVIRONMENT, **environment}, cwd, tuple(links))


def _run(backend: Backend, layout: Layout, output: IO[bytes], timeout: float | None) -> int | None:
    """Run a sandbox to its end; None if the time was over. Raises MachineError if it could not be made."""
    reader, writer = os.pipe()
    with open(reader, "rb") as report, contextlib.ExitStack() as held:  # noqa: PTH123  a descriptor
        held.callback(os.close, writer)
        start = held.enter_context(backend.start(layout, writer))
        try:
            process = subprocess.Popen(
                start.command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, cwd="/", umask=0o022,
                pass_fds=start.inherited, env={name: os.environ[name] for name in _FOR_STARTING if name in os.environ},
            )  # fmt: skip
        except OSError as error:
            raise MachineError(f"{backend.name}: cannot start {start.command[0]}: {error.strerror}") from None
        held.close()  # the report ends when the sandbox does
        try:
            with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
                process.communicate(start.stdin, timeout)
        finally:
            ended = process.poll()
            _end(process, report)
        if ended is None:
            return None
        if ended == -signal.SIGINT:  # the terminal's ctrl-C reaches the sandbox too
            raise KeyboardInterrupt
        said = _documents(report.read())
    return backend.outcome(said, ended, output)


def _ended(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _end(process: subprocess.Popen[bytes], report: IO[bytes]) -> None:
    """End a sandbox that still runs: its first process is killed, and with it goes all that it holds."""
    if process.poll() is not None:
        return
    os.set_blocking(report.fileno(), False)
    said = _documents(report.read() or b"")
    init = said.get("init", said.get("child-pid"))
    if init is not None:
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(init)
            try:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], _GRACE)  # readable once all of its processes are gone
            finally:
                os.close(handle)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    process.kill()
    process.wait()


def _documents(report: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in report.splitlines():
        with contextlib.suppress(ValueError):
            found |= json.loads(line)
    return found


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL))
    text = output.read(_TAIL).decode(errors="replace")
    return text if size <= _TAIL else "..." + text[text.find("\n") :]
