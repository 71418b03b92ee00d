"""Read what a wheel says of itself (PEP 427), whether it fits a Python, and what it requires."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.digest import sha256_file
from hermetic.errors import IntegrityError, UsageError
from hermetic.outputs.channel.interpreter import Interpreter
from hermetic.outputs.channel.names import conda_requirement, normalise

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True)
class WheelFacts:
    """What a wheel's name and metadata say."""

    path: Path
    sha256: str
    name: str
    version: str
    tags: frozenset[tuple[str, str, str]]
    metadata: Message
    requires: tuple[Requirement, ...]
    info: str

    @property
    def pure(self) -> bool:
        """Whether the wheel runs on every platform."""
        return all(abi == "none" and platform == "any" for _, abi, platform in self.tags)


def read_wheel(path: Path) -> WheelFacts:
    """Read a wheel's name and metadata, after a defensive look at all of it.

    Raises UsageError if it is no wheel, IntegrityError if it is damaged or would leave its folder.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    from hermetic.store.archive import inspect

    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise UsageError(f"{path}: {error}", remedy="give a file named NAME-VERSION-TAGS.whl") from None
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    inspect(path)
    try:
        sha256 = sha256_file(path)
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            found = [m for m in members if re.fullmatch(r"[^/]+\.dist-info/METADATA", m)]
            if len(found) != 1:
                raise IntegrityError(f"{path}: a wheel has one .dist-info folder with METADATA, this has {len(found)}")
            metadata = BytesHeaderParser().parsebytes(archive.read(found[0]))
    except (OSError, zipfile.BadZipFile) as error:
        raise IntegrityError(f"{path}: damaged wheel: {error}", remedy="download it again") from error
    try:
        requires = tuple(Requirement(value) for value in metadata.get_all("Requires-Dist") or ())
    except InvalidRequirement as error:
        raise UsageError(f"{path}: METADATA: {error}") from None
    triples = frozenset((tag.interpreter, tag.abi, tag.platform) for tag in tags)
    return WheelFacts(path, sha256, normalise(name), str(version), triples, metadata, requires, found[0].split("/")[0])


def fits(wheel: WheelFacts, interpreter: Interpreter) -> bool:
    """Tell whether an interpreter on this kind of machine can run the wheel."""
    minor = interpreter.minor.replace(".", "")
    machine = interpreter.environment["platform_machine"]
    for python, abi, platform in wheel.tags:
        version = re.fullmatch(r"(?:py|cp)(\d)(\d*)", python)
        if not version or version[1] != minor[0]:
            continue
        exact = not version[2] or version[2] == minor[1:]
        older = bool(version[2]) and int(version[2]) <= int(minor[1:])
        if not (exact or (older and (abi == "abi3" or python.startswith("py")))):
            continue
        abi_fits = abi in ("none", interpreter.abi) or (abi == "abi3" and not interpreter.free_threaded)
        platform_fits = platform == "any" or ("linux" in platform and platform.endswith(f"_{machine}"))
        if abi_fits and platform_fits and not platform.startswith("musllinux"):
            return True
    return False


def wheel_requirements(
    wheel: WheelFacts, catalogue: Mapping[str, WheelFacts], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Give a wheel's conda requirements; what the extras of its requirements need becomes its own need.

    conda packages have no extras, so ``Requires-Dist: requests[socks]`` gives ``requests`` and what
    ``requests`` declares under ``socks``, if the channel's ``catalogue`` has it.
    """
    found: set[str] = set()
    done: set[tuple[str, str]] = set()
    waiting: list[tuple[WheelFacts, str]] = [(wheel, "")]
    while waiting:
        current, extra = waiting.pop()
        if (current.name, extra) in done:
            continue
        done.add((current.name, extra))
        for requirement in _holding(current.requires, environment, extra):
            name = normalise(requirement.name)
            if name != wheel.name:
                available = catalogue[name].version if name in catalogue else ""
                found.add(conda_requirement(requirement, available))
            if name in catalogue:
                waiting += [(catalogue[name], asked) for asked in requirement.extras]
    return tuple(sorted(found))


def _holding(requires: Iterable[Requirement], environment: Mapping[str, str], extra: str) -> Iterator[Requirement]:
    """Give the requirements that hold without any extra, or (for an ``extra``) those that it adds."""
    for requirement in requires:
        marker = requirement.marker
        always = marker is None or marker.evaluate({**environment, "extra": ""})
        if (not extra and always) or (
            extra and not always and marker is not None and marker.evaluate({**environment, "extra": extra})
        ):
            yield requirement
