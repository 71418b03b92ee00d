"""``pylock.toml`` (PEP 751): the wheels of a lock, for several platforms at once, with digests and addresses.

The format knows no conda packages: they are named in a comment, and the file is for an environment that has them.
Read, it makes a lock of wheels only: the Python beside them comes with ``hermetic lock``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from hermetic.errors import LockFileError, Place
from hermetic.lock.formats.addresses import WheelAddress, file_name_of, index_and_url
from hermetic.lock.formats.importing import Gathered, NotLockable, assumed, wheel_entry
from hermetic.lock.formats.wheels import best_wheel
from hermetic.lock.markers import holds, platform_marker
from hermetic.lock.model import Lock, Wheel
from hermetic.lock.names import provided
from hermetic.platforms import PLATFORMS, current_platform

_VERSION = "1.0"
_NEWEST = 20
_LINE = re.compile(r"line (\d+)")


def format_pylock(lock: Lock, wheel_address: WheelAddress, *, platforms: Sequence[str] = ()) -> str:
    """Write the wheels of some platforms (by default all) as ``pylock.toml``.

    A package whose version differs between platforms stands there once for each, with a marker.
    """
    names = sorted(platforms or lock.platforms)
    lines = [*_heading(lock, names), f"lock-version = {_text(_VERSION)}", 'created-by = "hermetic"']
    pythons = sorted({".".join(p.version.split(".")[:2]) for name in names if (p := lock.platforms[name].python())})
    if len(pythons) == 1:  # wheels are chosen for one minor version of Python
        lines.append(f"requires-python = {_text(f'=={pythons[0]}.*')}")
    lines += ["environments = [", *(f"  {_text(platform_marker(name))}," for name in names), "]"]
    releases = _releases(lock, names)
    held = {name for name, _, _ in releases}
    for (name, version, _), where in sorted(releases.items()):
        lines += ["", "[[packages]]", f"name = {_text(name)}", f"version = {_text(version)}"]
        if len(where) < len(names):
            lines.append(f"marker = {_text(_marker(list(where)))}")
        lines += _body(where, wheel_address, held)
    return "\n".join(lines) + "\n"


def read_pylock_toml(text: str, file: str, *, platforms: Sequence[str] = (), python: str = "") -> Lock:
    """Read ``pylock.toml`` as a lock of wheels.

    ``platforms`` are by default those that its environments name, else this machine's; ``python`` (``3.11``) is by
    default the oldest that it allows: of each release the wheel is taken that this Python would install there.
    Raises LockFileError for what it is not, or holds that no lock of ours can hold.
    """
    content = _parse(text, file)
    python = python or _oldest(str(content.get("requires-python", "")))
    named = [str(marker) for marker in content.get("environments", [])]
    wanted = platforms or [p for p in PLATFORMS if named and any(holds(m, p, f"{python}.0") for m in named)]
    gathered = Gathered(file)
    for platform in wanted or [current_platform()]:
        if gathered.platform(platform):
            for package in content["packages"]:
                _gather(package, platform, python, gathered)
    return gathered.lock(())


def _heading(lock: Lock, names: Sequence[str]) -> list[str]:
    lines = ["# Wheels with their digests (PEP 751), exported by hermetic."]
    needed = {name for platform in names for wheel in lock.platforms[platform].wheels for name in wheel.requires}
    found = sorted(
        {f"{p.name} {p.version}" for name in names for p in provided(lock.platforms[name].conda) if p.name in needed}
    )
    return (
        [*lines, f"# Provided by conda, needed by these wheels and left out here: {', '.join(found)}."]
        if found
        else lines
    )


def _releases(lock: Lock, names: Sequence[str]) -> dict[tuple[str, str, str], dict[str, Wheel]]:
    """Put together what is one release: (name, version, index) -> platform -> wheel."""
    found: dict[tuple[str, str, str], dict[str, Wheel]] = {}
    for platform in names:
        for wheel in lock.platforms[platform].wheels:
            found.setdefault((wheel.name, wheel.version, wheel.index), {})[platform] = wheel
    return found


def _body(where: Mapping[str, Wheel], wheel_address: WheelAddress, held: AbstractSet[str]) -> Iterator[str]:
    wheels = {wheel.file_name: wheel for wheel in where.values()}
    first = next(iter(where.values()))
    if first.index:
        yield f"index = {_text(first.index)}"
    requires = sorted({name for wheel in where.values() for name in wheel.requires} & held)  # its own entries only
    if requires:
        yield "dependencies = ["
        yield from (f"  {{ name = {_text(name)} }}," for name in requires)
        yield "]"
    yield "wheels = ["
    for file_name, wheel in sorted(wheels.items()):
        size = f", size = {wheel.size}" if wheel.size else ""
        address = wheel_address(wheel)
        key = "url" if "://" in address else "path"
        yield (
            f"  {{ name = {_text(file_name)}, {key} = {_text(address)}{size}, "
            f"hashes = {{ sha256 = {_text(wheel.sha256)} }} }},"
        )
    yield "]"


def _marker(platforms: Sequence[str]) -> str:
    markers = [platform_marker(platform) for platform in sorted(platforms)]
    return markers[0] if len(markers) == 1 else " or ".join(f"({marker})" for marker in markers)


def _text(value: str) -> str:
    """Write a TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = _LINE.search(str(error))
        raise LockFileError(
            f"not TOML: {error}", place=Place(file, int(line[1]) if line else None), remedy="restore the file"
        ) from None
    version = content.get("lock-version")
    if not isinstance(version, str) or version.split(".")[0] != _VERSION.split(".", maxsplit=1)[0]:
        raise LockFileError(
            f"pylock.toml has lock-version {version!r}; hermetic reads {_VERSION}",
            place=Place(file),
            remedy="lock the spec that it was made from with `hermetic lock`",
        )
    packages = content.get("packages", [])
    sound = isinstance(packages, list) and all(
        isinstance(p, dict) and isinstance(p.get("name"), str) and isinstance(p.get("wheels", []), list)
        for p in packages
    )
    if not sound or not isinstance(content.get("environments", []), list):
        raise LockFileError("no valid pylock.toml (PEP 751)", place=Place(file), remedy="write it anew")
    return {**content, "packages": packages}


def _gather(package: Mapping[str, Any], platform: str, python: str, gathered: Gathered) -> None:
    if not holds(str(package.get("marker", "")), platform, f"{python}.0"):
        return
    name, version = str(package["name"]), str(package.get("version", ""))
    files = {_file_name(w): w for w in package.get("wheels", []) if isinstance(w, dict)}
    if not files:
        kind = next((kind for kind in ("vcs", "directory", "archive", "sdist") if kind in package), "nothing")
        words = {"vcs": "a VCS checkout, not a wheel", "directory": "a file or project of the machine that locked"}
        gathered.fault(words.get(kind, "a source archive, not a wheel"), f"{name} {version}".strip(), platform)
        return
    chosen = best_wheel(list(files), platform, python, assumed(platform, ()))
    if chosen is None:
        gathered.fault(f"without a wheel for Python {python}", f"{name} {version}".strip(), platform)
        return
    file = files[chosen]
    dependencies = package.get("dependencies", [])
    try:
        gathered.add_wheel(platform, wheel_entry(
            name, version or chosen.split("-")[1], str(file.get("url") or file.get("path") or chosen),
            (file.get("hashes") or {}).get("sha256"), index=_index(package), size=file.get("size"),
            requires=tuple(str(d.get("name", "")) for d in dependencies if isinstance(d, dict)),
        ))  # fmt: skip
    except NotLockable as error:
        gathered.fault(error.reason, error.subject, platform)


def _file_name(wheel: Mapping[str, Any]) -> str:
    return str(wheel.get("name") or file_name_of(str(wheel.get("url") or wheel.get("path") or "")))


def _index(package: Mapping[str, Any]) -> str:
    """Give the index, unless the files say by their layout that it is the reference index or a mirror of it."""
    index = str(package.get("index", "")).rstrip("/")
    urls = [str(wheel.get("url", "")) for wheel in package.get("wheels", []) if isinstance(wheel, dict)]
    default = urls and all(index_and_url(url, file_name_of(url)) == ("", "") for url in urls if url)
    return "" if default else index


def _oldest(requires: str) -> str:
    """Give the oldest minor version of Python 3 that a specifier allows."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        allowed = SpecifierSet(requires)
    except InvalidSpecifier:
        allowed = SpecifierSet()
    for minor in range(8, _NEWEST):
        if any(allowed.contains(f"3.{minor}.{patch}") for patch in (0, 99)):
            return f"3.{minor}"
    return "3.11"
