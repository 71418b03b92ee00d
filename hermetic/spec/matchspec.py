"""MatchSpecs (CEP 29) in one canonical text, so that two spellings of one meaning are equal.

py-rattler's lenient reading is the judge, because it is conda's: ``python 3.11`` means ``==3.11`` and
``python=3.11`` means ``3.11.*``. The canonical text reads the same in strict and lenient mode::

    name [version [build]] [key="value", ...]

Terms of a version are sorted, ``*`` alone says nothing and is left out, keys in brackets are sorted. A version
literal stays as it was written (``2.0`` and ``2.0.0`` match the same, but a person should find their own text).

Plain spellings are read here, without py-rattler, whose import costs more than a whole spec; a property test
holds both ways to one answer.
"""

from __future__ import annotations

import re
from typing import Any

from hermetic.errors import Place, SpecError
from hermetic.spec.model import MAIN, CondaRequirement
from hermetic.spec.passwords import spec_url
from hermetic.spec.text import quoted
from hermetic.spec.urls import is_url

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_NUMBER = r"(?:0|[1-9][0-9]*)"
_VERSION = rf"{_NUMBER}(?:\.{_NUMBER})*(?:[a-z]+{_NUMBER})?"
_PLAIN = re.compile(
    rf"(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_]))*)(?P<space>[ \t]*)"
    rf"(?P<terms>(?:(?:[<>]=?|!=|==?)[ \t]*{_VERSION}(?:\.\*)?[ \t]*(?:,[ \t]*(?=[<>=!])|\Z))*)\Z"
)
_BRACKET_VERSION = re.compile(r"version\s*=\s*(?:'[^']*'|\"[^\"]*\")")
_RELATION = re.compile(r"(>=|<=|>|<|!=|~=|==)\s*([^,|()\s=<>!~\[\]\"']+)")
_TERM = re.compile(r"([<>=!]+)[ \t]*([0-9a-z.*]+)")
_CHANNEL = re.compile(r"(?P<channel>[^\[\]'\" ]+?)::(?P<rest>.*)\Z", re.DOTALL)
_CHANNEL_NAME = re.compile(r"(?:[A-Za-z]:[\\/])?[A-Za-z0-9_][A-Za-z0-9_.+~/\\-]*\Z")
_SUBDIR = re.compile(r"(?:noarch|[a-z0-9]+-[a-z0-9_]+)\Z")
_ARCHIVES = (".conda", ".tar.bz2")
_BUILD = re.compile(r"[A-Za-z0-9_.+*]+\Z|\^.*\$\Z")
_FIELD = re.compile(r'\s*([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|\'[^\']*\'|\[[^\]]*\]|[^,\]]*)\s*(?:,|\Z)')
_MAX_LENGTH = 4096

_REMEDY = "write it as conda does: name, name=1.2, name>=1.2,<2, name==1.2.3=build or channel::name"


def canonical_match(
    text: str,
    place: Place | None = None,
    *,
    platforms: tuple[str, ...] = (),
    category: str = MAIN,
) -> CondaRequirement:
    """Read one conda requirement in any spelling that conda knows.

    Raises SpecError, with a remedy, for what conda or the solver cannot understand.
    """
    text = text.partition(" #")[0].strip()
    if len(text) > _MAX_LENGTH:
        raise SpecError("a requirement of this length is none", place=place, remedy=_REMEDY)
    if is_url(text) and text.partition("#")[0].endswith(_ARCHIVES):
        return _from_url(text, place, platforms, category)
    channel, subdir, rest = _split_channel(text, place)
    simple = None if subdir else _plain(rest)
    if simple:
        name, match = simple
    else:
        fields = _by_rattler(rest, text, place)
        if subdir and fields.setdefault("subdir", subdir) != subdir:
            raise SpecError(f"{quoted(text)} names two subdirs", place=place, remedy="keep one")
        inner = fields.pop("channel", "")
        if inner and inner != "*":
            if channel:
                raise SpecError(f"{quoted(text)} names two channels", place=place, remedy="keep one")
            channel = channel_name(inner, place)
        name, match = fields["name"], _render(fields)
    return CondaRequirement(name, match, channel, platforms, category, place)


def channel_name(text: str, place: Place | None = None) -> str:
    """Give a channel as the Spec holds it: its name, or its URL without credentials and final slash."""
    text = text.strip()
    if is_url(text):
        return spec_url(text, place, fragment=False).rstrip("/")
    if not text.startswith((".", "/", "~", "${")) and not _CHANNEL_NAME.match(text):
        remedy = "write its name, its URL (https://host/channel) or a path that begins with ./"
        raise SpecError(f"{quoted(text)} is no channel", place=place, remedy=remedy)
    return text.rstrip("/") or text


def _split_channel(text: str, place: Place | None) -> tuple[str, str, str]:
    found = _CHANNEL.match(text)
    if not found:
        return "", "", text
    channel, rest = found["channel"], found["rest"].strip()
    parent, _, last = channel.rstrip("/").rpartition("/")
    subdir = ""
    if parent and _SUBDIR.match(last) and _known_subdir(last):
        channel, subdir = parent, last
    return ("" if channel == "*" else channel_name(channel, place)), subdir, rest


def _known_subdir(text: str) -> bool:
    system = text.split("-", maxsplit=1)[0]
    return system in {"noarch", "linux", "osx", "win", "emscripten", "wasi", "freebsd", "zos"}


def _plain(text: str) -> tuple[str, str] | None:
    """Read the everyday spellings: a name, or a name and comparisons with plain numbers."""
    found = _PLAIN.match(text)
    if not found or (found["space"] and not found["terms"]):
        return None
    name = found["name"].lower()
    terms: list[str] = []
    for operator, version in _TERM.findall(found["terms"]):
        star = version.endswith(".*")
        if star and operator == "==" and terms:
            return None  # refused elsewhere, with the reason
        if operator == "=" or (operator == "==" and star):
            terms.append(version if star else f"{version}.*")
        elif star and operator != "!=":
            terms.append(operator + version.removesuffix(".*"))
        else:
            terms.append(operator + version)
    if not terms:
        return name, name
    return name, f"{name} {','.join(sorted(set(terms), key=_rank))}"


def _by_rattler(text: str, whole: str, place: Place | None) -> dict[str, str]:
    """Let py-rattler read a MatchSpec without channel prefix; give its fields as text."""
    from rattler import MatchSpec

    if not text:
        raise SpecError("a conda requirement without a package name", place=place, remedy=_REMEDY)
    text = _BRACKET_VERSION.sub(lambda found: re.sub(r"\s+", "", found[0]), text)
    text = _RELATION.sub(lambda found: _relation(found, whole, place), text)
    try:
        spec = MatchSpec(text)
        canonical = spec.to_canonical_string()
    except Exception as error:  # noqa: BLE001 - py-rattler's errors have no common base of their own
        raise SpecError(
            f"{quoted(whole)} is no conda requirement: {_reason(error)}", place=place, remedy=_hint(text)
        ) from None
    return _fields(canonical, whole, place)


def _relation(found: re.Match[str], whole: str, place: Place | None) -> str:
    """Read a star behind an operator as conda does, where py-rattler does not; refuse what only seems to work."""
    operator, version = found[1], found[2]
    if "*" not in version and (operator != "~=" or re.search(r"[._]", version)):
        return operator + version
    if operator == "~=":
        raise SpecError(f"{quoted(whole)}: ~= compares numbers with a dot", place=place, remedy="write ~=1.2 or 1.*")
    stem = re.sub(r"\.?\*\Z", "", version)
    if operator == "==":
        if re.search(r"[,|]", found.string[: found.start()]):
            # conda ignores this star, with a warning; where == stands first it does not
            raise SpecError(f"{quoted(whole)}: a star behind ==", place=place, remedy=f"write {stem}.* or =={stem}")
        return f"={stem}.*" if stem else "=*"
    if not version.endswith(".*"):
        remedy = f"write {operator}{stem}{'.*' if operator == '!=' else ''}"
        raise SpecError(f"{quoted(whole)}: a star behind {operator}", place=place, remedy=remedy)
    return operator + (version if operator == "!=" else stem)


def _fields(canonical: str, whole: str, place: Place | None) -> dict[str, str]:
    name, bracket, inside = canonical.partition("[")
    fields = {"name": name}
    inside = inside[:-1] if bracket else ""
    while inside:
        found = _FIELD.match(inside)
        if not found or found.end() == 0:
            raise SpecError(f"{quoted(whole)} is too unusual a MatchSpec", place=place, remedy=_REMEDY)
        value = found[2]
        fields[found[1]] = value[1:-1] if value[:1] in {'"', "'"} else value
        inside = inside[found.end() :]
    if build := fields.get("build", ""):
        if not _BUILD.match(build):
            raise SpecError(f"{quoted(whole)}: {quoted(build)} is no build string", place=place, remedy=_hint(whole))
        if set(build) == {"*"}:
            del fields["build"]
    if "version" in fields:
        fields["version"] = _sorted_version(fields["version"])
        if fields["version"] == "*":
            del fields["version"]
    if "url" in fields:
        fields["url"] = spec_url(fields["url"], place, fragment=False)
    return fields


def _render(fields: dict[str, str]) -> str:
    parts = [fields["name"]]
    if "version" in fields or "build" in fields:
        parts.append(fields.get("version", "*"))
    if "build" in fields:
        parts.append(fields["build"])
    rest = [
        f"{key}={value}" if value.startswith("[") else f'{key}="{value}"'
        for key, value in sorted(fields.items())
        if key not in {"name", "version", "build"}
    ]
    return " ".join(parts) + (f"[{', '.join(rest)}]" if rest else "")


def _from_url(text: str, place: Place | None, platforms: tuple[str, ...], category: str) -> CondaRequirement:
    """Read an archive's URL, which conda takes as a requirement too; a digest after ``#`` is kept."""
    from rattler import MatchSpec

    try:
        canonical = MatchSpec.from_url(spec_url(text, place)).to_canonical_string()
    except SpecError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise SpecError(
            f"the URL names no conda archive: {_reason(error)}",
            place=place,
            remedy="end it in name-version-build.conda",
        ) from None
    fields = _fields(canonical, text, place)
    return CondaRequirement(fields["name"], _render(fields), "", platforms, category, place)


def _sorted_version(text: str) -> str:
    """Sort a version's alternatives and, in each, its terms; ``*`` absorbs or disappears."""
    alternatives: set[str] = set()
    for part in _split(text, "|"):
        terms = {_sorted_group(term) for term in _split(part, ",")}
        if len(terms) > 1:
            terms.discard("*")
        alternatives.add(",".join(sorted(terms, key=_rank)))
    return "*" if "*" in alternatives else "|".join(sorted(alternatives))


def _rank(term: str) -> tuple[int, str]:
    """Order terms as people write them: lower bounds, exact ones, exclusions, upper bounds."""
    order = {">": 0, "=": 1, "~": 1, "!": 2, "<": 3, "(": 4}
    return order.get(term[:1], 1), term


def _sorted_group(term: str) -> str:
    term = term.strip()
    if not (term.startswith("(") and term.endswith(")")):
        return term
    inner = _sorted_version(term[1:-1])
    return f"({inner})" if "|" in inner else inner


def _split(text: str, separator: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == separator and not depth:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _reason(error: Any) -> str:
    first = str(error).strip().splitlines()
    return first[0][:200] if first and "@" not in first[0] and "//" not in first[0] else "it cannot be read"


def _hint(text: str) -> str:
    if re.match(r"(git|hg|svn|bzr)\+|https?://", text) or " @ " in text:
        return "a URL that pip understands belongs under '- pip:'"
    if re.match(rf"{_NAME}\[[A-Za-z0-9_,. -]+\]", text):
        return "conda packages have no extras in this form; a requirement with extras belongs under '- pip:'"
    if text.startswith((".", "/", "~", "-")):
        return "paths and pip options belong under '- pip:'"
    return _REMEDY
