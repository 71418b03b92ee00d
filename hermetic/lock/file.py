"""The lockfile: Lock <-> canonical JSON, byte-stable, with small diffs (docs/lock-format.md).

Reading trusts nothing. The shape is checked by hand-written code, because a schema library would cost a
no-op more than the whole rest; the published schema (schema/lock-v1.schema.json) is held to it by a test.
Two digests per platform tell an edit or a merge: ``key`` (what determines the output's bytes) and ``content``
(all else too: edges, sizes, licences, and the spec that was solved).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeAlias

from hermetic.digest import key, pretty_json
from hermetic.errors import IntegrityError, LockFileError, MachineError, Place
from hermetic.lock import jsontext, shape
from hermetic.lock.model import CondaPackage, Lock, Origin, PlatformLock, Wheel
from hermetic.lock.shape import Malformed
from hermetic.platforms import VirtualPackage

SCHEMA = "urn:hermetic:schema:lock-v1"
"""The name of the schema that a lockfile of version 1 follows; it is no address."""

_REMEDY = "restore the file from version control, or write it anew with `hermetic lock`"


def read_lock(path: Path | str, *, verify: bool = True) -> Lock:
    """Read a lockfile.

    Raises LockFileError (with file and line) for what is no lockfile, and IntegrityError for one that was
    edited by hand or merged. ``verify=False`` lets the latter pass: good only to take old pins as preferences.
    """
    file = str(path)
    return parse_lock(_read(path), file, verify=verify)


def parse_lock(data: bytes | str, file: str = "lock", *, verify: bool = True) -> Lock:
    """Read a lockfile's content; ``file`` is its name in messages. Raises as ``read_lock``."""
    text = jsontext.decode(data, file) if isinstance(data, bytes) else data
    value = jsontext.parse(text, file)
    try:
        return lock_from_dict(value, verify=verify)
    except Malformed as error:
        where = jsontext.show(error.path)
        raise LockFileError(
            f"{where}: {error.message}" if where else error.message,
            place=Place(file, jsontext.line_of(text, error.path)),
            remedy=error.remedy or _REMEDY,
        ) from None
    except IntegrityError as error:
        raise IntegrityError(
            error.message, place=Place(file, jsontext.line_of(text, getattr(error, "path", ()))), remedy=error.remedy
        ) from None


def read_keys(path: Path | str) -> dict[str, str]:
    """Give the keys that a lockfile states, by platform, unverified: to look up what is built already.

    A result found under such a key is what the key says, whatever else the file holds; anything that must be
    made or fetched goes through ``read_lock``. Raises LockFileError for what is no lockfile.
    """
    file = str(path)
    value = jsontext.parse(jsontext.decode(_read(path), file), file)
    try:
        platforms = shape.mapping(shape.header(value).get("platforms", {}), ("platforms",))
        return {
            name: shape.digest(shape.mapping(content, ("platforms", name)).get("key"), ("platforms", name, "key"))
            for name, content in platforms.items()
        }
    except Malformed as error:
        raise LockFileError(
            f"{jsontext.show(error.path)}: {error.message}", place=Place(file), remedy=_REMEDY
        ) from None


def write_lock(lock: Lock, path: Path | str) -> None:
    """Write a lockfile: all of it or nothing, and not at all if the same bytes are there.

    A file that is replaced keeps its mode. Raises MachineError, and ValueError for a lock that
    ``read_lock`` would refuse.
    """
    path = Path(path)
    data = format_lock(lock).encode()
    try:
        with suppress(FileNotFoundError):
            if path.read_bytes() == data:
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path.resolve(), data)  # resolved: a link to a lockfile stays a link
    except OSError as error:
        raise MachineError(f"cannot write: {error.strerror}", place=Place(str(path))) from None


def format_lock(lock: Lock) -> str:
    """Give the one text of a Lock. Raises ValueError for a lock that ``read_lock`` would refuse."""
    value = lock_to_dict(lock)
    try:
        again = lock_from_dict(value)
    except Malformed as error:
        raise ValueError(f"{jsontext.show(error.path)}: {error.message}") from None
    if again != lock:
        raise ValueError("the lock changes when it is written: packages and variables must be sorted by name")
    return pretty_json(value)


def lock_to_dict(lock: Lock) -> dict[str, Any]:
    """Give a Lock as the JSON values of its file; what has its default is left out."""
    spec = dict(lock.spec)
    value: dict[str, Any] = {"$schema": SCHEMA, "lock_version": lock.version, "spec": spec}
    value["spec_digest"] = key("spec/1", spec)
    if lock.exclude_newer:
        value["exclude_newer"] = lock.exclude_newer
    value["platforms"] = {
        name: _platform_to_dict(platform, value["spec_digest"], lock.exclude_newer)
        for name, platform in sorted(lock.platforms.items())
    }
    return value


def lock_from_dict(value: Any, *, verify: bool = True) -> Lock:
    """Read the JSON values of a lockfile. Raises Malformed for another shape, IntegrityError for an edit."""
    head = shape.header(value)
    shape.known(head, _LOCK_KEYS, ())
    spec = shape.spec(shape.required(head, "spec", ()), ("spec",))
    exclude_newer = shape.text(head.get("exclude_newer", ""), ("exclude_newer",))
    spec_digest = shape.digest(shape.required(head, "spec_digest", ()), ("spec_digest",))
    if verify and spec_digest != key("spec/1", spec):
        raise edited("the spec in the lock does not match its digest", ("spec_digest",))
    platforms = shape.mapping(shape.required(head, "platforms", ()), ("platforms",))
    return Lock(
        spec=spec,
        platforms={
            shape.platform(name, ("platforms",)): _platform_from_dict(
                name, content, (spec_digest, exclude_newer) if verify else None
            )
            for name, content in sorted(platforms.items())
        },
        exclude_newer=exclude_newer,
        version=head["lock_version"],
    )


def edited(message: str, path: jsontext.Path) -> IntegrityError:
    """Make the error for a lock whose digests do not match its content."""
    error = IntegrityError(
        f"{message}: it was edited by hand or merged",
        remedy="restore it from version control, or write it anew with `hermetic lock` (old pins are kept)",
    )
    error.path = path  # type: ignore[attr-defined]  # where in the file; turned into a line by parse_lock
    return error


_LOCK_KEYS = frozenset({"$schema", "lock_version", "spec", "spec_digest", "exclude_newer", "platforms"})
_PLATFORM_KEYS = frozenset({"key", "content", "virtual_packages", "conda", "wheels", "variables"})


def _platform_to_dict(platform: PlatformLock, spec_digest: str, exclude_newer: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "key": platform.key(),
        "virtual_packages": list(platform.virtual_packages),
        "variables": dict(platform.variables),
        "conda": {package.name: _fields_to_dict(package, _CONDA) for package in platform.conda},
        "wheels": {wheel.name: _wheel_to_dict(wheel) for wheel in platform.wheels},
    }
    for kind, packages in (("conda", platform.conda), ("wheels", platform.wheels)):
        if len(value[kind]) != len(packages):
            raise ValueError(f"{platform.platform}: two {kind} packages have one name")
    value = {name: item for name, item in value.items() if item}
    value["content"] = _content(value, spec_digest, exclude_newer)
    return value


def _platform_from_dict(name: str, value: Any, bound: tuple[str, str] | None) -> PlatformLock:
    path: jsontext.Path = ("platforms", name)
    value = shape.mapping(value, path)
    shape.known(value, _PLATFORM_KEYS, path)
    virtual = shape.texts(value.get("virtual_packages", []), (*path, "virtual_packages"))
    for index, text in enumerate(virtual):
        shape.checked(VirtualPackage.parse, text, (*path, "virtual_packages", index))
    variables = shape.mapping(value.get("variables", {}), (*path, "variables"))
    conda = shape.mapping(value.get("conda", {}), (*path, "conda"))
    wheels = shape.mapping(value.get("wheels", {}), (*path, "wheels"))
    lock = PlatformLock(
        platform=name,
        virtual_packages=virtual,
        conda=tuple(
            CondaPackage(**_fields_from_dict(conda[package], _CONDA, _CONDA_NEEDED, package, (*path, "conda", package)))
            for package in sorted(conda)
        ),
        wheels=tuple(_wheel_from_dict(wheels[wheel], wheel, (*path, "wheels", wheel)) for wheel in sorted(wheels)),
        variables=tuple((k, shape.text(v, (*path, "variables", k))) for k, v in sorted(variables.items())),
    )
    stated = shape.digest(shape.required(value, "key", path), (*path, "key"))
    content = shape.digest(shape.required(value, "content", path), (*path, "content"))
    if bound:
        if stated != lock.key():
            raise edited(f"the packages of {name} do not match their key", (*path, "key"))
        if content != _content({k: v for k, v in value.items() if k != "content"}, *bound):
            raise edited(f"the lock of {name} does not match its digest", (*path, "content"))
    return lock


def _content(value: Mapping[str, Any], spec_digest: str, exclude_newer: str) -> str:
    """Give the digest over all that is said of a platform, and over what it was solved from.

    The spec is in it, so that a merge of two branches, which takes the requirements of both and solved them
    together nowhere, never looks whole.
    """
    return key("lock-content/1", [spec_digest, exclude_newer, value])


def _wheel_to_dict(wheel: Wheel) -> dict[str, Any]:
    value = _fields_to_dict(wheel, _WHEEL)
    if wheel.origin:
        value["origin"] = _fields_to_dict(wheel.origin, _ORIGIN)
    return value


def _wheel_from_dict(value: Any, name: str, path: jsontext.Path) -> Wheel:
    origin = None
    if isinstance(value, dict) and "origin" in value:
        value = dict(value)
        origin = Origin(**_fields_from_dict(value.pop("origin"), _ORIGIN, frozenset(), None, (*path, "origin")))
    return Wheel(**_fields_from_dict(value, _WHEEL, _WHEEL_NEEDED, name, path), origin=origin)


_Reader: TypeAlias = Callable[[Any, jsontext.Path], Any]

_READERS: dict[str, _Reader] = {
    "str": shape.text,
    "int": shape.count,
    "tuple[str, ...]": shape.texts,
}
_SPECIAL: dict[str, _Reader] = {
    "sha256": shape.digest,
    "md5": shape.md5,
    "channel": shape.address,
    "index": shape.address,
    "url": shape.address,
    "subdir": shape.subdir,
    "file_name": shape.file_name,
}


def _table(kind: type) -> dict[str, tuple[_Reader, Any]]:
    """Give, for each field but the name, how it is read and its default (MISSING: it must be there)."""

    def entry(field: Field[Any]) -> tuple[_Reader, Any]:
        return _SPECIAL.get(field.name) or _READERS[str(field.type)], field.default

    return {field.name: entry(field) for field in fields(kind) if field.name not in ("name", "origin")}


_CONDA, _WHEEL, _ORIGIN = _table(CondaPackage), _table(Wheel), _table(Origin)
_CONDA_NEEDED = frozenset(name for name, (_, default) in _CONDA.items() if default is MISSING)
_WHEEL_NEEDED = frozenset(name for name, (_, default) in _WHEEL.items() if default is MISSING)


def _fields_to_dict(package: Any, table: Mapping[str, tuple[_Reader, Any]]) -> dict[str, Any]:
    value = {}
    for name, (_, default) in table.items():
        item = getattr(package, name)
        if item != default:
            value[name] = list(item) if isinstance(item, tuple) else item
    return value


def _fields_from_dict(
    value: Any,
    table: Mapping[str, tuple[_Reader, Any]],
    needed: frozenset[str],
    name: str | None,
    path: jsontext.Path,
) -> dict[str, Any]:
    value = shape.mapping(value, path)
    if not needed <= value.keys():
        raise Malformed((*path,), f"lacks {', '.join(sorted(needed - value.keys()))}")
    found = {} if name is None else {"name": shape.name(name, path)}
    for field, item in value.items():
        try:
            reader = table[field][0]
        except KeyError:
            shape.known(value, table.keys(), path)
            raise
        found[field] = reader(item, (*path, field))
    return found


def _read(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise LockFileError("there is no such lockfile", place=Place(str(path)), remedy="run `hermetic lock`") from None
    except OSError as error:
        raise MachineError(f"cannot read: {error.strerror}", place=Place(str(path))) from None


def _replace(path: Path, data: bytes) -> None:
    """Put bytes at ``path`` in one step: readers see the old file or the new one, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
