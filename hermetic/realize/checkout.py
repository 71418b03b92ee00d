"""Git checkouts at a pinned commit, by the user's own git, outside of any sandbox.

What lies in the folder depends on the commit and on the repository's tags only: not on the user's line ends, hooks or
templates, and not on when it was made. The history stays, because builds ask it for versions and for the files that
belong to a project; the address, which may hold a credential, does not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from hermetic.errors import CredentialsError, IntegrityError, MachineError, NetworkError, OfflineError
from hermetic.lock.vcs import git_access
from hermetic.plan.files import MTIME
from hermetic.secrets import redact

_SETTINGS = {
    "advice.detachedHead": "false",
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.fileMode": "true",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    "core.symlinks": "true",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "init.defaultBranch": "main",
    "init.templateDir": "",
}
_KEPT_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
_REFUSED = re.compile(
    r"[Aa]uthentication|could not read (Username|Password)|Permission denied|Access denied|\b40[13]\b"
)


def checkout(url: str, commit: str, folder: Path, name: str, *, offline: bool = False) -> None:
    """Check a commit out into a folder that does not exist yet, submodules included.

    ``url`` may hold credentials: they are kept off the command line and out of the checkout. ``name`` is the project's,
    for messages. Raises NetworkError, CredentialsError, OfflineError, IntegrityError or MachineError.
    """
    local = url.startswith("file:") or "://" not in url
    if offline and not local:
        raise OfflineError(
            f"{name}: its Git repository must be read, and we are offline", remedy="run once without --offline"
        )
    git = _Git(url, folder, name)
    git.run("clone", "--quiet", "--no-checkout", "--filter=blob:none", "--template=", "--", git.url, str(folder))
    if git.ask("cat-file", "-e", f"{commit}^{{commit}}"):
        git.run("fetch", "--quiet", "origin", commit)  # a commit that no branch holds: a server may still give it
    git.run("checkout", "--quiet", "--detach", commit)
    if git.output("rev-parse", "HEAD") != commit:
        raise IntegrityError(f"{name}: git checked out another commit than {commit}")
    if (folder / ".gitmodules").exists():
        git.run("submodule", "update", "--quiet", "--init", "--recursive")
    _forget_address(git, folder)
    _settle(folder)


class _Git:
    """The user's git on one repository: with the user's credentials, without the user's tastes."""

    def __init__(self, url: str, folder: Path, name: str) -> None:
        self.url, access = git_access(url, {})
        self.folder = folder
        self.name = name
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environment["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
        self.environment |= {name: value for name, value in os.environ.items() if name in _OF_THE_USER}
        self.environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **access}

    def run(self, *arguments: str) -> None:
        """Run a command that has to succeed."""
        done = self._call(arguments)
        if done.returncode == 0:
            return
        said = redact(done.stderr.strip()[-2000:])
        if _REFUSED.search(said):
            raise CredentialsError(
                f"{self.name}: the Git server refused access\n{said}",
                remedy="give Git credentials for its host (a credential helper, an ssh key or netrc)",
            )
        if "No space left" in said:
            raise MachineError(f"{self.name}: {said}", remedy="free some space")
        raise NetworkError(
            f"{self.name}: git {arguments[0]} failed\n{said}",
            remedy="check the address, the commit and the network; a commit that was rewritten is gone",
        )

    def ask(self, *arguments: str) -> bool:
        """Tell whether a command fails."""
        return self._call(arguments).returncode != 0

    def output(self, *arguments: str) -> str:
        """Give what a command says."""
        return self._call(arguments).stdout.strip()

    def _call(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        where = ["-C", str(self.folder)] if arguments[0] != "clone" else []
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        try:
            return subprocess.run(
                ["git", *settings, *where, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, errors="replace", check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise MachineError("git is not installed", remedy="install git") from None


_OF_THE_USER = {
    "GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_PROXY_SSL_CAINFO", "GIT_ALLOW_PROTOCOL",
    "GIT_PROTOCOL_FROM_USER", "GIT_EXEC_PATH",
}  # fmt: skip
"""Variables by which users reach their repositories; all others of git's could make another tree of a commit."""


def _forget_address(git: _Git, folder: Path) -> None:
    """Remove what tells where the clone came from and which branches there were; commits and tags stay."""
    branches = git.output("for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes").splitlines()
    for reference in branches:
        git.run("update-ref", "--no-deref", "-d", reference)
    for repository in [folder / ".git", *sorted((folder / ".git" / "modules").glob("**/config"))]:
        inside = repository if repository.is_dir() else repository.parent
        for left in ("FETCH_HEAD", "ORIG_HEAD", "description"):
            (inside / left).unlink(missing_ok=True)
        for left in ("logs", "hooks", "info", "branches"):
            shutil.rmtree(inside / left, ignore_errors=True)
    for note in (folder / ".git").glob("**/*.promisor"):  # names the branches that a pack was fetched for
        note.unlink()
    (folder / ".git" / "config").write_text(_KEPT_CONFIG, encoding="ascii")


def _settle(folder: Path) -> None:
    """Give every file of the checkout one time."""
    for root, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            os.utime(os.path.join(root, name), (MTIME, MTIME), follow_symlinks=False)  # noqa: PTH118
