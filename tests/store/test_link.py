from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermetic.errors import MachineError, UsageError
from hermetic.plan.files import MTIME
from hermetic.store.link import LinkMode, best_mode, link_file, link_tree


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree of 300 files, with links, programs and empty things."""
    root = tmp_path / "source"
    for number in range(300):
        path = root / f"d{number % 11}" / f"sub{number % 3}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 13))
        path.chmod(0o755 if number % 5 == 0 else 0o600)
    (root / "big").write_bytes(os.urandom(3_000_000))
    (root / "empty").mkdir()
    (root / "link").symlink_to("d0/sub0")
    (root / "dangling").symlink_to("nowhere")
    return root


def contents(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        found[name] = path.readlink() if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


@pytest.mark.parametrize("mode", list(LinkMode))
@pytest.mark.parametrize("jobs", [1, 4])
def test_a_tree_arrives_as_it_is(source: Path, tmp_path: Path, mode: LinkMode, jobs: int) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    assert link_tree(source, dest, mode, jobs=jobs) == 301
    assert contents(dest) == contents(source)


@pytest.mark.parametrize("mode", [LinkMode.COPY, LinkMode.REFLINK])
@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_modes_and_times_are_always_the_same(source: Path, tmp_path: Path, mode: LinkMode, umask: int) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    before = os.umask(umask)
    try:
        link_tree(source, dest, mode)
    finally:
        os.umask(before)
    for path in dest.rglob("*"):
        status = path.lstat()
        assert status.st_mtime == MTIME
        if path.is_symlink():
            continue
        executable = path.is_dir() or bool((source / path.relative_to(dest)).stat().st_mode & 0o100)
        assert stat.S_IMODE(status.st_mode) == (0o755 if executable else 0o644)


def test_editing_a_copy_does_not_reach_the_source(source: Path, tmp_path: Path) -> None:
    before = (source / "big").read_bytes()
    link_file(str(source / "big"), str(tmp_path / "copy"), LinkMode.REFLINK)
    with (tmp_path / "copy").open("r+b") as file:
        file.write(b"edited")
    assert (source / "big").read_bytes() == before


def test_a_hard_link_is_the_same_file(source: Path, tmp_path: Path) -> None:
    mode = link_file(str(source / "big"), str(tmp_path / "same"), LinkMode.HARD_LINK)
    assert mode is LinkMode.HARD_LINK
    assert (tmp_path / "same").samefile(source / "big")


def test_what_is_there_is_not_replaced(source: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    for mode in LinkMode:
        with pytest.raises(FileExistsError):
            link_file(str(source / "big"), str(tmp_path / "there"), mode)
    assert (tmp_path / "there").read_bytes() == b"mine"


def test_a_link_at_the_target_is_not_followed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "trap").symlink_to("precious")
    for mode in LinkMode:
        with pytest.raises(FileExistsError):
            link_file(str(source / "big"), str(tmp_path / "trap"), mode)
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_folder_that_is_not_empty_is_the_machines_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest" / "big").write_bytes(b"mine")
    with pytest.raises(MachineError, match="File exists"):
        link_tree(source, tmp_path / "dest", LinkMode.COPY)
    assert (tmp_path / "dest" / "big").read_bytes() == b"mine"


class TestBestMode:
    def test_hard_links_within_a_disk(self, tmp_path: Path) -> None:
        assert best_mode(tmp_path, tmp_path, "hardlink") is LinkMode.HARD_LINK

    def test_a_copy_if_that_is_wished(self, tmp_path: Path) -> None:
        assert best_mode(tmp_path, tmp_path, "copy") is LinkMode.COPY

    def test_what_the_disk_can(self, tmp_path: Path) -> None:
        """Whatever is found out works."""
        mode = best_mode(tmp_path, tmp_path)
        assert mode in {LinkMode.COPY, LinkMode.REFLINK}
        (tmp_path / "a").write_bytes(b"x" * 10_000)
        assert link_file(str(tmp_path / "a"), str(tmp_path / "b"), mode) is mode

    def test_between_two_disks(self, tmp_path: Path) -> None:
        other = Path("/dev/shm")
        if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev or not os.access(other, os.W_OK):
            pytest.skip("there is no second disk")
        assert best_mode(tmp_path, other, "hardlink") is LinkMode.COPY

    def test_blocks_are_shared_or_it_says_that_they_cannot_be(self, tmp_path: Path) -> None:
        if best_mode(tmp_path, tmp_path) is LinkMode.REFLINK:
            assert best_mode(tmp_path, tmp_path, "reflink") is LinkMode.REFLINK
        else:
            with pytest.raises(UsageError, match="cannot be reflinked"):
                best_mode(tmp_path, tmp_path, "reflink")
        assert list(tmp_path.iterdir()) == []

    def test_it_leaves_nothing(self, tmp_path: Path) -> None:
        for wish in ("auto", "hardlink"):
            best_mode(tmp_path, tmp_path, wish)
        assert list(tmp_path.iterdir()) == []

    def test_another_wish(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="soft"):
            best_mode(tmp_path, tmp_path, "soft")


@given(data=st.binary(max_size=20_000), executable=st.booleans(), mode=st.sampled_from(list(LinkMode)))
@settings(max_examples=60, deadline=None)
def test_any_file(tmp_path_factory: pytest.TempPathFactory, data: bytes, executable: bool, mode: LinkMode) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-file"
    folder.mkdir(exist_ok=True)
    (folder / "b").unlink(missing_ok=True)
    (folder / "a").write_bytes(data)
    link_file(str(folder / "a"), str(folder / "b"), mode, executable=executable)
    assert (folder / "b").read_bytes() == data
