from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError, MachineError, UsageError
from hermetic.store import Store, boot
from hermetic.store.store import cache_folder, default_root

KEY = "ab" * 32


class TestBlobs:
    def test_bytes_come_back_under_their_digest(self, store: Store) -> None:
        digest = store.put_bytes(b"hello")
        assert digest == sha256_bytes(b"hello")
        assert store.has_blob(digest)
        assert store.blob_path(digest).read_bytes() == b"hello"

    def test_a_blob_is_read_only(self, store: Store) -> None:
        assert stat.S_IMODE(store.blob_path(store.put_bytes(b"x")).stat().st_mode) == 0o444

    def test_a_file_is_copied_in(self, store: Store, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"one")
        digest = store.put_file(file)
        file.write_bytes(b"two")
        assert store.blob_path(digest).read_bytes() == b"one"

    def test_a_file_that_is_not_what_is_expected_leaves_nothing(self, store: Store, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"two")
        with pytest.raises(IntegrityError, match=r"has sha256 .* not "):
            store.put_file(file, expected=sha256_bytes(b"one"))
        assert not list(store.root.glob("blobs/**/*"))
        assert not list(store.root.glob("staging/*/*"))

    def test_a_file_with_a_wrong_content_is_refused_even_if_the_expected_one_is_there(
        self, store: Store, tmp_path: Path
    ) -> None:
        digest = store.put_bytes(b"one")
        file = tmp_path / "file"
        file.write_bytes(b"two")
        with pytest.raises(IntegrityError):
            store.put_file(file, expected=digest)

    def test_a_missing_file_is_the_machines_error(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match="No such file"):
            store.put_file(tmp_path / "gone")

    @pytest.mark.parametrize("name", ["", "abc", "../" * 20 + "a" * 4, "A" * 64, "g" * 64, "a" * 64 + "\n"])
    def test_only_a_sha256_names_a_blob(self, store: Store, name: str) -> None:
        with pytest.raises(UsageError):
            store.blob_path(name)

    def test_an_edited_blob_is_noticed_and_dropped(self, store: Store) -> None:
        path = store.blob_path(store.put_bytes(b"right"))
        path.chmod(0o644)
        path.write_bytes(b"wrong")
        assert not store.has_blob(path.name)
        assert not path.exists()
        assert store.put_bytes(b"right") == path.name
        assert path.read_bytes() == b"right"

    def test_a_touched_blob_is_read_once_and_trusted_again(self, store: Store) -> None:
        path = store.blob_path(store.put_bytes(b"right"))
        os.utime(path)
        assert store.has_blob(path.name)
        assert path.stat().st_mtime == boot.SETTLED

    def test_after_a_power_cut_a_blob_cut_short_is_dropped(self, store: Store) -> None:
        """What ext4 leaves of a file that was renamed to a new name and not yet written: a name without bytes."""
        path = store.blob_path(store.put_bytes(b"right"))
        path.chmod(0o644)
        os.truncate(path, 0)
        boot.stamp(path, 12345)  # the stamp of another boot
        assert not store.has_blob(path.name)

    def test_after_a_reboot_a_whole_blob_is_settled(self, store: Store) -> None:
        path = store.blob_path(store.put_bytes(b"right"))
        boot.stamp(path, 12345)
        assert store.has_blob(path.name)
        assert path.stat().st_mtime == boot.SETTLED

    def test_a_blob_of_this_boot_is_not_read_again(self, store: Store) -> None:
        path = store.blob_path(store.put_bytes(b"right"))
        assert path.stat().st_mtime == boot.this_boot()
        path.chmod(0o644)
        path.write_bytes(b"wrong")
        boot.stamp(path)  # nobody does that; it shows that only the stamp is looked at
        assert store.has_blob(path.name)

    def test_a_blob_that_the_disk_changed_is_found_when_it_is_used(self, store: Store) -> None:
        """A flipped bit leaves no trace in the stamp, so what a tree is made of is read once more."""
        path = store.blob_path(store.put_bytes(b"right"))
        assert store.sound_blob(path.name) == path
        path.chmod(0o644)
        path.write_bytes(b"wrong")
        boot.stamp(path)
        with pytest.raises(IntegrityError, match=r"a\.whl: .*damaged on this disk"):
            Store.open(store.root).sound_blob(path.name, "a.whl")
        assert not store.has_blob(path.name)

    @given(data=st.binary(max_size=5000))
    def test_put_and_get_any_bytes(self, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
        store = Store.open(tmp_path_factory.getbasetemp() / "any")
        assert store.blob_path(store.put_bytes(data)).read_bytes() == data


class TestResults:
    def test_a_result_comes_back(self, store: Store) -> None:
        store.put_result(KEY, {"b": [1, None], "a": "é"})
        assert store.get_result(KEY) == {"a": "é", "b": [1, None]}

    def test_the_newer_result_counts(self, store: Store) -> None:
        store.put_result(KEY, {"a": 1})
        store.put_result(KEY, {"a": 2})
        assert store.get_result(KEY) == {"a": 2}

    @pytest.mark.parametrize("rest", ["", "{", '{"a": ', "[1]", "null", "\0\0"])
    def test_a_damaged_result_counts_as_none(self, store: Store, rest: str) -> None:
        store.put_result(KEY, {"a": 1})
        (store.root / "actions" / KEY[:2] / KEY).write_text(rest)
        assert store.get_result(KEY) is None

    def test_no_result(self, store: Store) -> None:
        assert store.get_result(KEY) is None

    @pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "a\nb"])
    def test_a_key_cannot_leave_its_folder(self, store: Store, key: str) -> None:
        with pytest.raises(UsageError):
            store.put_result(key, {})


class TestTrees:
    def test_a_tree_appears_when_it_is_finished(self, store: Store) -> None:
        with store.new_tree("conda", KEY) as folder:
            (folder / "bin").mkdir()
            (folder / "bin" / "app").write_text("app")
            assert not store.has_tree("conda", KEY)
        assert store.has_tree("conda", KEY)
        assert (store.tree_path("conda", KEY) / "bin" / "app").read_text() == "app"

    def test_a_tree_that_fails_leaves_nothing(self, store: Store) -> None:
        def fail() -> None:
            with store.new_tree("conda", KEY) as folder:
                (folder / "half").write_text("x")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not store.has_tree("conda", KEY)
        assert not list(store.root.glob("staging/*/*"))

    def test_who_comes_second_keeps_the_first(self, store: Store) -> None:
        with store.new_tree("conda", KEY) as late:
            (late / "file").write_text("same")
            with store.new_tree("conda", KEY) as early:
                (early / "file").write_text("same")
            first = (store.tree_path("conda", KEY) / "file").stat().st_ino
        assert (store.tree_path("conda", KEY) / "file").stat().st_ino == first
        assert not list(store.root.glob("staging/*/*"))

    def test_after_a_power_cut_a_tree_with_a_short_file_is_dropped(self, store: Store) -> None:
        with store.new_tree("conda", KEY) as folder:
            (folder / "file").write_text("content")
        path = store.tree_path("conda", KEY)
        os.truncate(path / "file", 0)
        boot.stamp(path, 12345)
        assert not store.has_tree("conda", KEY)
        assert not path.exists()

    def test_after_a_reboot_a_whole_tree_is_settled(self, store: Store) -> None:
        with store.new_tree("conda", KEY) as folder:
            (folder / "link").symlink_to("nowhere")
            (folder / "empty").mkdir()
        path = store.tree_path("conda", KEY)
        boot.stamp(path, 12345)
        assert store.has_tree("conda", KEY)
        assert path.stat().st_mtime == boot.SETTLED

    def test_a_tree_without_its_shape_is_dropped(self, store: Store) -> None:
        with store.new_tree("conda", KEY):
            pass
        path = store.tree_path("conda", KEY)
        path.with_name(f"{KEY}.shape").unlink()
        boot.stamp(path, 12345)
        assert not store.has_tree("conda", KEY)

    def test_read_only_folders_in_a_failed_tree_are_removed_too(self, store: Store) -> None:
        def fail() -> None:
            with store.new_tree("conda", KEY) as folder:
                (folder / "closed").mkdir()
                (folder / "closed" / "file").write_text("x")
                (folder / "closed").chmod(0o500)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not list(store.root.glob("staging/*/*"))


class TestOpening:
    def test_the_environment_says_where(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "there"))
        assert Store.open().root == tmp_path / "there"
        assert (
            (tmp_path / "there" / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
        )

    def test_else_the_users_cache_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert default_root() == tmp_path / "hermetic" / "store"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the XDG specification
        assert cache_folder() == Path.home() / ".cache" / "hermetic"

    def test_a_relative_folder_becomes_absolute(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        assert Store.open(Path("here")).root == tmp_path / "here"

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(MachineError) as caught:
            Store.open(tmp_path / "file" / "store")
        assert "HERMETIC_STORE" in str(caught.value) or "run the command again" in str(caught.value)

    def test_opening_imports_little_and_scans_nothing(self, tmp_path: Path) -> None:
        """No time is asserted: what costs time is what is loaded and what is listed."""
        code = (
            "import sys, os\n"
            "def watch(event, args):\n"
            "    if event in {'os.listdir', 'os.scandir'} and sys.argv[1] in str(args): raise SystemExit('it scans')\n"
            "from hermetic.store import Store\n"
            "sys.addaudithook(watch)\n"
            "Store.open(__import__('pathlib').Path(sys.argv[1]))\n"
            "print(*sys.modules)"
        )
        for _ in range(2):
            run = subprocess.run(
                [sys.executable, "-c", code, str(tmp_path / "store")], capture_output=True, text=True, check=True
            )
        heavy = {"filelock", "urllib3", "zstandard", "platformdirs", "asyncio", "zipfile", "http", "ssl", "rattler"}
        assert not heavy & set(run.stdout.split())


class TestLocks:
    def test_a_lock_is_held_against_other_processes(self, store: Store) -> None:
        code = (
            "import sys, pathlib; from hermetic.store import Store; from hermetic.events import Silent\n"
            "class Loud(Silent):\n    def say(self, message): print(message, flush=True)\n"
            "with Store(pathlib.Path(sys.argv[1])).lock('x', reporter=Loud()): print('got it')"
        )
        with store.lock("x"):
            child = subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True)
            assert child.stdout
            assert child.stdout.readline() == "waiting for another hermetic (x)\n"
            assert child.poll() is None
        assert child.communicate()[0] == "got it\n"

    def test_a_lock_is_free_when_its_holder_is_killed(self, store: Store) -> None:
        code = (
            "import sys, pathlib, time; from hermetic.store import Store\n"
            "with Store(pathlib.Path(sys.argv[1])).lock('x'):\n    print('got it', flush=True); time.sleep(60)"
        )
        child = subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True)
        assert child.stdout
        assert child.stdout.readline() == "got it\n"
        child.kill()
        child.wait()
        child.stdout.close()
        with store.lock("x"):
            pass
