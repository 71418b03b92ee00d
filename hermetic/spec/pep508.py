"""pip requirements (PEP 508, and what pip takes beyond it) in one canonical text.

Names are normalised (PEP 503), extras sorted, specifiers sorted with PEP 440's normal versions, markers in
``packaging``'s form. URLs lose credentials and query; a digest in a URL's fragment becomes a hash. A local
path is written relative to the spec's root, in POSIX form, beginning with ``.``.

``packaging`` takes as long to import as a spec takes to read, so plain requirements (``name[extra]>=1.2``)
are read without it; a property test holds both ways to one answer.
"""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from hermetic.errors import Place, SpecError
from hermetic.spec.model import MAIN, PipRequirement
from hermetic.spec.passwords import spec_url
from hermetic.spec.private_urls import is_private, parse_private
from hermetic.spec.text import quoted
from hermetic.spec.urls import is_url

_NUMBER = r"(?:0|[1-9][0-9]*)"
_NUMBERS = rf"{_NUMBER}(?:\.{_NUMBER})*"
_VERSION = rf"{_NUMBERS}(?:(?:a|b|rc){_NUMBER})?"
_PLAIN = re.compile(
    rf"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)[ \t]*"
    rf"(?:\[(?P<extras>[ \t]*[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?[ \t]*"
    rf"(?:,[ \t]*[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?[ \t]*)*)\])?[ \t]*"
    rf"(?P<terms>(?:(?:(?:[<>]=?|[!=]=)[ \t]*{_VERSION}|[!=]=[ \t]*{_NUMBERS}\.\*|~=[ \t]*{_NUMBERS}\.{_NUMBER})"
    rf"[ \t]*(?:,[ \t]*(?=[<>=!~])|\Z))*)\Z"
)
_TERM = re.compile(r"([<>=!~]+)[ \t]*([0-9abrc.*]+)")
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+[A-Za-z0-9.+-]+:")
_SCP = re.compile(r"(git|hg)\+ssh://([^/:]+@)?([^/:]+):(?!\d+/)(.+)", re.DOTALL)
_NEARLY_URL = re.compile(r"(?!file:)(?:[A-Za-z][A-Za-z0-9+.-]+:|(?:git|hg|svn|bzr)\+|https?\b|ssh\b)", re.IGNORECASE)
_NAMED_URL = re.compile(
    r"(?P<head>[A-Za-z0-9][A-Za-z0-9._-]*[ \t]*(?:\[[^\]]*\])?)[ \t]*@[ \t]*(?P<url>.+)\Z", re.DOTALL
)
_EXTRAS_TAIL = re.compile(r"(?P<path>.*[^\s\[])\[(?P<extras>[A-Za-z0-9_.,\s-]*)\]\Z", re.DOTALL)
ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar", ".tar.zst")
"""How files end that are never names of projects: looked up by name, such a one could be anybody's."""

_DIGEST = {"sha256": 64, "sha384": 96, "sha512": 128}

MAX_LENGTH = 4096
"""Characters of a requirement; every pattern here is quick up to this."""

REMEDY = "write it as pip does: name, name[extra]>=1.2,<2, name @ https://host/file.whl or ./path"


@dataclass(frozen=True)
class Origin:
    """Where a requirement's text stands: for messages, for relative paths, and what holds for all of it.

    ``prefix`` leads from the spec's root to the folder of the file, as a relative POSIX path.
    """

    place: Place | None = None
    prefix: str = "."
    platforms: tuple[str, ...] = ()
    category: str = MAIN

    def at(self, line: int) -> Origin:
        """Give the origin of another line of the same file."""
        return replace(self, place=Place(self.place.file if self.place else "", line))


def path_prefix(file: Path, root: Path) -> str:
    """Give the way from a spec's root folder to a spec file's folder, as a relative POSIX path."""
    try:
        return Path(os.path.relpath(file.parent, root)).as_posix()
    except ValueError:  # two drives on Windows have no way between them
        return file.parent.resolve().as_posix()


def normal_name(name: str) -> str:
    """Normalise a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pip_requirement(
    text: str, origin: Origin, *, editable: bool = False, hashes: tuple[str, ...] = ()
) -> PipRequirement:
    """Read one pip requirement, without options. Raises SpecError, with a remedy, for what is none."""
    text = text.strip()
    if len(text) > MAX_LENGTH:
        raise SpecError("a requirement of this length is none", place=origin.place, remedy=REMEDY)
    digests = tuple(sorted({check_hash(value, origin.place) for value in hashes}))
    if not editable and not text.lower().endswith(ARCHIVES) and (found := _PLAIN.match(text)):
        extras = tuple(sorted({normal_name(extra.strip()) for extra in (found["extras"] or "").split(",") if extra}))
        terms = sorted({operator + version for operator, version in _TERM.findall(found["terms"])})
        requirement = PipRequirement(normal_name(found["name"]), extras, ",".join(terms))
    elif named := _NAMED_URL.match(text):
        requirement = _named_url(named["head"], named["url"], text, origin)
    elif editable or _VCS.match(text) or is_url(text) or text.startswith("file:") or _is_path(text):
        requirement = _direct("", (), text, origin)
    else:
        requirement = _by_packaging(text, origin.place)
    if editable and not requirement.url:
        raise SpecError(
            f"{quoted(text)} cannot be editable: it is neither a path nor a VCS URL",
            place=origin.place,
            remedy="write -e ./path or -e git+https://host/repository",
        )
    if "${" in requirement.specifier + requirement.marker + requirement.name:
        raise SpecError("a variable outside a URL", place=origin.place, remedy="write its value")
    stated = {*requirement.hashes, *digests}
    if is_private(requirement.url):
        stated = _beside_private(requirement.url, stated, origin.place)
        if editable:
            raise SpecError("a wheel cannot be editable", place=origin.place, remedy="remove -e")
    return replace(
        requirement,
        editable=editable,
        hashes=tuple(sorted(stated)),
        platforms=origin.platforms,
        category=origin.category,
        place=origin.place,
    )


def check_hash(text: str, place: Place | None) -> str:
    """Give a digest as ``sha256:<hex>``; pip takes sha256, sha384 and sha512. Raises SpecError for any other."""
    algorithm, colon, digest = text.strip().replace("=", ":", 1).partition(":")
    algorithm, digest = algorithm.lower(), digest.lower()
    length = _DIGEST.get(algorithm)
    if not colon or not length or not re.fullmatch(rf"[0-9a-f]{{{length}}}", digest):
        raise SpecError(
            f"{quoted(text)} is no digest that pip accepts",
            place=place,
            remedy="write sha256: and its 64 hex digits (pip hash FILE prints them)",
        )
    return f"{algorithm}:{digest}"


def _by_packaging(text: str, place: Place | None) -> PipRequirement:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        lines = str(error).splitlines()
        raise SpecError(
            f"{quoted(text)} is no pip requirement: {lines[0] if lines else 'it cannot be read'}",
            place=place,
            remedy=_hint(text),
        ) from None
    return PipRequirement(
        normal_name(parsed.name),
        tuple(sorted({normal_name(extra) for extra in parsed.extras})),
        _specifier(text, parsed.specifier, place),
        str(parsed.marker) if parsed.marker else "",
    )


def _specifier(text: str, specifiers: object, place: Place | None) -> str:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    assert isinstance(specifiers, SpecifierSet)
    terms = set()
    for term in specifiers:
        version = term.version
        if term.operator != "===":
            star = ".*" if version.endswith(".*") else ""
            try:
                version = str(Version(version.removesuffix(".*"))) + star
            except InvalidVersion:
                raise SpecError(f"{quoted(text)}: {version!r} is no version", place=place, remedy=REMEDY) from None
        elif not version:
            raise SpecError(f"{quoted(text)} is no pip requirement: === needs a version", place=place, remedy=REMEDY)
        terms.add(term.operator + version)
    return ",".join(sorted(terms))


def _named_url(head: str, url: str, text: str, origin: Origin) -> PipRequirement:
    name, bracket, rest = head.partition("[")
    extras = rest.rstrip().removesuffix("]").split(",") if bracket else []
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", name.strip()):
        raise SpecError(f"{quoted(text)} has no valid name", place=origin.place, remedy=REMEDY)
    return _direct(normal_name(name.strip()), tuple(extras), url, origin)


def _direct(name: str, extras: tuple[str, ...], text: str, origin: Origin) -> PipRequirement:
    """Read a direct reference: a URL, a VCS URL or a path, with an optional marker behind ``;``."""
    target, marker = _split_marker(text, origin.place)
    private = is_private(target)
    if "://" not in target and not target.startswith("file:") and (tail := _EXTRAS_TAIL.match(target)):
        target, extras = tail["path"], (*extras, *tail["extras"].split(","))
    target, fragment_name, fragment_extras, hashes = _split_fragment(target, origin.place)
    if private:
        target = str(parse_private(target, origin.place))
    elif (_VCS.match(target) or is_url(target)) and not target.lower().startswith("file:"):
        target = _clean_direct(target, origin.place)
    else:
        target = local_path(target, origin)
    if fragment_name and name and normal_name(fragment_name) != name:
        raise SpecError(
            f"the requirement is called {name}, its URL says #egg= {quoted(fragment_name)}",
            place=origin.place,
            remedy="remove #egg=",
        )
    if private and (stated := name or normal_name(fragment_name)) and stated != _file_name(target):
        raise SpecError(
            f"the requirement is called {stated}, and its file is a wheel of {_file_name(target)}",
            place=origin.place,
            remedy=f"call it {_file_name(target)}, or name the other wheel",
        )
    name = name or normal_name(fragment_name) or _file_name(target)
    names = {normal_name(extra.strip()) for extra in (*extras, *fragment_extras) if extra.strip()}
    return PipRequirement(name, tuple(sorted(names)), "", marker, target, hashes=hashes)


def _split_marker(text: str, place: Place | None) -> tuple[str, str]:
    parts = re.split(r"\s;|;\s", text, maxsplit=1)
    target = parts[0].strip()
    if len(parts) == 1:
        if any(character.isspace() for character in target) and "://" in target:
            raise SpecError(
                "white space in a URL", place=place, remedy="write a space before ; and quote others as %20"
            )
        return target, ""
    from packaging.markers import InvalidMarker, Marker

    try:
        return target, str(Marker(parts[1].strip()))
    except InvalidMarker as error:
        reason = str(error).splitlines()[0]
        raise SpecError(
            f"the marker cannot be read: {reason}", place=place, remedy='write it as ; python_version < "3.12"'
        ) from None


def _split_fragment(target: str, place: Place | None) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    """Take a URL's fragment apart: what names the project and what checks it leaves the URL."""
    url, hash_sign, fragment = target.partition("#")
    if not hash_sign:
        return target, "", (), ()
    name, extras, hashes, kept = "", "", [], []
    for item in filter(None, fragment.split("&")):
        key, _, value = item.partition("=")
        if key == "egg":
            name, _, extras = value.partition("[")
            # Old spellings carry a version: #egg=name-1.0; a name alone is the norm (PEP 508).
            name = re.sub(r"(-|==)\d[\w.]*\Z", "", name).rstrip("-_.")
        elif key in _DIGEST:
            hashes.append(check_hash(f"{key}:{value}", place))
        elif key == "subdirectory":
            kept.append(f"subdirectory={posixpath.normpath(value)}")
        elif key not in {"md5", "sha1", "sha224"}:
            raise SpecError(
                f"the URL's #{quoted(key)[1:-1]} means nothing to pip",
                place=place,
                remedy="use #egg=, #subdirectory= or #sha256=",
            )
    tail = f"#{'&'.join(kept)}" if kept else ""
    return url + tail, name, tuple(extras.removesuffix("]").split(",")), tuple(sorted(set(hashes)))


def _clean_direct(target: str, place: Place | None) -> str:
    if scp := _SCP.match(target):
        target = f"{scp[1]}+ssh://{scp[2] or ''}{scp[3]}/{scp[4]}"
    if not is_url(target):
        raise SpecError("malformed VCS URL", place=place, remedy="write it as git+https://host/path@revision")
    return spec_url(target, place)


def _beside_private(url: str, digests: set[str], place: Place | None) -> set[str]:
    """Give the digests beside a private wheel's URL that say more than it does: its own one says nothing new."""
    stated = {digest for digest in digests if digest.startswith("sha256:")}
    if stated and f"sha256:{parse_private(url).sha256}" not in stated:
        raise SpecError(
            "the digest beside the URL is not the one in it", place=place, remedy="remove it: the URL names the bytes"
        )
    return set() if stated else digests


def _is_path(text: str) -> bool:
    head = re.split(r"\s;|;\s", text, maxsplit=1)[0].strip()
    bare = head.partition("[")[0]
    if re.search(r"[<>=!~]", bare):
        return False
    return (
        head.startswith((".", "/", "~", "\\"))
        or re.match(r"[A-Za-z]:[\\/]", head) is not None
        or "/" in bare
        or "\\" in bare
        or bare.lower().endswith(ARCHIVES)
    )


def local_path(text: str, origin: Origin) -> str:
    """Give a local path, or a ``file:`` URL, as a Spec holds it.

    A relative one is relative to the spec's root and begins with ``.``; an absolute one stays, without scheme.
    """
    path, hash_sign, fragment = text.partition("#")
    tail = hash_sign + fragment
    if _NEARLY_URL.match(path):
        raise SpecError("malformed URL", place=origin.place, remedy="write it as https://host/path")
    if path.lower().startswith("file:"):
        path = unquote(re.sub(r"\A(?i:file):(//(localhost)?(?=/))?", "", path.partition("?")[0]))
        path = re.sub(r"\A/(?=[A-Za-z]:/)", "", path)
    path = path.replace("\\", "/")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:/", path):
        return re.sub(r"\A//+", "/", posixpath.normpath(path)) + tail
    path = posixpath.normpath(posixpath.join(origin.prefix, path))
    if path == "." or path.startswith(("../", "/")) or path == ".." or re.match(r"[A-Za-z]:/", path):
        return path + tail
    return f"./{path}{tail}"


def _file_name(target: str) -> str:
    """Give the project that a wheel's or an sdist's file name carries (PEP 427, PEP 625), or nothing."""
    file = posixpath.basename(target.partition("#")[0])
    if file.endswith(".whl"):
        parts = file.removesuffix(".whl").split("-")
        return normal_name(parts[0]) if len(parts) in {5, 6} and parts[0] else ""
    if found := re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*?)-(\d[A-Za-z0-9.+!_]*)\.(?:tar\.gz|zip)", file):
        return normal_name(found[1])
    return ""


def _hint(text: str) -> str:
    if re.search(r"[^<>=!~]=[^=]", text) and "==" not in text:
        return "one = is conda's; pip compares with =="
    if "::" in text:
        return "channels are conda's; this requirement belongs outside '- pip:'"
    return REMEDY
