"""The lockfile: Lock <-> canonical JSON, byte-stable, with small diffs (docs/lock-format.md).

Reading trusts nothing. The shape is checked by hand-written code, because a schema library would cost a
no-op more than the whole rest; the published schema (schema/lock-v1.schema.json) is held to it by a test.
Two digests per platform tell an edit or a merge: ``key`` (what determines the output's bytes) and ``content``
(all else too: edges, sizes, licences, and the spec that was solved).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from hermetic.digest import key, pretty_json
from hermetic.errors import IntegrityError, LockFileError, MachineError, Place
from hermetic.files import write_whole
from hermetic.lock import jsontext, shape
from hermetic.lock.model import (
    Base,
    CondaPackage,
    DebianPackage,
    ImagePlan,
    Lock,
    Origin,
    PlannedLayer,
    PlatformLock,
    Tool,
    Wheel,
)
from hermetic.lock.shape import Malformed

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
        kind = NewerLockError if isinstance(error, shape.Newer) else LockFileError
        raise kind(
            f"{where}: {error.message}" if where else error.message,
            place=Place(file, jsontext.line_of(text, error.path)),
            remedy=error.remedy or _REMEDY,
        ) from None
    except _EditedError as error:
        raise _EditedError(error.message, error.path, Place(file, jsontext.line_of(text, error.path))) from None


def read_keys(path: Path | str) -> dict[str, str]:
    """Give the keys that a lockfile states, by platform, unverified: to look up what is built already.

    A result found under such a key is what the key says, whatever else the file holds; anything that must be
    made or fetched goes through ``read_lock``. Raises LockFileError for what is no lockfile.
    """
    file = str(path)
    value = jsontext.parse(jsontext.decode(_read(path), file), file)
    try:
        platforms = shape.mapping(shape.header(value).get("platforms", {}))
        return {name: shape.digest(shape.mapping(content).get("key")) for name, content in platforms.items()}
    except Malformed as error:
        raise LockFileError(error.message, place=Place(file), remedy=_REMEDY) from None


def write_lock(lock: Lock, path: Path | str) -> None:
    """Write a lockfile: all of it or nothing, and not at all if the same bytes are there.

    A file that is replaced keeps its mode. Raises MachineError, and ValueError for a lock that
    ``read_lock`` would refuse.
    """
    path = Path(path)
    data = format_lock(lock).encode()
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    write_whole(path, data)


def format_lock(lock: Lock) -> str:
    """Give the one text of a Lock. Raises ValueError for a lock that ``read_lock`` would refuse."""
    value = lock_to_dict(lock)
    try:
        again = lock_from_dict(value)
    except Malformed as error:
        raise ValueError(f"{jsontext.show(error.path)}: {error.message}") from None
    if again != lock:
        raise ValueError("the lock changes when it is written and read: a platform stands under a name not its own")
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
    head = shape.record(shape.header(value), _LOCK, _LOCK_NEEDED)
    spec, exclude_newer = head["spec"], head.get("exclude_newer", "")
    bound = None
    if verify:
        bound = (head["spec_digest"], exclude_newer)
        if head["spec_digest"] != key("spec/1", spec):
            raise _EditedError(
                "the spec in the lock does not match its digest: it was edited by hand or merged", ("spec_digest",)
            )
    platforms = {}
    for name, content in sorted(head["platforms"].items()):
        try:
            platforms[shape.platform(name)] = _platform_from_dict(name, content, bound)
        except Malformed as error:
            raise error.below("platforms", name) from None
    return Lock(spec=spec, platforms=platforms, exclude_newer=exclude_newer, version=head["lock_version"])


def part_from_dict(value: Any) -> PlatformLock:
    """Read a part of one platform's lock, as build systems cut it out: ``platform``, and the rest as in the file.

    It has no digests of its own, so it proves nothing: what is made of it is bound to the packages' digests alone.
    Raises LockFileError.
    """
    try:
        found = shape.record(value, {**_PLATFORM, "platform": shape.platform}, frozenset({"platform"}))
    except Malformed as error:
        raise LockFileError(f"{jsontext.show(error.path)}: {error.message}", remedy=_REMEDY) from None
    found = {"virtual_packages": (), **{name: item for name, item in found.items() if name not in {"key", "content"}}}
    return PlatformLock(**found)


class NewerLockError(LockFileError):
    """A lock that a newer hermetic wrote: it is left to that one, never replaced."""


class _EditedError(IntegrityError):
    """A lock's digests do not match its content; ``path`` is where in the file."""

    def __init__(self, message: str, path: jsontext.Path, place: Place | None = None) -> None:
        super().__init__(
            message,
            place=place,
            remedy="restore it from version control, or write it anew with `hermetic lock` (old pins are kept)",
        )
        self.path = path


def _platform_to_dict(platform: PlatformLock, spec_digest: str, exclude_newer: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "key": platform.key(),
        "virtual_packages": list(platform.virtual_packages),
        "variables": dict(platform.variables),
        "conda": {package.name: _to_dict(package, _CONDA) for package in platform.conda},
        "wheels": {wheel.name: _to_dict(wheel, _WHEEL) for wheel in platform.wheels},
    }
    for kind, packages in (("conda", platform.conda), ("wheels", platform.wheels)):
        if len(value[kind]) != len(packages):
            raise ValueError(f"{platform.platform}: two {kind} packages have one name")
    value = {name: item for name, item in value.items() if item}
    if platform.image:
        value["image"] = _image_to_dict(platform.image)
    value["content"] = _content(value, spec_digest, exclude_newer)
    return value


def _platform_from_dict(name: str, value: Any, bound: tuple[str, str] | None) -> PlatformLock:
    found = shape.record(value, _PLATFORM, _PLATFORM_NEEDED)
    lock = PlatformLock(
        platform=name,
        virtual_packages=found.get("virtual_packages", ()),
        conda=found.get("conda", ()),
        wheels=found.get("wheels", ()),
        variables=found.get("variables", ()),
        image=found.get("image"),
    )
    if bound:
        if found["key"] != lock.key():
            raise _EditedError(
                f"the packages of {name} do not match their key: they were edited by hand or merged",
                ("platforms", name, "key"),
            )
        if found["content"] != _content({k: v for k, v in value.items() if k != "content"}, *bound):
            raise _EditedError(
                f"the lock of {name} does not match its digest: it was edited by hand or merged",
                ("platforms", name, "content"),
            )
    return lock


def _content(value: Mapping[str, Any], spec_digest: str, exclude_newer: str) -> str:
    """Give the digest over all that is said of a platform, and over what it was solved from.

    The spec is in it, so that a merge of two branches, which takes the requirements of both and solved them
    together nowhere, never looks whole.
    """
    return key("lock-content/1", [spec_digest, exclude_newer, value])


def _to_dict(package: Any, kind: _Kind) -> dict[str, Any]:
    value = {}
    for name, default in kind.defaults.items():
        item = getattr(package, name)
        if item != default:
            value[name] = list(item) if isinstance(item, tuple) else item
    if value.get("origin"):
        value["origin"] = _to_dict(value["origin"], _ORIGIN)
    if value.get("tools"):
        value["tools"] = {tool.name: _to_dict(tool, _TOOL) for tool in value["tools"]}
    return value


def _image_to_dict(image: ImagePlan) -> dict[str, Any]:
    base = _to_dict(image.base, _BASE)
    if image.base.packages:
        base["packages"] = {package.name: _to_dict(package, _DEBIAN) for package in image.base.packages}
        if len(base["packages"]) != len(image.base.packages):
            raise ValueError("two packages of the base have one name")
    value: dict[str, Any] = {"base": base}
    if image.layers:  # a list, because the order is what matters
        value["layers"] = [{"name": layer.name, "packages": list(layer.packages)} for layer in image.layers]
    return value


@dataclass(frozen=True)
class _Kind:
    """How the fields of one kind of value are read, and what they are when the file leaves them out."""

    make: Callable[..., Any]
    readers: Mapping[str, shape.Reader]
    defaults: Mapping[str, Any]
    needed: frozenset[str]

    @classmethod
    def of(cls, make: type, **special: shape.Reader) -> _Kind:
        """Make the table of a dataclass: a reader per type, other readers for the names that need more."""
        by_type = {"str": shape.text, "int": shape.count, "tuple[str, ...]": shape.texts}
        own = [field for field in fields(make) if field.name != "name"]  # the name is the key in the file
        return cls(
            make,
            {field.name: special.get(field.name) or by_type[str(field.type)] for field in own},
            {field.name: field.default for field in own},
            frozenset(field.name for field in own if field.default is MISSING),
        )

    def read(self, value: Any) -> Any:
        """Read one value that has no name."""
        return self.make(**shape.record(value, self.readers, self.needed))

    def read_list(self, value: Any) -> tuple[Any, ...]:
        """Read a list of values that have no name; their order counts."""
        found = []
        for index, item in enumerate(shape.listing(value)):
            try:
                found.append(self.read(item))
            except Malformed as error:
                raise error.below(index) from None
        return tuple(found)

    def read_named(self, value: Any) -> tuple[Any, ...]:
        """Read an object of named values, sorted by name."""
        found = []
        for name, item in sorted(shape.mapping(value).items()):
            try:
                found.append(self.make(name=shape.name(name), **shape.record(item, self.readers, self.needed)))
            except Malformed as error:
                raise error.below(name) from None
        return tuple(found)


_CONDA = _Kind.of(
    CondaPackage,
    version=shape.word,
    channel=shape.address,
    subdir=shape.subdir,
    file_name=shape.archive,
    sha256=shape.digest,
    md5=shape.md5,
)
_TOOL = _Kind.of(
    Tool,
    version=shape.word,
    file_name=shape.wheel,
    sha256=shape.digest,
    index=shape.address,
    url=shape.address,
)
_ORIGIN = _Kind.of(Origin, url=shape.address, file_name=shape.file_name, sha256=shape.digest, tools=_TOOL.read_named)
_WHEEL = _Kind.of(
    Wheel,
    version=shape.word,
    file_name=shape.wheel,
    sha256=shape.digest,
    index=shape.address,
    url=shape.address,
    origin=_ORIGIN.read,
)
_DEBIAN = _Kind.of(DebianPackage, version=shape.word, architecture=shape.word, sha256=shape.digest)
_BASE = _Kind.of(
    Base,
    reference=shape.reference,
    index=shape.image_digest,
    manifest=shape.image_digest,
    dockerfile=shape.digest,
    packages=_DEBIAN.read_named,
)
_LAYER = _Kind(
    PlannedLayer, {"name": shape.text, "packages": shape.texts}, {}, frozenset({"name", "packages"})
)  # the name is a value here: layers have an order, not a place by name
_IMAGE = _Kind(ImagePlan, {"base": _BASE.read, "layers": _LAYER.read_list}, {}, frozenset({"base"}))
_PLATFORM: Mapping[str, shape.Reader] = {
    "key": shape.digest,
    "content": shape.digest,
    "virtual_packages": shape.virtual_packages,
    "variables": shape.variables,
    "conda": _CONDA.read_named,
    "wheels": _WHEEL.read_named,
    "image": _IMAGE.read,
}
_PLATFORM_NEEDED = frozenset({"key", "content"})
_LOCK: Mapping[str, shape.Reader] = {
    "$schema": shape.text,
    "lock_version": shape.count,
    "spec": shape.mapping,
    "spec_digest": shape.digest,
    "exclude_newer": shape.text,
    "platforms": shape.mapping,
}
_LOCK_NEEDED = frozenset({"lock_version", "spec", "spec_digest", "platforms"})


def _read(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise LockFileError("there is no such lockfile", place=Place(str(path)), remedy="run `hermetic lock`") from None
    except OSError as error:
        raise MachineError(f"cannot read: {error.strerror}", place=Place(str(path))) from None
