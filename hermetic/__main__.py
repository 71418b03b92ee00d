"""``python -m hermetic`` is ``hermetic``."""

from __future__ import annotations

from hermetic.cli import main

if __name__ == "__main__":
    main()
