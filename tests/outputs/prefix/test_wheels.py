"""Wheels in a prefix: every file where installers put it, as uv would, scripts that start, and an honest RECORD."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from prefix_samples import config, lock_of, tree
from support.needs import require
from support.wheels import make_wheel

from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix import build_prefix
from hermetic.outputs.prefix.wheel_link import shebang
from hermetic.store import Store

SITE = "lib/python3.11/site-packages"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with everything that a wheel may have."""
    return make_wheel(
        tmp_path_factory.mktemp("wheels"),
        "every-thing",
        scripts={"every": "every_thing:main", "thing": "every_thing.deep:main"},
        files={
            "every_thing/__init__.py": "def main():\n    print('every')\n",
            "every_thing/deep.py": "def main():\n    print('thing')\n",
            "every_thing/bad.py": "print 'old'\n",
            "every_thing/data.txt": "ü",
            "every_thing/tool.sh": "#!/bin/sh\n",
            "every_thing/__pycache__/old.cpython-311.pyc": "stale",
        },
        data={
            "scripts/raw": "#!python\nimport sys\nprint(sys.executable)\n",
            "scripts/shell": "#!/bin/sh\necho shell\n",
            "headers/every.h": "int x;\n",
            "data/share/every/thing.txt": "shared",
            "data/etc/every.conf": "",
            "purelib/pure.py": "",
            "platlib/plat.py": "",
        },
        executable=["every_thing/tool.sh"],
    )


@pytest.fixture(scope="module")
def prefix(
    tmp_path_factory: pytest.TempPathFactory, channel: Path, archives: list[Path], wheel: Path, store: Store
) -> Path:
    place = tmp_path_factory.mktemp("wheel-env") / "env"
    build_prefix(lock_of(archives, [wheel]), place, store=store, config=config(channel))
    return place


def output(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


def test_every_file_is_in_its_place(prefix: Path) -> None:
    for path in (
        "every_thing/__init__.py", "every_thing/data.txt", "pure.py", "plat.py", "every_thing-1.0.dist-info/RECORD",
    ):  # fmt: skip
        assert (prefix / SITE / path).is_file(), path
    assert (prefix / "include/python3.11/every-thing/every.h").read_text() == "int x;\n"
    assert (prefix / "share/every/thing.txt").read_text() == "shared"
    assert (prefix / "etc/every.conf").is_file()
    assert not (prefix / SITE / "every_thing/__pycache__/old.cpython-311.pyc").exists()


def test_modes_are_what_the_wheel_says(prefix: Path) -> None:
    modes = {path: entry[1] for path, entry in tree(prefix).items() if entry[0] == "file"}
    assert modes[f"{SITE}/every_thing/tool.sh"] == 0o755
    assert modes[f"{SITE}/every_thing/data.txt"] == 0o644
    for name in ("every", "thing", "raw", "shell"):
        assert modes[f"bin/{name}"] == 0o755


def test_scripts_start_with_the_prefixes_python(prefix: Path) -> None:
    assert output(prefix / "bin/every") == "every"
    assert output(prefix / "bin/thing") == "thing"
    assert output(prefix / "bin/shell") == "shell"
    assert output(prefix / "bin/raw") == f"{prefix}/bin/python3.11"


def test_record_lists_all_that_is_there_and_nothing_else(prefix: Path) -> None:
    with (prefix / SITE / "every_thing-1.0.dist-info/RECORD").open(newline="") as file:
        rows = list(csv.reader(file))
    listed = {os.path.normpath(f"{SITE}/{path}") for path, _, _ in rows}
    assert len(rows) == len(listed)
    mine = {path for path in tree(prefix) if "every" in path or path.endswith(("pure.py", "plat.py"))}
    wanted = {path for path in mine if (prefix / path).is_file() and not path.startswith("conda-meta")}
    wanted |= {f"bin/{name}" for name in ("thing", "raw", "shell")}
    compiled = {f"{SITE}/__pycache__/{name}.cpython-311.pyc" for name in ("pure", "plat")}
    assert listed == wanted | compiled
    digests = {path: digest for path, digest, _ in rows}
    assert digests["every_thing/data.txt"].startswith("sha256=")
    assert digests["../../../bin/shell"].startswith("sha256=")
    assert digests["../../../bin/raw"] == digests["../../../bin/every"] == ""


def test_uv_puts_the_same_files_there(
    tmp_path: Path, channel: Path, archives: list[Path], wheel: Path, prefix: Path, store: Store
) -> None:
    uv = shutil.which("uv") or str(Path(os.sys.executable).with_name("uv"))  # type: ignore[attr-defined]
    require(Path(uv).exists(), "there is no uv")
    other = tmp_path / "env"
    build_prefix(lock_of(archives), other, store=store, config=config(channel))
    before = set(tree(other))
    subprocess.run(
        [uv, "pip", "install", "--python", other / "bin/python", "--no-deps", "--no-index", "--break-system-packages",
         "--link-mode", "copy", wheel],
        env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")}, check=True, capture_output=True,
    )  # fmt: skip
    theirs = {path: entry for path, entry in tree(other, times=False).items() if path not in before}
    ours = tree(prefix, times=False)
    known = {"direct_url.json", "REQUESTED", "uv_cache.json", "RECORD", "INSTALLER"}
    compared = 0
    for path, entry in theirs.items():
        if path.rpartition("/")[2] in known or "__pycache__" in path or entry[0] == "folder":
            continue
        assert path in ours, path
        if path.startswith("bin/") and entry[-1].startswith(b"#!/") and b"python" in entry[-1].splitlines()[0]:
            continue  # each has its own way of starting a function
        assert ours[path] == entry, path
        compared += 1
    assert compared > 10


def test_a_record_with_files_missing_is_mended(
    tmp_path: Path, channel: Path, archives: list[Path], store: Store
) -> None:
    """Such wheels exist; their digest in the lock covers all files anyway."""
    import zipfile

    made = make_wheel(tmp_path, "tiny", files={"tiny.py": "", "forgotten.py": "x = 1\n"})
    with zipfile.ZipFile(made) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members.items():
            kept = b"".join(line for line in data.splitlines(keepends=True) if b"forgotten" not in line)
            archive.writestr(zipfile.ZipInfo(name), kept if name.endswith("RECORD") else data)
    build_prefix(lock_of(archives, [made]), tmp_path / "env", store=store, config=config(channel))
    record = (tmp_path / "env" / SITE / "tiny-1.0.dist-info/RECORD").read_text()
    assert "forgotten.py,sha256=" in record


@pytest.mark.parametrize(
    ("interpreter", "line"),
    [
        ("/opt/env/bin/python", b"#!/opt/env/bin/python\n"),
        ("/opt/my env/bin/python", b"#!/bin/sh\n'''exec' '/opt/my env/bin/python' \"$0\" \"$@\"\n' '''\n"),
        (f"/{'a' * 130}/python", b"#!/bin/sh\n'''exec' /" + b"a" * 130 + b"/python \"$0\" \"$@\"\n' '''\n"),
    ],
)
def test_a_first_line_that_the_kernel_would_not_take_is_written_otherwise(interpreter: str, line: bytes) -> None:
    assert shebang(interpreter) == line


def test_wheels_of_an_environment_without_changes_are_not_linked_twice(
    prefix: Path, channel: Path, archives: list[Path], wheel: Path, store: Store
) -> None:
    lock: PlatformLock = lock_of(archives, [wheel])
    assert not build_prefix(lock, prefix, store=store, config=config(channel)).changed
