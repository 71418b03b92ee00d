"""TOML files with the line of every key, which ``tomllib`` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hermetic.errors import Place, SpecError
from hermetic.spec.text import quoted, read_text

_AT = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)\Z")
_HEADER = re.compile(r"\s*\[\[?\s*(.+?)\s*\]\]?\s*(?:#.*)?\Z")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""' + r"|'''.*?'''" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'|#[^\n]*", re.DOTALL
)

Keys = tuple[str, ...]


@dataclass(frozen=True)
class TomlFile:
    """A parsed TOML file: its values, and where each key stands."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[Keys, int]
    text: str

    def place(self, *keys: str) -> Place:
        """Give the place of a key, or of the nearest table around it."""
        for end in range(len(keys), 0, -1):
            if keys[:end] in self.lines:
                return Place(str(self.path), self.lines[keys[:end]])
        return Place(str(self.path))

    def item_place(self, item: str, *keys: str) -> Place:
        """Give the place of an entry of the list at ``keys``: the first line from there on that holds its text."""
        start = self.place(*keys)
        first = start.line or 1
        for number, line in enumerate(self.text.split("\n")[first - 1 :], first):
            if f'"{item}"' in line or f"'{item}'" in line:
                return Place(start.file, number)
            if number > first and _HEADER.match(line) and not line.rstrip().endswith(","):
                break
        return start

    def error(self, message: str, remedy: str, *keys: str) -> SpecError:
        """Give an error about a key, to be raised."""
        return SpecError(message, place=self.place(*keys), remedy=remedy)

    def only(self, known: Iterable[str], *keys: str) -> None:
        """Refuse keys of the table at ``keys`` that are not known, with the known one that was probably meant."""
        table = self.table(*keys)
        names = list(known)
        for name in table:
            if name not in names:
                close = get_close_matches(name, names, n=1)
                where = f" in [{'.'.join(keys)}]" if keys else ""
                hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(names)}"
                raise self.error(f"unknown key {quoted(name)}{where}", hint, *keys, name)

    def table(self, *keys: str) -> Mapping[str, Any]:
        """Give the table at ``keys``, empty if there is none. Raises SpecError if something else stands there."""
        value: Any = self.values
        for end, name in enumerate(keys, 1):
            value = value.get(name, {})
            if not isinstance(value, Mapping):
                raise self.error(f"{'.'.join(keys[:end])} is a table", f"write [{'.'.join(keys[:end])}]", *keys[:end])
        return dict(value)

    def text_at(self, *keys: str, default: str = "") -> str:
        """Give the text at ``keys``. Raises SpecError if something else stands there."""
        value = self.table(*keys[:-1]).get(keys[-1], default)
        if not isinstance(value, str):
            raise self.error(f"{keys[-1]} is a text", f'write {keys[-1]} = "..."', *keys)
        return value

    def texts_at(self, *keys: str) -> Sequence[str]:
        """Give the list of texts at ``keys``, empty if there is none. Raises SpecError for anything else."""
        value = self.table(*keys[:-1]).get(keys[-1], [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"{keys[-1]} is a list of texts", f'write {keys[-1]} = ["..."]', *keys)
        return list(value)

    def pairs_at(self, *keys: str) -> Mapping[str, str]:
        """Give the table of texts at ``keys``, empty if there is none. Raises SpecError for anything else."""
        table = self.table(*keys)
        for name, value in table.items():
            if not isinstance(value, str):
                written = f'put it in quotation marks: {name} = "..."'  # 2.40 came as 2.4, 0x10 as 16
                raise self.error(f"{name} is a text", written, *keys, name)
        return table


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file. Raises SpecError with file and line for what is no TOML."""
    return parse_toml(read_text(path), path)


def parse_toml(text: str, path: Path) -> TomlFile:
    """Read the text of a TOML file that stands at ``path``."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _AT.search(message)
        line = int(found[1]) if found and found[1] else len(text.rstrip("\n").split("\n"))
        raise SpecError(
            f"malformed TOML: {_AT.sub('', message)}", place=Place(str(path), line), remedy="mend this line"
        ) from None
    except RecursionError:
        raise SpecError("malformed TOML: nested too deep", place=Place(str(path)), remedy="flatten it") from None
    except ValueError as error:  # an impossible date, an integer with too many digits
        raise SpecError(f"malformed TOML: {error}", place=Place(str(path)), remedy="mend this value") from None
    return TomlFile(path, values, key_lines(text), text)


def key_lines(text: str) -> dict[Keys, int]:
    """Give the 1-based line of every table and key of a TOML text, the first one for each."""
    blank = _STRING.sub(lambda found: _blanked(found[0]), text)
    found: dict[Keys, int] = {}
    table: Keys = ()
    depth = 0
    originals = text.split("\n")
    for number, (line, original) in enumerate(zip(blank.split("\n"), originals, strict=True), 1):
        if not depth and line.lstrip().startswith("[") and (header := _HEADER.match(original)):
            table = _keys(header[1])
            _note(found, table, number)
            continue
        if not depth and _KEY.match(line) and (key := _KEY.match(original)):
            _note(found, (*table, *_keys(key[1])), number)
            inline = re.finditer(r"[{,]\s*([A-Za-z0-9_-]+)\s*=", line[key.end() :])
            for item in inline:
                _note(found, (*table, *_keys(key[1]), item[1]), number)
        depth += sum(line.count(c) for c in "[{") - sum(line.count(c) for c in "]}")
        depth = max(depth, 0)
    return found


def _blanked(text: str) -> str:
    """Replace a string or comment by as many characters that mean nothing, keeping its line ends."""
    return "".join("\n" if character == "\n" else "_" for character in text)


def _keys(text: str) -> Keys:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(text))


def _note(found: dict[Keys, int], keys: Keys, line: int) -> None:
    for end in range(1, len(keys) + 1):
        found.setdefault(keys[:end], line)
