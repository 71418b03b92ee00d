"""Compiled modules: the same bytes whatever was compiled before, and as Python's own."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import shutil
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest
from lock_samples import conda

from hermetic.errors import BuildError
from hermetic.realize import pyc_worker
from hermetic.realize.pyc import Interpreter, Source, interpreter, pyc_path, pyc_trees
from hermetic.store import Store

PACKAGE = conda("python", "3.11.9")
PYTHON = Interpreter(PACKAGE, Path(sys.executable), sys.implementation.cache_tag or "")
TEXT = """
\"\"\"Doc.\"\"\"
import os
NAMES = {"beta", "alpha"}
SLICE = NAMES and "x"["a" : "b"] if False else ()

def known(word, *, deep=(1, ("nested", "tuple"))):
    def inner():
        return f"[{word}] ({deep})" in {"p q", "]", "[", "alpha"}
    return inner, word in ("one", "two"), b"", "", 1.5, 2**70
"""


WORKER = Path(pyc_worker.__file__).read_text().replace('if __name__ == "__main__":\n    main()\n', "")
PLAIN = "import marshal, sys\ndef pyc(source, name):\n    return marshal.dumps(compile(source, name, 'exec'))\n"


def pythons() -> list[str]:
    """Give the Pythons of this machine that can make such pyc files: ours, and others where there are some."""
    beside = Path(sys.base_prefix).parent.glob("3.*/bin/python3")
    found = [shutil.which(f"python3.{minor}") for minor in range(7, 20)] + [str(path) for path in beside]
    versions = {}
    for python in filter(None, found):
        ask = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([python, "-S", "-c", ask], capture_output=True, text=True, check=False)
        version = done.stdout.strip()
        if done.returncode == 0 and tuple(map(int, version.split("."))) >= (3, 7):
            versions.setdefault(version, python)
    return [sys.executable, *(versions[version] for version in sorted(versions))]


def compile_after(*before: str, worker: str = WORKER, python: str = sys.executable) -> bytes:
    """Compile TEXT in a process that has run and compiled other things first."""
    code = "".join(before) + f"\nsys.stdout.buffer.write(pyc({TEXT!r}.encode(), 'lib/x.py'))\n"
    done = subprocess.run(
        [python, "-S", "-c", worker + code], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("python", pythons())
def test_what_ran_before_leaves_no_trace(python: str) -> None:
    alone = compile_after(python=python)
    held = "kept = [sys.intern(t) for t in (']', '[', ') (', 'beta', 'inner', 'word', 'p q', 'lib/x.py', 'nested')]\n"
    assert compile_after(held, python=python) == alone
    assert compile_after("import asyncio, email, http.client, xml.dom.minidom, unittest\n", python=python) == alone
    compiled = f"pyc(open(json.__file__, 'rb').read(), 'a')\nother = compile({TEXT!r}, 'lib/x.py', 'exec')\n"
    assert compile_after(compiled, python=python) == alone


def test_without_care_it_would() -> None:
    """The test above can fail: what Python's own compileall writes tells what ran before."""
    assert compile_after(worker=PLAIN) != compile_after("kept = sys.intern(']')\n", worker=PLAIN)


def test_it_is_a_pyc_that_python_takes_without_looking_at_the_source() -> None:
    data = pyc_worker.pyc(TEXT.encode(), "lib/x.py")
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\1\0\0\0"
    code = marshal.loads(data[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "lib/x.py"
    assert code == compile(TEXT, "lib/x.py", "exec", dont_inherit=True)


def test_modules_that_do_not_compile_are_left_out(tmp_path: Path) -> None:
    texts = {
        "good": b"x = 1\n",
        "python2": b"print 'x'\n",
        "null": b"x = '\0'\n",
        "latin": b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        "undecodable": b"x = '\xe9'\n",
        "unknown": b"# coding: nonsense\n",
        "deep": b"x = " + b"(" * 3000 + b")" * 3000 + b"\n",
    }
    sources = []
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_bytes(text)
        sources.append(Source(f"lib/{name}.py", name, str(tmp_path / f"{name}.py")))
    (tree,) = pyc_trees(Store.open(tmp_path / "store"), PYTHON, [sources], jobs=2)
    made = {entry.path for entry in tree.listing.entries if entry.kind == "file"}
    assert made == {pyc_path(f"lib/{name}.py", PYTHON.tag) for name in ("good", "latin")}
    assert tree.listing.about["skipped"] == sorted(f"lib/{name}.py" for name in texts if name not in ("good", "latin"))


def test_job_count_and_grouping_leave_no_trace(tmp_path: Path) -> None:
    sources = []
    for number in range(60):
        file = tmp_path / f"m{number}.py"
        file.write_text(TEXT + f"\nvalue = {number}\n" * (number % 7))
        sources.append(Source(f"lib/m{number}.py", str(number), str(file)))
    (one,) = pyc_trees(Store.open(tmp_path / "one"), PYTHON, [sources], jobs=1)
    parts = pyc_trees(Store.open(tmp_path / "two"), PYTHON, [sources[40:], sources[:40]], jobs=4)
    together = {e.path: e.sha256 for tree in parts for e in tree.listing.entries}
    assert together == {e.path: e.sha256 for e in one.listing.entries}


def test_what_is_compiled_once_is_not_compiled_again(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text("x = 1\n")
    store = Store.open(tmp_path / "store")
    first = pyc_trees(store, PYTHON, [[Source("lib/m.py", "d", str(file))]])
    file.unlink()
    broken = Interpreter(PACKAGE, tmp_path / "no-python", PYTHON.tag)
    assert pyc_trees(store, broken, [[Source("lib/m.py", "d", str(file))]]) == first


def test_a_python_that_dies_is_explained(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'Illegal instruction' >&2\nexit 132\n")
    script.chmod(0o755)
    (tmp_path / "m.py").write_text("")
    broken = Interpreter(PACKAGE, script, PYTHON.tag)
    store = Store.open(tmp_path / "store")
    with pytest.raises(BuildError, match="Illegal instruction"):
        pyc_trees(store, broken, [[Source("lib/m.py", "d", str(tmp_path / "m.py"))]])
    assert len(pyc_trees(store, PYTHON, [[Source("lib/m.py", "d", str(tmp_path / "m.py"))]])) == 1
    with pytest.raises(BuildError, match=r"python 3\.11\.9 does not run on this machine: Illegal instruction"):
        interpreter(PACKAGE, script)
    with pytest.raises(BuildError, match="does not run"):
        interpreter(PACKAGE, tmp_path / "none")


def test_an_interpreter_tells_its_tag() -> None:
    assert interpreter(PACKAGE, Path(sys.executable)) == PYTHON


def test_the_worker_needs_nothing_newer_than_python_3_7() -> None:
    ast.parse(Path(pyc_worker.__file__).read_text(), feature_version=(3, 7))
