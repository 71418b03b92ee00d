"""Compiles modules to deterministic pyc files (PEP 552, unchecked-hash). Run by an environment's own Python.

Reads one JSON list per line from standard input, ``[[source, name in the pyc, target], ...]``, and answers each
with one JSON list of the positions that do not compile. Runs on Python 3.7 and later, so it imports nothing of
hermetic and uses no newer syntax.
"""

import importlib._bootstrap_external as external
import importlib.util
import json
import marshal
import sys


def hold(value, held):
    """Keep a reference to every string in a constant.

    marshal flags an object for sharing when anything else refers to it, and strings are shared with whatever
    happened to be compiled before: held by us, all of them are always flagged.
    """
    if isinstance(value, str):
        held.append(value)
    elif isinstance(value, (tuple, frozenset)):
        held.append(value)
        for item in value:
            hold(item, held)
    elif hasattr(value, "co_consts"):
        held.append(value)
        for name in ("co_names", "co_varnames", "co_freevars", "co_cellvars", "co_consts"):
            hold(getattr(value, name), held)
        for name in ("co_filename", "co_name", "co_qualname"):
            hold(getattr(value, name, ""), held)


def pyc(source, name):
    """Give the bytes of a pyc for the bytes of a source."""
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    held = []
    hold(code, held)
    return external._code_to_hash_pyc(code, importlib.util.source_hash(source), False)  # noqa: SLF001


def main():
    """Serve until the input ends."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 5000))
    for line in sys.stdin:
        failed = []
        for position, (source, name, target) in enumerate(json.loads(line)):
            try:
                with open(source, "rb") as file:  # noqa: PTH123
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
