"""What a conda solver's or gateway's failure means to the person who asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermetic.errors import HermeticError, NetworkError, UnsatisfiableError

if TYPE_CHECKING:
    from rattler import Gateway

    from hermetic.lock.conda_solver import CondaRequest


async def explain(error: Exception, request: CondaRequest, gateway: Gateway, channels: list[Any]) -> HermeticError:
    """Turn an error of py-rattler into one of ours."""
    from rattler.exceptions import SolverError

    if isinstance(error, SolverError):
        return UnsatisfiableError(str(error).removeprefix("Cannot solve the request because of: ").strip())
    return NetworkError(str(error))
