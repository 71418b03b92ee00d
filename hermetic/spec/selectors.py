"""Platform selectors: ``# [linux]`` behind a line (conda-build, conda-lock) and ``sel(linux):`` (micromamba).

The words are those of conda-lock's parser, with ``and``, ``or``, ``not`` and parentheses as conda-build has
them. conda-lock drops a line whose selector it does not know from every platform, with a warning; here that is
an error. Text in brackets that is no expression (``# [see the docs]``) is a comment.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from hermetic.errors import Place, SpecError
from hermetic.platforms import PLATFORMS
from hermetic.spec.text import quoted

_COMMENT = re.compile(r"\s#.*?\[([^\[\]]+)\][^()\[\]]*\Z")
_DIRECT = re.compile(r"\s#\s*\[[^\[\]]+\]\s*\Z")
_MAX_LENGTH = 500
_TOKEN = re.compile(r"\s*(?:([A-Za-z_][A-Za-z0-9_]*)|([()]))")
_SEL = re.compile(r"sel\(\s*([^()]+?)\s*\)\Z")

_WORDS: dict[str, frozenset[str]] = {
    "linux": frozenset(p for p in PLATFORMS if p.startswith("linux-")),
    "osx": frozenset(p for p in PLATFORMS if p.startswith("osx-")),
    "win": frozenset(p for p in PLATFORMS if p.startswith("win-")),
    "unix": frozenset(p for p in PLATFORMS if not p.startswith("win-")),
    "linux64": frozenset({"linux-64"}),
    "osx64": frozenset({"osx-64"}),
    "win64": frozenset({"win-64"}),
    "x86_64": frozenset({"linux-64", "osx-64", "win-64"}),
    "aarch64": frozenset({"linux-aarch64"}),
    "arm64": frozenset({"osx-arm64", "win-arm64"}),
    "ppc64le": frozenset({"linux-ppc64le"}),
    "s390x": frozenset({"linux-s390x"}),
}
_ALL = frozenset(PLATFORMS)


def comment_selector(tail: str, place: Place) -> frozenset[str] | None:
    """Give the platforms that a line's comment selects, or None if it selects nothing.

    ``tail`` is what stands behind the value on its line. Raises SpecError for an unknown selector.
    """
    found = _COMMENT.search(tail) if len(tail) < _MAX_LENGTH else None
    if not found:
        return None
    words = _tokens(found[1])
    if words is None or not _well_formed(words):
        return None
    unknown = [word for word in words if word not in _WORDS and word not in {"and", "or", "not", "(", ")"}]
    if unknown and not _DIRECT.search(tail):
        return None  # [brackets] somewhere in a sentence
    return _evaluate(words, place)


def key_selector(key: str, place: Place) -> frozenset[str] | None:
    """Give the platforms that a key ``sel(...)`` selects, or None for another key."""
    found = _SEL.match(key)
    if not found:
        return None
    words = _tokens(found[1])
    if not words or not _well_formed(words):
        raise SpecError(
            f"{quoted(key)} selects nothing", place=place, remedy="write sel(linux), sel(osx), sel(unix) or sel(win)"
        )
    return _evaluate(words, place)


def _tokens(text: str) -> list[str] | None:
    words, position, text = [], 0, text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            return None
        words.append(found[1] or found[2])
        position = found.end()
    return words


def _well_formed(words: list[str]) -> bool:
    """Tell whether the words are an expression: operands and operators in their places."""
    depth, operand = 0, True
    for word in words:
        if word == "(":
            if not operand:
                return False
            depth += 1
        elif word == ")":
            if operand or not depth:
                return False
            depth -= 1
        elif word in {"and", "or"}:
            if operand:
                return False
            operand = True
        elif word == "not":
            if not operand:
                return False
        elif not operand:
            return False
        else:
            operand = False
    return not operand and not depth


def _evaluate(words: list[str], place: Place) -> frozenset[str]:
    rest = list(words)

    def either() -> frozenset[str]:
        value = both()
        while rest and rest[0] == "or":
            rest.pop(0)
            value |= both()
        return value

    def both() -> frozenset[str]:
        value = one()
        while rest and rest[0] == "and":
            rest.pop(0)
            value &= one()
        return value

    def one() -> frozenset[str]:
        word = rest.pop(0)
        if word == "not":
            return _ALL - one()
        if word == "(":
            value = either()
            rest.pop(0)
            return value
        if word not in _WORDS:
            close = get_close_matches(word, _WORDS, n=1)
            known = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(_WORDS)}"
            raise SpecError(f"unknown platform selector {quoted(word)}", place=place, remedy=known)
        return _WORDS[word]

    return either()
