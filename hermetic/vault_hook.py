"""Who is asked for a secret: set by what knows the workspace (cli, sdk), asked by hermetic.secrets.

It stands alone because every call of the command line sets it and hardly one asks.
"""

from __future__ import annotations

from collections.abc import Callable

lookup: Callable[[str], str | None] | None = None
"""Gives the value of the secret of a name, None where there is none; None itself where no vault is known."""
