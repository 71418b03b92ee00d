"""Compiles modules to deterministic pyc files (PEP 552, unchecked-hash). Run by an environment's own Python.

Reads one JSON list per line from standard input, ``[[source, name in the pyc, target], ...]``, and answers each
with one JSON list of the positions that do not compile. Runs on Python 3.7 and later, so it imports nothing of
hermetic and uses no newer syntax.
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import sys
from collections.abc import Iterable
from types import CodeType

# marshal writes interned strings otherwise, and strings of one character are the only ones that the compiler does
# not make anew: whether one is interned depends on what ran before, unless all of them are.
_INTERNED = [sys.intern(text) for text in ["", *map(chr, range(256))]]
_UNCHECKED_HASH = (1).to_bytes(4, "little")


def pyc(source: bytes, name: str) -> bytes:
    """Give the bytes of a pyc for the bytes of a source."""
    code = compile(source, sys.intern(name), "exec", dont_inherit=True, optimize=0)
    held: list[object] = []
    _hold(code, held)
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return header + marshal.dumps(code)


def _hold(code: CodeType, held: list[object]) -> None:
    """Keep a reference to everything that marshal may find shared.

    It flags an object as shared when anything else refers to it, and until Python 3.9 that shows which names other
    modules in memory use too: held by us, all of them are always flagged.
    """
    held += (*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars, code.co_filename, code.co_name)
    held.append(getattr(code, "co_qualname", None))
    todo: list[Iterable[object]] = [code.co_consts]
    for constants in todo:
        held.append(list(constants))
        for constant in constants:
            if isinstance(constant, CodeType):
                _hold(constant, held)
            elif isinstance(constant, (tuple, frozenset)):
                todo.append(constant)
            elif isinstance(constant, slice):
                todo.append((constant.start, constant.stop, constant.step))


def main() -> None:
    """Serve until the input ends."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 5000))
    for line in sys.stdin:
        failed = []
        for position, (source, name, target) in enumerate(json.loads(line)):
            try:
                with open(source, "rb") as file:  # noqa: PTH123  nothing more is imported here
                    data = pyc(file.read(), name)
            except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
                failed.append(position)
                continue
            with open(target, "wb") as file:  # noqa: PTH123
                file.write(data)
        sys.stdout.write(json.dumps(failed) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
