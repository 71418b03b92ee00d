"""The one hierarchy of errors: every failure that a user can meet is a ``HermeticError``.

An error carries four things a person needs: what is wrong (``message``), where (``place``), what to do
next (``remedy``), and a stable ``code`` for machines. ``exit_status`` is the command line's contract:

==  ======================================================================
0   done, or nothing to do
1   drift or findings (``lock --check``, ``verify``, ``diff``)
2   usage or bad input
3   unsatisfiable requirements
4   network or credentials
5   integrity: bytes are not what the lock says
6   this machine refused: full disk, permission, a build command that failed
==  ======================================================================
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple


class Place(NamedTuple):
    """Where in the user's input something stands: a file as the user named it, and a 1-based line."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class HermeticError(Exception):
    """Base of all errors that hermetic raises on purpose."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 6

    def __init__(self, message: str, *, place: Place | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}\n  {self.remedy}" if self.remedy else text

    def to_dict(self) -> dict[str, Any]:
        """Give the error as JSON-ready values, as ``--json`` prints it."""
        return {
            "code": self.code,
            "exit_status": self.exit_status,
            "message": self.message,
            "file": self.place.file if self.place else None,
            "line": self.place.line if self.place else None,
            "remedy": self.remedy,
        }


class DriftError(HermeticError):
    """What was checked differs from what is declared; nothing was changed."""

    code = "drift"
    exit_status = 1


class UsageError(HermeticError, ValueError):
    """The request itself makes no sense: an unknown name, options that exclude each other."""

    code = "usage"
    exit_status = 2


class ExistsError(UsageError, FileExistsError):
    """Something stands where something new was to be made; also a ``FileExistsError``."""

    code = "exists"


class MissingError(UsageError, FileNotFoundError):
    """Something that was named is not there; also a ``FileNotFoundError``."""

    code = "missing"


class SpecError(UsageError):
    """A spec file (``environment.yml``, ``requirements.txt``, ...) cannot be understood."""

    code = "spec"


class LockFileError(UsageError):
    """A lockfile cannot be read: not JSON, wrong schema, a newer version, edited by hand."""

    code = "lockfile"


class UnsatisfiableError(HermeticError):
    """No set of packages meets all requirements; the message holds the solver's explanation."""

    code = "unsatisfiable"
    exit_status = 3


class NetworkError(HermeticError, OSError):
    """A server did not give what was asked for, after retries."""

    code = "network"
    exit_status = 4


class OfflineError(NetworkError):
    """``--offline`` was asked for, and something needed is not in the store."""

    code = "offline"


class CredentialsError(NetworkError):
    """A server refused the credentials, or asked for some that are not known (401, 403)."""

    code = "credentials"


class IntegrityError(HermeticError):
    """Bytes are not what the lock says, or an archive tries to leave its folder."""

    code = "integrity"
    exit_status = 5


class MachineError(HermeticError, OSError):
    """This machine refused: no space left, no permission, a missing program."""

    code = "machine"


class BuildError(HermeticError):
    """A command that builds something (a wheel from an sdist, a link script) failed."""

    code = "build"
