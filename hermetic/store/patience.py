"""How patient to be with servers: what may go better at another try, how often to try, and how long to wait between."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hermetic.config import patience
from hermetic.errors import NetworkError


class Transient(Exception):  # noqa: N818  never reaches a user: what may go better at the next try
    """An attempt failed in a way that another one may not. ``wait``: seconds that the server asked to wait."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


class Stopped(Exception):  # noqa: N818  never reaches a user: somebody else gave up
    """The work is being abandoned: another part of it failed, or the user interrupted."""


class Refused(Transient):  # never reaches a user: a new signature may be taken
    """A server did not take a signed address: it has expired, or the server never took it."""


@dataclass(frozen=True)
class Policy:
    """How patient to be: times in seconds; ``retries`` counts tries after the first that bring nothing new."""

    timeout: float = 30.0
    retries: int = 3
    backoff: float = 0.5
    longest_wait: float = 120.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Policy:
        """Read the policy from the environment. Raises UsageError for values that are no numbers."""
        asked = patience(environ)
        return cls(timeout=asked.timeout, retries=asked.retries)


class Patience:
    """Counts the failures of one undertaking, waits between them, and gives up at last."""

    def __init__(
        self,
        policy: Policy,
        what: str,
        stop: threading.Event | None = None,
        *,
        kept: str = "what was downloaded is kept",
    ) -> None:
        self._policy = policy
        self._what = what
        self._kept = kept
        self._stop = stop or threading.Event()
        self._failures = 0

    def progressed(self) -> None:
        """Start counting anew: the last attempt brought something."""
        self._failures = 0

    def failed(self, failure: Transient) -> None:
        """Wait before the next attempt. Raises NetworkError when there have been enough."""
        self._failures += 1
        tries = "1 try" if self._failures == 1 else f"{self._failures} tries"
        if self._failures > self._policy.retries:
            raise NetworkError(
                f"{self._what}: {failure.reason} ({tries})",
                remedy=f"check the connection and the address, or try again later; {self._kept}",
            )
        wait = self._policy.backoff * 2 ** (self._failures - 1) * random.uniform(0.5, 1.5)  # noqa: S311  spreads clients
        if failure.wait is not None:
            if failure.wait > self._policy.longest_wait:
                raise NetworkError(
                    f"{self._what}: {failure.reason}, and wants {failure.wait:.0f} seconds of peace",
                    remedy=f"try again after that time; {self._kept}",
                )
            wait = max(wait, failure.wait) if failure.wait else 0.0
        if self._stop.wait(wait):
            raise Stopped
