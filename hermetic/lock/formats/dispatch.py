"""Exports by name, and imports by what a file holds; each format's own module is loaded only when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from hermetic.errors import LockFileError, MachineError, Place, UsageError
from hermetic.lock.formats.addresses import ChannelName, CondaAddress, WheelAddress
from hermetic.lock.formats.importing import Records
from hermetic.lock.model import Lock

Format = Literal["conda-lock", "explicit", "requirements", "pylock", "environment", "pixi"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""What a lock can be exported as."""

ONE_PLATFORM: tuple[Format, ...] = ("explicit", "environment")
"""The formats that hold one platform."""

WHEELS_ONLY: tuple[Format, ...] = ("requirements", "pylock")
"""The formats that have no place for conda packages."""

_KEY = re.compile(r"^([A-Za-z_-]+):", re.MULTILINE)
_VERSION = re.compile(r"^version:\s*(\d+)\s*$", re.MULTILINE)
_PYLOCK = re.compile(r"^lock-version\s*=", re.MULTILINE)
_TOML_LOCK = re.compile(r"^\[\[package\]\]\s*$", re.MULTILINE)
_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*(==|>=|~=|@\s)", re.MULTILINE)


def export_lock(
    lock: Lock,
    form: Format,
    conda_address: CondaAddress,
    wheel_address: WheelAddress,
    *,
    platforms: Sequence[str] = (),
    name: str = "",
) -> str:
    """Give a lock in another format, with the full addresses that the two functions give.

    ``platforms`` are by default all that are locked; a format that holds one needs one. ``name`` is the
    environment's, for formats that have a place for it. Raises UsageError for what the format cannot hold.
    """
    chosen = tuple(platforms) or tuple(sorted(lock.platforms))
    for platform in chosen:
        if platform not in lock.platforms:
            raise UsageError(f"the lock has no {platform}", remedy=f"it has {', '.join(sorted(lock.platforms))}")
    if form in ONE_PLATFORM and len(chosen) != 1:
        raise UsageError(f"{form} holds one platform", remedy=f"choose one with --platform: {', '.join(chosen)}")
    match form:
        case "conda-lock":
            from hermetic.lock.formats.conda_lock_yml import format_conda_lock

            return format_conda_lock(lock, conda_address, wheel_address, platforms=chosen)
        case "explicit":
            from hermetic.lock.formats.explicit import format_explicit

            return format_explicit(lock.platforms[chosen[0]], conda_address, wheel_address)
        case "requirements":
            from hermetic.lock.formats.requirements_txt import format_requirements

            return format_requirements(lock, wheel_address, platforms=chosen)
        case "pylock":
            from hermetic.lock.formats.pylock import format_pylock

            return format_pylock(lock, wheel_address, platforms=chosen)
        case "environment":
            from hermetic.lock.formats.environment_yml import format_environment_yml

            return format_environment_yml(lock.platforms[chosen[0]], conda_address, name=name)
        case "pixi":
            from hermetic.lock.formats.pixi_lock import format_pixi_lock

            return format_pixi_lock(lock, conda_address, wheel_address, platforms=chosen)


def import_lock(
    path: Path | str,
    *,
    channel_name: ChannelName | None = None,
    records: Records | None = None,
    platforms: Sequence[str] = (),
    environment: str = "default",
) -> Lock:
    """Read another tool's lock, or our own, whatever its name.

    ``channel_name`` turns a channel's address into its name on this machine; ``records`` gives repodata for lists
    that say too little; ``platforms`` takes some only; ``environment`` chooses one of a pixi.lock. Raises
    LockFileError with every reason for a file that is no lock, or that no lock of ours can hold.
    """
    file = str(path)
    text = _read(Path(path))
    match kind_of(text):
        case "hermetic":
            from hermetic.lock.file import parse_lock

            return parse_lock(text, file)
        case "explicit":
            from hermetic.lock.formats.explicit import read_explicit_lock

            return read_explicit_lock(text, file, channel_name=channel_name, records=records, platforms=platforms)
        case "pylock":
            from hermetic.lock.formats.pylock import read_pylock_toml

            return read_pylock_toml(text, file, platforms=platforms)
        case "conda-lock":
            from hermetic.lock.formats.conda_lock_yml import read_conda_lock

            return read_conda_lock(text, file, channel_name=channel_name, records=records, platforms=platforms)
        case "pixi":
            from hermetic.lock.formats.pixi_lock import read_pixi_lock

            return read_pixi_lock(text, file, channel_name=channel_name, platforms=platforms, environment=environment)
        case "project lock":
            raise LockFileError(
                "this is the lock of a Python project manager, without conda packages and platforms",
                place=Place(file),
                remedy="export it as pylock.toml with its own tool, and import that",
            )
        case "spec":
            raise LockFileError(
                "this is a spec, not a lock: it does not say which files to install",
                place=Place(file),
                remedy=f"lock it: put it into hermetic.toml as `from = [{Path(file).name!r}]` and run `hermetic lock`",
            )
        case _:
            raise _unknown(text, file)


def kind_of(text: str) -> str:
    """Tell what a file is by what it holds, without parsing it. Empty for what is not known."""
    from hermetic.spec.explicit import is_explicit

    if text.lstrip()[:1] == "{":
        return "hermetic"
    if is_explicit(text):
        return "explicit"
    if _PYLOCK.search(text.partition("\n[")[0]):  # another tool's lock has such a key in a table
        return "pylock"
    if _TOML_LOCK.search(text):
        return "project lock"
    keys = set(_KEY.findall(text))
    if "environments" in keys:
        return "pixi"
    if {"package", "metadata"} <= keys:
        version = _VERSION.search(text)
        return "pixi" if version and version[1] in {"2", "3"} else "conda-lock"  # pixi began from conda-lock's format
    if "dependencies" in keys or _PIN.search(text):
        return "spec"
    return ""


def _unknown(text: str, file: str) -> LockFileError:
    """Give the error for a file that is no lock that we know, with what can be told of it."""
    import yaml

    what, line = "", None
    try:
        found = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe
        if isinstance(found, dict) and isinstance(found.get("version"), int):
            what = f": it says version {found['version']}, and lacks what locks of that kind have"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what, line = f": it is no YAML, {error.problem}", mark.line + 1 if mark else None
    except (yaml.YAMLError, RecursionError, ValueError):
        what = ": it is no YAML"
    return LockFileError(
        f"this is no lock that hermetic knows{what}",
        place=Place(file, line),
        remedy="it reads conda-lock.yml, pixi.lock, pylock.toml and @EXPLICIT lists",
    )


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise LockFileError("there is no such file", place=Place(str(path))) from None
    except UnicodeDecodeError:
        raise LockFileError("the file is not UTF-8 text", place=Place(str(path))) from None
    except OSError as error:
        raise MachineError(f"cannot read: {error.strerror}", place=Place(str(path))) from None
