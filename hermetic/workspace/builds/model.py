"""What is kept of a build: its state, what came of it, and why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hermetic.errors import BuildError, HermeticError, Place

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = STATES = ("queued", "running", "succeeded", "failed", "cancelled")
ACTIVE = (QUEUED, RUNNING)
"""States that end some day; the others are for ever."""


@dataclass(frozen=True)
class Build:
    """One build of a version, as it is now.

    ``target`` says for which platforms and whither; no two builds of a version and a target run at once. ``lock`` is
    the sha256 of the lock that it was made from. ``result`` (of one that succeeded) and ``error`` (of one that did not)
    are JSON values. Times are as in ``workspace/model.py``, empty where it is not so far; ``seconds`` is how long it
    ran, or has run.
    """

    id: int
    name: str
    version: int
    target: str
    state: str
    created_at: str
    created_by: str
    started_at: str = ""
    finished_at: str = ""
    machine: str = ""
    seconds: float = 0.0
    cancelling: bool = False
    lock: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    builder: str = field(default="", repr=False)
    heartbeat: int = field(default=0, repr=False)

    @property
    def ended(self) -> bool:
        """Whether the state is one that stays."""
        return self.state not in ACTIVE

    @property
    def environment(self) -> str:
        """What is built, as people write it: ``NAME:VERSION``."""
        return f"{self.name}:{self.version}"

    def failure(self) -> HermeticError | None:
        """Give what went wrong as the error that it was; None for a build that succeeded or is not at its end."""
        if self.state == CANCELLED:
            return CancelledError(f"the build {self.id} of {self.environment} was cancelled", remedy="build it again")
        return error_from(self.error) if self.state == FAILED else None

    def to_dict(self) -> dict[str, Any]:
        """Give the build as JSON values."""
        value: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "target": self.target,
            "state": self.state,
            "created_at": self.created_at,
            "created_by": self.created_by,
            "started_at": self.started_at or None,
            "finished_at": self.finished_at or None,
            "machine": self.machine.partition("/")[0] or None,
            "milliseconds": round(self.seconds * 1000),
            "lock": self.lock or None,
            "result": dict(self.result) or None,
            "error": dict(self.error) or None,
        }
        return value


class CancelledError(BuildError):
    """A build that somebody cancelled."""

    code = "cancelled"


class DiedError(BuildError):
    """A build whose builder is no more: killed, or the machine went down."""

    code = "builder-died"


def error_from(value: Mapping[str, Any]) -> HermeticError:
    """Give the error that ``HermeticError.to_dict`` told of, of its own class where that is known."""
    code = str(value.get("code") or "")
    kind = next((found for found in _kinds(HermeticError) if found.code == code), BuildError)
    place = Place(str(value["file"]), value.get("line")) if value.get("file") else None
    message = str(value.get("message") or "the build failed, and nothing is known of the reason")
    return kind(message, place=place, remedy=value.get("remedy"))


def _kinds(kind: type[HermeticError]) -> list[type[HermeticError]]:
    """Give a class of errors and those below it that are made as it is."""
    found = [kind] if kind.__init__ is HermeticError.__init__ else []
    return found + [below for direct in kind.__subclasses__() for below in _kinds(direct)]
