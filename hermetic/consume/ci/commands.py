"""The lines by which a job commands its CI system, and how text gets into them without becoming a command.

A runner reads commands from the very output that programs print. GitHub's takes ``::name key=value::text`` at the
start of a line, and its older form ``##[name]text`` anywhere in one; Azure's takes ``##vso[name key=value;]text``
anywhere. So a file or a package must not be able to begin a line, end a value or hold a mark: every text that came
from outside goes through here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_MARK = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)


def plain(text: str) -> str:
    r"""Give text in which everything is seen: what does not print (controls, bidi, lone surrogates) as ``\x1b``.

    Line ends stay, all as ``\n``. The result can be encoded, and holds no white space but blanks and line ends.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char if char.isprintable() or char == "\n" else _shown(char) for char in text)


def _shown(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unmarked(text: str) -> str:
    """Give plain text in which no runner finds a mark in the middle of a line."""
    return _MARK.sub("# #", plain(text))


def log_text(text: str) -> str:
    """Give text for a job's log, of which no line is a command to any runner."""
    lines = unmarked(text).split("\n")
    return "\n".join(re.sub(r"^( *):(?=:)", r"\1: ", line) for line in lines)


def github_command(name: str, properties: Mapping[str, str], text: str) -> str:
    """Give GitHub's workflow command, one line: ``%``, line ends and, in properties, ``:`` and ``,`` escaped."""
    told = ",".join(f"{key}={_github(value, ':,')}" for key, value in properties.items() if value)
    return f"::{name}{' ' if told else ''}{told}::{_github(text)}"


def _github(text: str, more: str = "") -> str:
    return _escaped(unmarked(text).replace("%", "%25"), f"\n{more}")


def azure_command(name: str, properties: Mapping[str, str], text: str) -> str:
    """Give Azure Pipelines' logging command, one line: as above, with ``;`` and ``]`` in properties."""
    told = "".join(f"{key}={_azure(value, ';]')};" for key, value in properties.items() if value)
    return f"##vso[{name}{' ' if told else ''}{told}]{_azure(text)}"


def _azure(text: str, more: str = "") -> str:
    return _escaped(unmarked(text).replace("%", "%AZP25"), f"\n{more}")


def _escaped(text: str, marks: str) -> str:
    for mark in marks:
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text
