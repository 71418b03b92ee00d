"""Does a lock still fit its spec? Decided from the two alone: no network, no solve, no clock.

The usual answer takes no library at all: a lock that was read with its digests verified is what a solve of
``lock.spec`` gave, so it fits a spec that says the same. ``deep`` looks at the graph itself too: for a lock
that another tool made, or that was read without verifying.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hermetic.errors import Place
from hermetic.lock.graph import match_name, project_name
from hermetic.lock.model import Lock
from hermetic.platforms import current_platform
from hermetic.spec.model import Spec


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    ``code`` is for machines (``requirement-added``, ``dependency-unmet`` ...), ``message`` for people. ``old`` is
    what the lock says and ``new`` what the spec says; ``place`` is where the spec says it.
    """

    code: str
    message: str
    platform: str = ""
    old: str = ""
    new: str = ""
    place: Place | None = None
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the finding as JSON values."""
        value = {name: getattr(self, name) for name in ("code", "message", "platform", "old", "new", "remedy")}
        where = {"file": self.place.file, "line": self.place.line} if self.place else {}
        return {**{name: item for name, item in value.items() if item}, **where}


def check(spec: Spec, lock: Lock, *, platforms: Sequence[str] = (), deep: bool = False) -> tuple[Finding, ...]:
    """Give everything in which a lock does not fit a spec; nothing if it does.

    ``platforms`` are those that must be locked; by default those that the spec declares, else those that are
    locked, else this machine's.
    """
    findings = [*_drift(spec, lock), *_platforms(spec, lock, platforms)]
    if deep:
        from hermetic.lock.soundness import soundness

        wanted = platforms or sorted(lock.platforms)
        findings += [finding for name in wanted if name in lock.platforms for finding in soundness(lock, name, spec)]
    return tuple(findings)


def check_bases(spec: Spec, lock: Lock, *, dockerfile: str = "") -> tuple[Finding, ...]:
    """Give the declared bases that a lock does not pin; ``dockerfile`` is the digest of what one is built from.

    They are no reason to lock again: packages fit, and only an image asks for a base.
    """
    declared = "dockerfile" if spec.base_dockerfile else spec.base
    findings = []
    for name, platform in sorted(lock.platforms.items() if declared else ()):
        if not name.startswith("linux-"):
            continue  # there are no images for others
        base = platform.image.base if platform.image else None
        old = base.reference if base else ""
        if base is None:
            code, message = "base-unpinned", f"the base {declared} is not pinned"
        elif old != declared:
            code, message = "base-changed", f"the base {declared} is declared, and {old} is pinned"
        elif base.dockerfile != dockerfile and declared == "dockerfile":
            code, message = "base-changed", "what the base is built from has changed since it was pinned"
        else:
            continue
        findings.append(Finding(code, message, name, old, declared, remedy="pin it with 'hermetic base pin'"))
    return tuple(findings)


_LISTS = {"conda": "conda requirement", "pip": "pip requirement", "constraints": "pip constraint"}
_WORDS = {
    "channels": "channels",
    "options": "pip options",
    "variables": "variable",
    "accelerator": "accelerator",
    "system": "system property",
    "base": "base image",
    "base_dockerfile": "the base image's Dockerfile",
    "exclude_newer": "date after which nothing counts",
}
_SETS = {"exact": "explicit package", "source_builds": "source build of"}


def _drift(spec: Spec, lock: Lock) -> Iterator[Finding]:
    """Compare what is declared with what was solved, field by field. Platforms are looked at elsewhere."""
    new, old = spec.to_dict(), dict(lock.spec)
    if new == old:
        return
    for name, what in _LISTS.items():
        places = {_shown(r.to_dict(), r.name): r.place for r in getattr(spec, name)}
        yield from _requirement_drift(what, old.get(name, []), new.get(name, []), places)
    for name in sorted((old.keys() | new.keys()) - {*_LISTS, "platforms"}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before or after, dict) and isinstance(after or before, dict):
            yield from _field_drift(_WORDS.get(name, name), before or {}, after or {})
        elif name in _SETS:
            for item in sorted(set(before or ()) ^ set(after or ())):
                yield _changed("setting", _SETS[name], *((item, "") if item in (before or ()) else ("", item)))
        else:
            yield _changed("setting", _WORDS.get(name, name), _plain(before), _plain(after))


def _requirement_drift(
    what: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], places: Mapping[str, Place | None]
) -> Iterator[Finding]:
    """Pair what went with what came by name, so that a changed requirement is told as one change."""
    before, after = [_named(item) for item in old], [_named(item) for item in new]
    gone = [item for item in before if item not in after]
    come = [item for item in after if item not in before]
    for name, text in come:
        match = next((item for item in gone if item[0] == name), None)
        if match:
            gone.remove(match)
            yield _changed("requirement", what, match[1], text, places.get(text))
        else:
            yield Finding("requirement-added", f"{what} {text} was added", new=text, place=places.get(text))
    for _, text in gone:
        yield Finding("requirement-removed", f"{what} {text} was removed", old=text)


def _field_drift(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield _changed("setting", f"{what} {name}", _plain(old.get(name)), _plain(new.get(name)))


def _platforms(spec: Spec, lock: Lock, platforms: Sequence[str]) -> Iterator[Finding]:
    wanted = platforms or spec.platforms or sorted(lock.platforms) or (current_platform(),)
    for name in wanted:
        if name not in lock.platforms:
            yield Finding("platform-missing", f"platform {name} is not locked", name, new=name)
    if spec.platforms and not platforms:
        for name in sorted(lock.platforms.keys() - set(spec.platforms)):
            yield Finding("platform-extra", f"platform {name} is locked, and no longer declared", name, old=name)


def _changed(code: str, what: str, old: str, new: str, place: Place | None = None) -> Finding:
    if not old or not new:
        verb, text = ("added", new) if new else ("removed", old)
        return Finding(f"{code}-{verb}", f"{what} {text} was {verb}", old=old, new=new, place=place)
    return Finding(f"{code}-changed", f"{what} changed: {old} -> {new}", old=old, new=new, place=place)


def _named(requirement: Mapping[str, Any]) -> tuple[str, str]:
    """Give a requirement's name and its text, with all that tells two requirements apart."""
    if "match" in requirement:
        name = match_name(str(requirement["match"]))
    else:
        name = project_name(str(requirement.get("requirement", "")))
    return name, _shown(requirement, name)


def _shown(requirement: Mapping[str, Any], name: str) -> str:
    match = str(requirement.get("match", ""))
    channel = requirement.get("channel")
    text = (f"{channel}::{match}" if channel else match) or str(requirement.get("requirement", name))
    if requirement.get("editable"):
        text = f"-e {text}"
    if requirement.get("hashes"):
        text += f" --hash {' --hash '.join(requirement['hashes'])}"
    if requirement.get("platforms"):
        text += f" (on {', '.join(requirement['platforms'])})"
    return f"{text} [{requirement['category']}]" if requirement.get("category") else text


def _plain(value: Any) -> str:
    """Give a value as people write it."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
