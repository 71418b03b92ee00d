"""``requirements.txt`` with digests: what ``pip install --require-hashes`` and ``uv pip install`` take.

It holds the wheels only. What conda provides is named in a comment and left out, so the file is for an environment
that has those packages already, and is installed with ``--no-deps``: then pip adds nothing of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hermetic.lock.formats.addresses import WheelAddress
from hermetic.lock.markers import platform_marker
from hermetic.lock.model import Lock, Wheel
from hermetic.lock.names import provided

_WIDTH = 120


def format_requirements(lock: Lock, wheel_address: WheelAddress, *, platforms: Sequence[str] = ()) -> str:
    """Write the wheels of some platforms (by default all) as pinned requirements with digests.

    ``wheel_address`` is asked only for wheels that stand at an address of their own. Where platforms differ, a
    marker says for which a line is.
    """
    names = sorted(platforms or lock.platforms)
    lines = [*_heading(lock, names), *_index_options(lock, names)]
    for text, where in _pins(lock, names, wheel_address).items():
        marker = "" if len(where) == len(names) else " ; " + _marker(list(where))
        digests = sorted({digest for found in where.values() for digest in found})
        lines.append(" \\\n    ".join([f"{text}{marker}", *(f"--hash=sha256:{digest}" for digest in digests)]))
    return "\n".join(lines) + "\n"


def _heading(lock: Lock, names: Sequence[str]) -> list[str]:
    lines = [
        "# Wheels with their digests, exported by hermetic.",
        f"# Platforms: {', '.join(names)}.",
        "# pip install --require-hashes --only-binary :all: --no-deps -r THIS_FILE",
    ]
    pythons = {python.version for name in names if (python := lock.platforms[name].python())}
    if pythons:
        lines.append(f"# For Python {', '.join(sorted(pythons))}.")
    found = {f"{project.name} {project.version}" for name in names for project in provided(lock.platforms[name].conda)}
    needed = {name for platform in names for wheel in lock.platforms[platform].wheels for name in wheel.requires}
    theirs = sorted(text for text in found if text.split()[0] in needed)
    if theirs:
        lines += _wrapped("# Provided by conda, needed by these wheels and left out here: ", theirs)
    return lines


def _wrapped(title: str, words: Sequence[str]) -> list[str]:
    lines, line = [], title
    for index, word in enumerate(words):
        text = word + ("," if index < len(words) - 1 else ".")
        if len(line) + len(text) > _WIDTH and line != title:
            lines.append(line.rstrip())
            line = "#   "
        line += f"{text} "
    return [*lines, line.rstrip()]


def _index_options(lock: Lock, names: Sequence[str]) -> list[str]:
    """Name the indexes that are not the default one; it is left to pip unless no wheel is from it."""
    wheels = [wheel for name in names for wheel in lock.platforms[name].wheels if not wheel.url]
    indexes = sorted({wheel.index for wheel in wheels if wheel.index})
    if not indexes:
        return []
    from_default = any(not wheel.index for wheel in wheels)
    options = [f"--extra-index-url {index}" for index in indexes]
    return options if from_default else [f"--index-url {indexes[0]}", *options[1:]]


def _pins(lock: Lock, names: Sequence[str], wheel_address: WheelAddress) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Give each requirement's text -> platform -> digests, sorted by name."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for platform in names:
        for wheel in lock.platforms[platform].wheels:
            text = _pin(wheel, wheel_address)
            found.setdefault((wheel.name, text), {}).setdefault(platform, []).append(wheel.sha256)
    return {text: where for (_, text), where in sorted(found.items())}


def _pin(wheel: Wheel, wheel_address: WheelAddress) -> str:
    if wheel.url or wheel.origin:
        address = wheel_address(wheel)
        return f"{wheel.name} @ {address}" if "://" in address else address  # pip takes a path only by itself
    return f"{wheel.name}=={wheel.version}"


def _marker(platforms: Sequence[str]) -> str:
    markers = [platform_marker(platform) for platform in sorted(platforms)]
    return markers[0] if len(markers) == 1 else " or ".join(f"({marker})" for marker in markers)
