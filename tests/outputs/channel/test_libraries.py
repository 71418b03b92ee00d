"""Libraries are found as the loader finds them, and what belongs to glibc is left to the host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.needs import require, suits

from hermetic.errors import UsageError
from hermetic.outputs.channel.elf import Elf, read_elf
from hermetic.outputs.channel.interpreter import ask
from hermetic.outputs.channel.libraries import (
    Library,
    Loader,
    expand,
    glibc_requirement,
    is_glibc,
    package_name,
    package_version,
    parse_cache,
    this_machine,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the loader is Linux's")
KIND = (2, 1, 62)


def test_the_loaders_cache_is_read_as_ldconfig_lists_it() -> None:
    program = shutil.which("ldconfig", path="/sbin:/usr/sbin:/usr/bin:/bin")
    require(program and Path("/etc/ld.so.cache").is_file(), "ldconfig is not installed")
    assert program
    listed = subprocess.run([program, "-p"], capture_output=True, text=True, check=True).stdout
    expected = [(m[1], m[2]) for m in re.finditer(r"(?m)^\s+(\S+) \(.*\) => (\S+)$", listed)]
    found = parse_cache(Path("/etc/ld.so.cache").read_bytes())
    assert sorted((name, path) for name, paths in found.items() for path in paths) == sorted(expected)


def test_a_cache_of_another_kind_is_empty() -> None:
    assert parse_cache(b"ld.so-1.7.0\0" + bytes(100)) == {}


def test_everything_that_this_python_loads_is_found() -> None:
    """What the real loader mapped for a few modules is in the closure, from the same file."""
    modules = "ssl, sqlite3, lzma, bz2, ctypes, zlib"
    code = f"import {modules}\nfor l in open('/proc/self/maps'):\n  if '.so' in l: print(l.split(None, 5)[5].rstrip())"
    python = ask()
    done = subprocess.run([python.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    suits(done.returncode == 0, f"this Python lacks some of {modules}")
    mapped = {Path(line).resolve() for line in done.stdout.splitlines()}
    extensions = {path for path in mapped if "lib-dynload" in str(path)}
    roots = {path: elf for path in [python.executable, *extensions] if (elf := read_elf(path))}
    libraries, missing = this_machine().closure(roots)
    assert not missing
    found = {library.path.resolve() for library in libraries}
    theirs = {path for path in mapped - extensions if not is_glibc(path.name) and not path.name.startswith("ld")}
    assert {path for path in theirs if not re.match(r"libc-|libm-|libdl-|libpthread-", path.name)} <= found


def test_the_loaders_order_is_kept(tmp_path: Path) -> None:
    source = next(lib for lib in this_machine().closure({ask().executable: read_elf(ask().executable)})[0]).path  # type: ignore[dict-item]
    folders = {}
    for name in ("rpath", "inherited", "environment", "runpath"):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        shutil.copy(source, folders[name] / "libx.so.1")
    needing = tmp_path / "needing.so"
    own = read_elf(source)
    assert own is not None
    loader = Loader((str(folders["environment"]),), root=tmp_path / "nothing")

    def found(elf: Elf) -> str:
        library = loader.find("libx.so.1", needing, elf, [str(folders["inherited"])])
        assert library is not None
        return library.path.parent.name

    # ld.so(8): DT_RPATH (of the file and its loaders, unless it has DT_RUNPATH), LD_LIBRARY_PATH, DT_RUNPATH
    assert found(Elf(own.kind, rpath=("$ORIGIN/rpath",))) == "rpath"
    assert found(Elf(own.kind)) == "inherited"
    assert found(Elf(own.kind, rpath=("$ORIGIN/rpath",), runpath=("${ORIGIN}/runpath",))) == "environment"
    (folders["environment"] / "libx.so.1").unlink()
    assert found(Elf(own.kind, rpath=("$ORIGIN/rpath",), runpath=("${ORIGIN}/runpath",))) == "runpath"


def test_a_library_of_another_machine_is_passed_over(tmp_path: Path) -> None:
    data = bytearray(Path(sys.executable).resolve().read_bytes())
    elf = read_elf(Path(sys.executable).resolve())
    assert elf is not None
    data[18] ^= 0x7F  # e_machine
    (tmp_path / "libx.so").write_bytes(data)
    loader = Loader((str(tmp_path),), root=tmp_path)
    assert loader.find("libx.so", tmp_path / "a", elf) is None
    libraries, missing = loader.closure({tmp_path / "a": Elf(elf.kind, needed=("libx.so", "libc.so.6"))})
    assert (libraries, missing) == ([], ["libx.so"])


def test_run_paths_are_put_in() -> None:
    needing = Path("/opt/x/lib/a.so")
    assert expand(["$ORIGIN/../b", "${ORIGIN}", "/abs", "$LIB/x"], needing) == ["/opt/x/lib/../b", "/opt/x/lib", "/abs"]


@pytest.mark.parametrize(
    ("soname", "name"),
    [
        ("libssl.so.3", "sys-libssl3"),
        ("libstdc++.so.6", "sys-libstdcxx6"),
        ("libbz2.so.1.0", "sys-libbz2-1.0"),
        ("libgcc_s.so.1", "sys-libgcc_s1"),
        ("libFoo-2.4.so", "sys-libfoo-2.4"),
    ],
)
def test_a_librarys_package_is_named_after_its_soname(soname: str, name: str) -> None:
    assert package_name(soname) == name


def test_a_librarys_version_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "libz.so.1.2.13").write_bytes(b"")
    (tmp_path / "libz.so.1").symlink_to("libz.so.1.2.13")
    assert package_version(Library("libz.so.1", tmp_path / "libz.so.1", Elf(KIND))) == "1.2.13"
    assert package_version(Library("libz.so.1", tmp_path / "x", Elf(KIND, soname="libz.so.7"))) == "7"
    assert package_version(Library("libz.so", tmp_path / "x", Elf(KIND))) == "0"


def test_the_newest_glibc_of_all_files_is_required() -> None:
    files = [Elf(KIND, glibc=(2, 9)), Elf(KIND, glibc=(2, 17)), Elf(KIND)]
    assert glibc_requirement(files) == ("__glibc >=2.17,<3.0.a0",)
    assert glibc_requirement([Elf(KIND)]) == ()


def test_glibcs_own_libraries_are_known() -> None:
    assert all(map(is_glibc, ["libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libm.so.6"]))
    assert not any(map(is_glibc, ["libcrypt.so.1", "libstdc++.so.6", "libnsl.so.2", "libz.so.1"]))


def test_without_glibc_no_channel_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "confstr")  # as on Windows; on macOS it knows of no glibc
    with pytest.raises(UsageError, match="only on Linux with glibc"):
        this_machine()
