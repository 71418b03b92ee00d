"""What CI systems' runners make of the lines that a job prints and the files that it writes, after their own sources.

They split output where .NET's readers do, at ``\\n``, ``\\r`` and both together.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BLANK = "".join(chr(code) for code in range(0x110000) if chr(code).isspace()) + "\u200b\u180e\ufeff"


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    text: str


def lines_of(output: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", output)


def github_commands(output: str) -> list[Command]:
    """Give the commands that GitHub's runner carries out: ``::name k=v::text``, else ``##[name k=v]text`` anywhere."""
    found = [_github_new(line) or _bracketed(line, "##[", _github_old) for line in lines_of(output)]
    return [command for command in found if command]


def _github_new(line: str) -> Command | None:
    line = line.lstrip(_BLANK)
    end = line.find("::", 2)
    if not line.startswith("::") or end < 0:
        return None
    name, _, rest = line[2:end].partition(" ")
    pairs = [pair.split("=", 1) for pair in rest.strip().split(",") if pair]
    properties = {pair[0]: _undone(pair[1], "%0D %0A %3A %2C %25") for pair in pairs if len(pair) == 2}
    return Command(name, properties, _undone(line[end + 2 :], "%0D %0A %25"))


def _github_old(text: str) -> str:
    return _undone(text, "%3B %0D %0A %5D %25")


def azure_commands(output: str) -> list[Command]:
    """Give the commands that Azure's agent carries out: ``##vso[name k=v;]text`` anywhere in a line."""
    found = [_bracketed(line, "##vso[", _azure) for line in lines_of(output)]
    return [command for command in found if command]


def _azure(text: str) -> str:
    return _undone(text, "%3B %0D %0A %5D").replace("%AZP25", "%")


def _bracketed(line: str, mark: str, undo: object) -> Command | None:
    start = line.lower().find(mark)
    end = line.find("]", start)
    if start < 0 or end < 0:
        return None
    assert callable(undo)
    name, _, rest = line[start + len(mark) : end].partition(" ")
    pairs = [pair.split("=", 1) for pair in rest.split(";") if pair.strip()]
    return Command(name, {pair[0].strip(): undo(pair[1]) for pair in pairs if len(pair) == 2}, undo(line[end + 1 :]))


def _undone(text: str, codes: str) -> str:
    for code in codes.split():
        text = text.replace(code, chr(int(code[1:], 16)))
    return text


def github_outputs(file: str) -> dict[str, str]:
    """Give the outputs of a step from the file that GITHUB_OUTPUT names: ``name=value`` or ``name<<end``."""
    values, lines = {}, iter(lines_of(file))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            values[line[:equals]] = line[equals + 1 :]
        else:
            name, _, end = line.partition("<<")
            held = []
            for more in lines:
                if more == end:
                    break
                held.append(more)
            values[name] = "\n".join(held)
    return values
