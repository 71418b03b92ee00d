"""Property tests assert no time: a busy machine is no bug in a parser."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("spec", deadline=None)
settings.load_profile("spec")
