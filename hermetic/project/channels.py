"""Channels that nobody has given an address to, held against those that somebody has."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

from hermetic.config import Config
from hermetic.errors import Place, SpecError
from hermetic.lock.channels import DEFAULT_CHANNEL
from hermetic.project.project import Declaration, Project

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_CLOSE = 0.75


def refuse_misspelt(project: Project, declaration: Declaration, config: Config) -> None:
    """Refuse a channel that is nearly called as one with an address, which was probably meant.

    Without an address of ours a name means a public channel, and anybody may own one of that name. Raises SpecError.
    """
    spec = declaration.spec
    places = {name: _place(project, declaration, name) for name in spec.channels}
    for requirement in spec.conda:
        if requirement.channel:
            places.setdefault(requirement.channel, requirement.place)
    for name, place in places.items():
        if meant := nearly(name, config.channels):
            raise SpecError(
                f"no channel {name!r} has an address, and it would be looked for among the public ones",
                place=place,
                remedy=f"did you mean {meant!r}? If not, give {name} its address in hermetic.toml, under [channels]",
            )


def nearly(name: str, known: Collection[str]) -> str:
    """Give the known name that a name is a slip of the hand away from; empty if there is none, or it is known."""
    if name in known or name == DEFAULT_CHANNEL or not _NAME.match(name):
        return ""
    lower = {other.lower(): other for other in known if abs(len(other) - len(name)) <= 1}
    close = get_close_matches(name.lower(), lower, n=1, cutoff=_CLOSE)
    return lower[close[0]] if close else ""


def _place(project: Project, declaration: Declaration, name: str) -> Place | None:
    """Find where a channel is named: in the manifest, else in the first file that has its name."""
    if project.manifest:
        keys = ("environments", declaration.name, "channels")
        if name in project.manifest.file.texts_at(*keys):
            return project.manifest.file.item_place(name, *keys)
    for file in declaration.files:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", line.partition("#")[0]):
                return Place(str(file), number)
    return Place(str(declaration.files[0])) if declaration.files else None
