"""Explicit lists (CEP 23): ``@EXPLICIT`` and one archive URL per line, with nothing left to solve.

The digest behind ``#`` is md5 (32 hex digits) or sha256 (64, also with its name before it). conda-lock writes
wheels as ``# pip NAME @ URL --hash=...`` comments into such lists; they are read too.
"""

from __future__ import annotations

import re
from pathlib import Path

from hermetic.errors import Place, SpecError, UsageError
from hermetic.platforms import NOARCH, PLATFORMS, check_platform
from hermetic.spec.model import Spec
from hermetic.spec.passwords import spec_url
from hermetic.spec.pep508 import Origin, path_prefix
from hermetic.spec.requirements_txt import read_lines
from hermetic.spec.text import quoted, read_text
from hermetic.spec.urls import is_url

MARKER = "@EXPLICIT"
_PLATFORM = re.compile(r"#\s*platform:\s*(\S+)\s*\Z", re.IGNORECASE)
_PIP = re.compile(r"#\s*pip\s+(?=\S+\s*@|\S+==)(.+)\Z")
_DIGEST = re.compile(r"(?:(?P<md5>(?:md5:)?[0-9a-fA-F]{32})|(?:sha256:)?(?P<sha256>[0-9a-fA-F]{64}))\Z")
_ARCHIVE = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)-(?P<version>[^-]+)-(?P<build>[^-]+)\.(?:conda|tar\.bz2)\Z")

_REMEDY = "write the archive's full URL: .../linux-64/name-version-build.conda#digest"


def is_explicit(text: str) -> bool:
    """Tell whether a text is an explicit list: a line of it is ``@EXPLICIT``."""
    return MARKER in text and any(line.strip() == MARKER for line in text.split("\n"))


def read_explicit(path: Path, *, root: Path | None = None) -> Spec:
    """Read an explicit list. Raises SpecError with file, line and remedy."""
    return parse_explicit(read_text(path), path, root=root or path.parent)


def parse_explicit(text: str, path: Path, *, root: Path) -> Spec:
    """Read the text of an explicit list that stands at ``path``."""
    exact: dict[str, tuple[str, int]] = {}
    pip: list[tuple[str, Origin]] = []
    platform, platform_line = "", 0
    subdirs: dict[str, int] = {}
    marked = False
    for number, raw in enumerate(text.split("\n"), 1):
        line, place = raw.strip(), Place(str(path), number)
        if found := _PLATFORM.match(line):
            platform, platform_line = _platform(found[1], place), number
        elif found := _PIP.match(line):
            pip.append((found[1], Origin(place, path_prefix(path, root))))
        elif not line or line.startswith("#"):
            continue
        elif line == MARKER:
            marked = True
        elif not marked:
            raise SpecError(
                f"a line before {MARKER}", place=place, remedy=f"put {MARKER} first; only comments stand above it"
            )
        else:
            url, name, subdir = _archive(line, place)
            if name in exact and exact[name][0] != url:
                raise SpecError(
                    f"a second archive of {name}; the first is in line {exact[name][1]}", place=place, remedy="keep one"
                )
            exact.setdefault(name, (url, number))
            if subdir in PLATFORMS:
                subdirs.setdefault(subdir, number)
    if not exact and not pip:
        raise SpecError("the list is empty", place=Place(str(path)), remedy=_REMEDY)
    for subdir, number in subdirs.items():
        if platform and subdir != platform:
            where = f"line {platform_line} says" if platform_line else "an archive above is for"
            raise SpecError(
                f"an archive for {subdir}, while {where} {platform}",
                place=Place(str(path), number),
                remedy="an explicit list is for one platform: write one list for each",
            )
        platform = platform or subdir
    requirements = read_lines(iter(pip), path, root)
    return Spec(
        pip=tuple(requirements.pip),
        exact=tuple(sorted(url for url, _ in exact.values())),
        platforms=(platform,) if platform else (),
    )


def _platform(text: str, place: Place) -> str:
    try:
        return check_platform(text)
    except UsageError as error:
        raise SpecError(error.message, place=place, remedy=error.remedy) from None


def _archive(line: str, place: Place) -> tuple[str, str, str]:
    """Give an archive's clean URL with its digest, its package's name, and its subdir."""
    address, hash_sign, digest = line.partition("#")
    address, digest = address.strip(), digest.strip()
    if not is_url(address):
        raise SpecError("this line is no URL", place=place, remedy=_REMEDY)
    url = spec_url(address, place)
    parent, _, file = url.rpartition("/")
    found = _ARCHIVE.match(file)
    if not found:
        raise SpecError("the URL names no conda archive", place=place, remedy=_REMEDY)
    subdir = parent.rpartition("/")[2]
    if subdir != NOARCH and subdir not in PLATFORMS:
        raise SpecError(
            f"the archive's folder {quoted(subdir)} is no platform of hermetic's",
            place=place,
            remedy=f"known: {NOARCH}, {', '.join(PLATFORMS)}",
        )
    if not hash_sign:
        return url, found["name"].lower(), subdir
    checked = _DIGEST.match(digest)
    if not checked:
        raise SpecError(
            "the digest behind # is neither md5 nor sha256", place=place, remedy="32 or 64 hex digits stand there"
        )
    text = f"sha256:{checked['sha256'].lower()}" if checked["sha256"] else checked["md5"].removeprefix("md5:").lower()
    return f"{url}#{text}", found["name"].lower(), subdir
