"""A prefix is built from a lock, works, says what it is, and is left alone when nothing has changed."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prefix_samples import config, from_channel, lock_of, tree
from support.wheels import make_wheel

from hermetic.errors import UsageError
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix import build_prefix, is_current, read_state, verify_prefix
from hermetic.plan.files import MTIME
from hermetic.platforms import current_platform
from hermetic.store import Store


def run(prefix: Path, *command: str) -> str:
    done = subprocess.run([prefix / "bin" / command[0], *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, channel: Path, archives: list[Path], store: Store
) -> tuple[Path, PlatformLock]:
    """Build an environment of conda packages, noarch ones among them, and a wheel, once for the tests here."""
    folder = tmp_path_factory.mktemp("built")
    tool = make_wheel(
        folder, "my-tool", scripts={"my-tool": "my_tool:main"}, data={"scripts/raw": "#!python\nprint(3)\n"}
    )
    lock = lock_of(
        [*archives, *from_channel(channel, "requests", "idna", "urllib3", "certifi", "charset-normalizer")],
        [tool],
        variables={"GREETING": "good morning"},
    )
    build_prefix(lock, folder / "env", store=store, config=config(channel))
    return folder / "env", lock


def test_what_is_built_runs(built: tuple[Path, PlatformLock]) -> None:
    prefix, _ = built
    assert run(prefix, "python", "-c", "import sys; print(sys.prefix)") == str(prefix)
    assert run(prefix, "python", "-c", "import requests, ssl, sqlite3; print(requests.__name__)") == "requests"
    assert run(prefix, "prefix-probe") == str(prefix)
    assert run(prefix, "my-tool") == "1.0"
    assert run(prefix, "raw") == "3"
    assert "usage" in run(prefix, "idna", "--help").lower()


def test_every_module_has_its_pyc_and_none_is_written_when_it_runs(built: tuple[Path, PlatformLock]) -> None:
    prefix, _ = built
    before = tree(prefix)
    sources = [path for path in before if path.startswith("lib/python") and path.endswith(".py")]
    compiled = [path for path in before if path.endswith(".pyc")]
    assert len(sources) == len(compiled) > 500
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([prefix / "bin/python", "-c", "import requests, json, my_tool"], check=True, env=clean)
    assert tree(prefix) == before


def test_conda_clients_can_read_it(built: tuple[Path, PlatformLock]) -> None:
    from rattler import PrefixRecord

    prefix, lock = built
    records = {}
    for path in (prefix / "conda-meta").glob("*.json"):
        record = PrefixRecord.from_path(path)
        records[record.name.normalized] = record
    assert sorted(records) == [package.name for package in lock.conda]
    python = records["python"]
    assert str(python.version) == next(p.version for p in lock.conda if p.name == "python")
    assert python.channel == "demo"
    assert python.url.endswith(f"/demo/linux-64/{python.file_name}")
    for record in records.values():
        for file in record.files:
            assert os.path.lexists(prefix / file), file
    owned = {str(file) for record in records.values() for file in record.files}
    assert any("/requests/__pycache__/api.cpython-" in path for path in owned)


def test_what_conda_meta_says_of_files_is_true(built: tuple[Path, PlatformLock]) -> None:
    from hashlib import sha256

    prefix, _ = built
    for path in (prefix / "conda-meta").glob("*.json"):
        for item in json.loads(path.read_bytes())["paths_data"]["paths"]:
            if "sha256" in item and "prefix_placeholder" not in item:
                data = (prefix / item["_path"]).read_bytes()
                assert (item["sha256"], item["size_in_bytes"]) == (sha256(data).hexdigest(), len(data)), item


def test_nothing_of_this_machine_is_in_it(built: tuple[Path, PlatformLock], channel: Path, store: Store) -> None:
    prefix, _ = built
    for path in prefix.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            for trace in (str(channel), str(store.root), ".hermetic-"):
                assert trace.encode() not in data, (path, trace)


def test_modes_and_times_are_the_same_for_all(built: tuple[Path, PlatformLock]) -> None:
    for path, entry in tree(built[0]).items():
        if entry[0] != "link":
            assert entry[1] in ({0o755} if entry[0] == "folder" else {0o644, 0o755}), path
        assert entry[2 if entry[0] != "link" else 1] == MTIME * 10**9, path


def test_an_installer_sees_the_wheel_as_installed(built: tuple[Path, PlatformLock]) -> None:
    from importlib.metadata import Distribution

    prefix, _ = built
    site = next(prefix.glob("lib/python*/site-packages"))
    found = Distribution.at(site / "my_tool-1.0.dist-info")
    assert found.read_text("INSTALLER") == "hermetic\n"
    files = {str(file): file for file in found.files or ()}
    assert "../../../bin/my-tool" in files
    assert "my_tool.py" in files
    assert any(name.startswith("__pycache__/my_tool.") for name in files)
    for file in files.values():
        assert file.locate().is_file()
        if file.hash and file.hash.mode:
            from base64 import urlsafe_b64encode
            from hashlib import sha256

            digest = urlsafe_b64encode(sha256(file.read_binary()).digest()).rstrip(b"=").decode()
            assert (file.hash.mode, file.hash.value) == ("sha256", digest)
            assert file.size == len(file.read_binary())


def test_a_second_build_has_nothing_to_do(built: tuple[Path, PlatformLock], store: Store) -> None:
    prefix, lock = built
    before = prefix.stat().st_ino
    result = build_prefix(lock, prefix, store=store, config=config())
    assert not result.changed
    assert prefix.stat().st_ino == before
    assert is_current(prefix, lock.key())


def test_a_state_tells_what_was_built(built: tuple[Path, PlatformLock]) -> None:
    prefix, lock = built
    state = read_state(prefix)
    assert state
    assert (state.key, state.platform, state.prefix) == (lock.key(), lock.platform, str(prefix))
    assert read_state(prefix.parent) is None
    assert not is_current(prefix, "0" * 64)


def test_another_lock_replaces_what_was_there(
    tmp_path: Path, python_lock: PlatformLock, store: Store, channel: Path
) -> None:
    prefix = tmp_path / "env"
    build_prefix(python_lock, prefix, store=store, config=config(channel))
    (prefix / "added").write_text("by hand")
    more = replace(python_lock, conda=(*python_lock.conda, *lock_of(from_channel(channel, "idna")).conda))
    result = build_prefix(more, prefix, store=store, config=config(channel))
    assert result.changed
    assert run(prefix, "python", "-c", "import idna; print(idna.__name__)") == "idna"
    assert not (prefix / "added").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["env"]


def test_a_moved_prefix_is_not_taken_for_current(tmp_path: Path, python_lock: PlatformLock, store: Store) -> None:
    build_prefix(python_lock, tmp_path / "old", store=store, config=config())
    (tmp_path / "old").rename(tmp_path / "new")
    assert not is_current(tmp_path / "new", python_lock.key())
    assert build_prefix(python_lock, tmp_path / "new", store=store, config=config()).changed
    assert run(tmp_path / "new", "prefix-probe") == str(tmp_path / "new")


def test_an_environment_may_be_empty(tmp_path: Path, store: Store) -> None:
    lock = PlatformLock(current_platform(), ())
    assert build_prefix(lock, tmp_path / "env", store=store, config=config()).changed
    assert verify_prefix(tmp_path / "env", lock, store=store, config=config()) == ()


def test_a_lock_for_another_platform_is_refused_unless_asked_for(tmp_path: Path, channel: Path, store: Store) -> None:
    lock = lock_of(from_channel(channel, "accel", subdirs=["win-64"]), platform="win-64")
    with pytest.raises(UsageError, match="cannot build an environment for win-64"):
        build_prefix(lock, tmp_path / "env", store=store, config=config(channel))
    assert not (tmp_path / "env").exists()
    assert build_prefix(lock, tmp_path / "env", store=store, config=config(channel), foreign=True).changed


def test_it_builds_where_an_event_loop_runs_already(tmp_path: Path, python_lock: PlatformLock, store: Store) -> None:
    import asyncio

    async def in_a_notebook() -> bool:
        return build_prefix(python_lock, tmp_path / "env", store=store, config=config()).changed

    assert asyncio.run(in_a_notebook())


@pytest.mark.parametrize("name", ["with space", "é ü", "quote'd", "a" * 120])
def test_folders_with_unusual_names_hold_an_environment(
    tmp_path: Path, archives: list[Path], store: Store, name: str
) -> None:
    tool = make_wheel(tmp_path, "my-tool", scripts={"my-tool": "my_tool:main"})
    build_prefix(lock_of(archives, [tool]), tmp_path / name, store=store, config=config())
    assert run(tmp_path / name, "my-tool") == "1.0"
    assert run(tmp_path / name, "prefix-probe") == str(tmp_path / name)


def test_a_path_too_long_for_a_package_is_refused(tmp_path: Path, python_lock: PlatformLock, store: Store) -> None:
    prefix = tmp_path / ("a" * 200) / ("b" * 100)
    with pytest.raises(UsageError, match="longer than") as error:
        build_prefix(python_lock, prefix, store=store, config=config())
    assert "shorter" in (error.value.remedy or "")
    assert not prefix.exists()
