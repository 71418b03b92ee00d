"""Names of environments, as the Python API looks at them: the workspace's own rules."""

from __future__ import annotations

from hermetic.workspace.naming import RESERVED, check_name

__all__ = ["RESERVED", "check_name"]
