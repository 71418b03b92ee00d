"""ELF files are read as patchelf and the loader read them, and slimming one does not change what it does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.needs import require

from hermetic.errors import UsageError
from hermetic.outputs.channel.elf import parse_elf, read_elf, strip
from hermetic.outputs.channel.interpreter import ask
from hermetic.outputs.channel.libraries import this_machine
from hermetic.outputs.channel.patch import forget_folder, patchelf, relocate, set_run_path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")


def samples() -> list[Path]:
    """Files that every machine with this test has: the interpreter, what it loads, an extension module."""
    with Path("/proc/self/maps").open() as maps:
        loaded = {line.split(None, 5)[5].rstrip() for line in maps if ".so" in line and "(deleted)" not in line}
    wanted = sorted(path for path in loaded if re.search(r"/(lib|_|math)", path))[:12]
    return [Path(sys.executable).resolve(), *map(Path, wanted)]


def asked(path: Path, question: str) -> list[str]:
    done = subprocess.run([patchelf(), question, path], capture_output=True, text=True, check=False)
    return done.stdout.split()


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_the_dynamic_section_is_read_as_patchelf_reads_it(path: Path) -> None:
    elf = read_elf(path)
    assert elf is not None
    assert list(elf.needed) == asked(path, "--print-needed")
    assert [elf.soname] * bool(elf.soname) == asked(path, "--print-soname")
    run_path = ":".join(elf.runpath or elf.rpath)
    assert [run_path] * bool(run_path) == asked(path, "--print-rpath")
    assert [elf.interpreter] * bool(elf.interpreter) == asked(path, "--print-interpreter")


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_the_glibc_that_is_needed_is_what_readelf_lists(path: Path) -> None:
    require(shutil.which("readelf"), "readelf is not installed")
    text = subprocess.run(["readelf", "-VW", path], capture_output=True, text=True, check=True).stdout
    needs = text[text.index("Version needs section") :] if "Version needs section" in text else ""
    versions = [tuple(map(int, v.split("."))) for v in re.findall(r"Name: GLIBC_(\d[\d.]*)", needs)]
    if "GLIBC_ABI_DT_RELR" in needs:
        versions.append((2, 36))
    elf = read_elf(path)
    assert elf is not None
    assert elf.glibc == max(versions, default=())


def test_what_is_no_elf_file_is_none(tmp_path: Path) -> None:
    script = tmp_path / "libc.so"
    script.write_text("/* GNU ld script */ GROUP ( /lib/libc.so.6 )\n")
    assert read_elf(script) is None


def test_a_slimmed_interpreter_runs_and_is_smaller(tmp_path: Path) -> None:
    python = ask()
    for path in [
        python.executable,
        *(lib.path for lib in this_machine().closure({python.executable: read_elf(python.executable)})[0]),
    ]:  # type: ignore[dict-item]
        slim = tmp_path / path.name
        slim.write_bytes(strip(path.read_bytes()))
        slim.chmod(0o755)
        assert slim.stat().st_size <= path.stat().st_size
        before, after = read_elf(path), read_elf(slim)
        assert before == after
    run = subprocess.run(
        [tmp_path / python.executable.name, "-S", "-c", "import zlib, math; print(math.floor(3.5))"],
        env={"LD_LIBRARY_PATH": str(tmp_path), "PYTHONHOME": str(python.prefix)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "3\n", run.stderr


def test_slimming_twice_changes_nothing() -> None:
    data = strip(Path(sys.executable).resolve().read_bytes())
    assert strip(data) == data


BASE = (Path(sys.executable).resolve().read_bytes()[:60_000]) if sys.platform == "linux" else b""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 60_000))
def test_damaged_files_are_refused_in_our_words(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(BASE[:length])
    for place, value in changes:
        if place < len(data):
            data[place] = value
    assert isinstance(strip(bytes(data)), bytes)
    with suppress(UsageError):  # any other error is a failure
        parse_elf(bytes(data))


def test_relocated_files_look_below_the_prefix(tmp_path: Path) -> None:
    library = next(p for p in samples() if ".so" in p.name)
    deep = relocate(library, "lib/python3.11/lib-dynload/m.so", tmp_path / "deep")
    assert read_elf(deep).runpath == ("$ORIGIN/../..",)  # type: ignore[union-attr]
    flat = relocate(library, "lib/libm.so", tmp_path / "flat")
    assert read_elf(flat).runpath == ("$ORIGIN",)  # type: ignore[union-attr]
    program = relocate(Path(sys.executable).resolve(), "bin/python", tmp_path / "program", program=True)
    elf = read_elf(program)
    assert elf is not None
    assert (elf.rpath, elf.runpath) == (("$ORIGIN/../lib",), ())


def test_a_file_that_patchelf_refuses_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"\x7fELF" + os.urandom(64))
    with pytest.raises(Exception, match=r"patchelf failed on broken\.so"):
        set_run_path(broken, "$ORIGIN")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0/home/someone/versions/3.11.7\0", b"\0/opt/python///////////3.11.7\0"),
        (b"/home/someone/versions/3.11.7/lib:x\0", b"/opt/python///////////3.11.7/lib:x\0"),
        (b"\0/usr/lib\0", b"\0/usr/lib\0"),
    ],
)
def test_the_folder_of_who_built_it_is_forgotten_at_the_same_length(data: bytes, expected: bytes) -> None:
    # the end of a string may be another string: linkers share tails, and "3.11.7" is also the version
    found = forget_folder(data, "/home/someone/versions/3.11.7")
    assert len(found) == len(data)
    assert found.replace(b"/", b"") == expected.replace(b"/", b"")
    assert b"someone" not in found


def test_a_folder_too_short_to_hide_in_stays() -> None:
    assert forget_folder(b"\0/usr/lib\0", "/usr") == b"\0/usr/lib\0"
