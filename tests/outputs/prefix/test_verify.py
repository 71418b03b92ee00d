"""A prefix is proved against its lock, file by file; what was changed, added or lost is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from prefix_samples import addresses, config, lock_of
from support.channel import Link, write_package
from support.wheels import make_wheel

from hermetic.errors import OfflineError, UsageError
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix import Finding, build_prefix, read_state, verify_prefix
from hermetic.outputs.prefix.state import STATE_FILE, State
from hermetic.store import Store


@pytest.fixture
def made(tmp_path: Path, store: Store) -> tuple[Path, PlatformLock, dict[str, str]]:
    """Build a small environment, and give where, from what, and where its archives are."""
    python = write_package(
        tmp_path, "python", "3.11.9", build="h0_0_cpython", subdir="linux-64", files={"lib/python3.11/os.py": ""}
    )
    files = {"bin/tool": "#!/bin/sh\n", "share/a": "12345", "share/b/c": "", "share/b/d": "", "lib/m": ""}
    one = write_package(tmp_path, "one", files={**files, "lib/l": Link("m")})
    wheel = make_wheel(tmp_path, "two")
    lock = lock_of([python, one], [wheel], variables={"A": "1"})
    known = addresses([python, one])
    build_prefix(lock, tmp_path / "env", store=store, config=config(), addresses=known)
    return tmp_path / "env", lock, known


def check(made: tuple[Path, PlatformLock, dict[str, str]], store: Store, **more: object) -> tuple[Finding, ...]:
    prefix, lock, known = made
    return verify_prefix(prefix, lock, store=store, config=config(), addresses=known, **more)  # type: ignore[arg-type]


def test_an_untouched_prefix_is_proved(made: tuple[Path, PlatformLock, dict[str, str]], store: Store) -> None:
    assert check(made, store) == ()


def test_times_do_not_count(made: tuple[Path, PlatformLock, dict[str, str]], store: Store) -> None:
    os.utime(made[0] / "share/a", (5, 5))
    assert check(made, store) == ()


def test_every_kind_of_difference_is_named(made: tuple[Path, PlatformLock, dict[str, str]], store: Store) -> None:
    prefix = made[0]
    (prefix / "share/a").write_text("54321")  # as long as before
    (prefix / "lib/python3.11/site-packages/two.py").write_text("longer than it was\n" * 9)
    (prefix / "added").write_text("")
    (prefix / "new").mkdir()
    (prefix / "new/inner").write_text("")
    (prefix / "share/b/c").unlink()
    (prefix / "bin/tool").chmod(0o777)
    (prefix / "lib/l").unlink()
    (prefix / "lib/l").symlink_to("elsewhere")
    (prefix / "share/b/d").unlink()
    (prefix / "share/b/d").mkdir()
    found = {finding.path: finding for finding in check(made, store)}
    kinds = {path: finding.kind for path, finding in found.items()}
    assert kinds == {
        "added": "added",
        "bin/tool": "mode",
        "lib/l": "target",
        "lib/python3.11/site-packages/two.py": "changed",
        "new": "added",
        "share/a": "changed",
        "share/b/c": "lost",
        "share/b/d": "kind",
    }
    assert found["bin/tool"].detail == "0777, not 0755"
    assert found["lib/l"].detail == "points to elsewhere, not m"
    assert found["share/a"].to_dict() == {
        "path": "share/a",
        "kind": "changed",
        "detail": "other content of the same size",
    }


def test_a_lost_folder_is_named_once(made: tuple[Path, PlatformLock, dict[str, str]], store: Store) -> None:
    for name in ("share/b/c", "share/b/d"):
        (made[0] / name).unlink()
    (made[0] / "share/b").rmdir()
    assert [(finding.path, finding.kind) for finding in check(made, store)] == [("share/b", "lost")]


def test_the_prefix_is_not_believed(made: tuple[Path, PlatformLock, dict[str, str]], store: Store) -> None:
    """Whoever edits a file may edit all that describes it, too."""
    prefix, lock, _ = made
    (prefix / "share/a").write_text("54321")
    record = next((prefix / "conda-meta").glob("one-*.json"))
    from hashlib import sha256

    old, new = sha256(b"12345").hexdigest(), sha256(b"54321").hexdigest()
    record.write_text(record.read_text().replace(old, new))
    found = {finding.path for finding in check(made, store)}
    assert found == {"share/a", f"conda-meta/{record.name}"}
    assert read_state(prefix)
    forged = State(lock.key(), lock.platform, str(prefix), "run")
    (prefix / STATE_FILE).write_text(forged.to_text())
    assert "share/a" in {finding.path for finding in check(made, store)}


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"format": 9}'])
def test_a_damaged_note_is_a_finding(made: tuple[Path, PlatformLock, dict[str, str]], store: Store, text: str) -> None:
    (made[0] / STATE_FILE).write_text(text)
    assert check(made, store) == (Finding(STATE_FILE, "changed", "hermetic's own note was edited"),)


def test_another_store_comes_to_the_same_judgement(
    made: tuple[Path, PlatformLock, dict[str, str]], tmp_path: Path
) -> None:
    """What has to be there is worked out from the lock where no store remembers it."""
    other = Store.open(tmp_path / "other")
    assert check(made, other) == ()
    (made[0] / "share/a").write_text("54321")
    fresh = Store.open(tmp_path / "fresh")
    assert [finding.path for finding in check(made, fresh)] == ["share/a"]
    assert not [path for path in made[0].parent.iterdir() if path.name.startswith(".")]


def test_what_the_store_remembers_is_checked_before_it_is_believed(
    made: tuple[Path, PlatformLock, dict[str, str]], tmp_path: Path
) -> None:
    own = Store.open(tmp_path / "own")
    assert check(made, own) == ()
    for blob in (own.root / "blobs").rglob("*"):
        if blob.is_file() and b'"share/a"' in blob.read_bytes():
            blob.chmod(0o644)
            blob.write_bytes(blob.read_bytes().replace(b"share/a", b"share/z"))
    assert check(made, own) == ()


def test_another_lock_is_told(made: tuple[Path, PlatformLock, dict[str, str]], store: Store) -> None:
    prefix, lock, known = made
    other = (prefix, replace(lock, variables=(("A", "2"),)), known)
    found = {finding.path: finding for finding in check(other, store)}
    assert found.keys() == {STATE_FILE, "conda-meta/state"}
    assert found[STATE_FILE].detail == "it was built from another lock"


def test_a_moved_prefix_is_told(made: tuple[Path, PlatformLock, dict[str, str]], store: Store) -> None:
    prefix, lock, known = made
    prefix.rename(prefix.with_name("moved"))
    found = {f.path: f.detail for f in check((prefix.with_name("moved"), lock, known), store)}
    assert found == {STATE_FILE: f"it was built for {prefix}"}


def test_a_folder_that_is_none_of_ours_is_refused(tmp_path: Path, store: Store) -> None:
    lock = PlatformLock("linux-64", ())
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="no environment that hermetic built"):
            verify_prefix(folder, lock, store=store, config=config())


def test_offline_it_says_what_is_missing(made: tuple[Path, PlatformLock, dict[str, str]], tmp_path: Path) -> None:
    prefix, lock, _ = made
    remote = {package.sha256: f"http://127.0.0.1:9/{package.file_name}" for package in lock.conda}
    with pytest.raises(OfflineError, match=r"python-3\.11\.9|one-1\.0"):
        verify_prefix(
            prefix, lock, store=Store.open(tmp_path / "empty"), config=config(), addresses=remote, offline=True
        )


def test_a_platform_that_is_not_ours_can_be_proved_too(tmp_path: Path, channel: Path, store: Store) -> None:
    from prefix_samples import from_channel

    lock = lock_of(from_channel(channel, "accel", subdirs=["win-64"]), platform="win-64")
    build_prefix(lock, tmp_path / "env", store=store, config=config(channel), foreign=True)
    for some in (store, Store.open(tmp_path / "other")):
        assert verify_prefix(tmp_path / "env", lock, store=some, config=config(channel)) == ()
