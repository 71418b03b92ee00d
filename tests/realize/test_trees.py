"""Archives and wheels, unpacked once into trees of the store; what is no sound one is refused with the reason."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from prefix_samples import package, wheel
from support.channel import PLACEHOLDER, Link, write_package
from support.wheels import make_wheel

from hermetic.errors import IntegrityError
from hermetic.plan.files import MTIME, FileEntry
from hermetic.realize.conda_tree import conda_tree
from hermetic.realize.trees import Tree, find_tree, make_tree
from hermetic.realize.wheel_tree import KIND as WHEEL
from hermetic.realize.wheel_tree import wheel_tree
from hermetic.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def unpack_conda(store: Store, archive: Path) -> Tree:
    store.put_file(archive)
    return conda_tree(store, package(archive))


def unpack_wheel(store: Store, file: Path) -> Tree:
    store.put_file(file)
    return wheel_tree(store, wheel(file))


def rewrite(source: Path, **changes: bytes | None) -> Path:
    """Change members of a wheel (None: drop), and leave its RECORD as it was."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, data in changes.items():
        (found,) = [member for member in members if member.endswith(name)] or [name]
        if data is None:
            del members[found]
        else:
            members[found] = data
    with zipfile.ZipFile(source, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return source


def test_a_tree_is_normal_and_its_listing_true(tmp_path: Path, store: Store) -> None:
    files = {"bin/tool": "#!/bin/sh\n", "share/x": f"{PLACEHOLDER}/y", "lib/l": Link("../share/x")}
    tree = unpack_conda(store, write_package(tmp_path, "one", files=files))
    entries = {entry.path: entry for entry in tree.listing.entries}
    assert entries["bin/tool"].executable
    assert entries["lib/l"] == FileEntry("lib/l", "link", target="../share/x")
    assert entries["share"].kind == "folder"
    for entry in entries.values():
        if entry.kind == "file":
            status = (tree.files / entry.path).stat()
            assert (status.st_mode & 0o7777, status.st_mtime, status.st_size) == (entry.mode, MTIME, entry.size)
    assert tree.listing.about["prefixed"] == {"share/x": [PLACEHOLDER, "text"]}
    assert tree.listing.about["unlisted"] == []


def test_a_second_look_reads_no_archive(tmp_path: Path, store: Store) -> None:
    archive = write_package(tmp_path, "one", files={"share/x": "1"})
    first = unpack_conda(store, archive)
    store.drop_blob(package(archive).sha256)
    assert conda_tree(store, package(archive)) == first


def test_an_edited_tree_is_noticed_without_reading_it(tmp_path: Path, store: Store) -> None:
    archive = write_package(tmp_path, "one", files={"share/x": "1", "lib/l": Link("../share/x")})

    def mode(tree: Tree) -> None:
        (tree.files / "share/x").chmod(0o600)

    def same_size(tree: Tree) -> None:
        (tree.files / "share/x").write_text("2")

    def link(tree: Tree) -> None:
        (tree.files / "lib/l").unlink()
        (tree.files / "lib/l").symlink_to("elsewhere")

    def lost(tree: Tree) -> None:
        (tree.files / "share/x").unlink()

    def listing(tree: Tree) -> None:
        (tree.files.parent / "listing.json").write_text("{}")

    for edit in (mode, same_size, link, lost, listing):
        edit(unpack_conda(store, archive))
        tree = conda_tree(store, package(archive))
        assert (tree.files / "share/x").read_text() == "1", edit
        assert (tree.files / "lib/l").readlink() == Path("../share/x")


def test_a_tree_that_fails_to_be_filled_leaves_nothing(store: Store) -> None:
    def fill(folder: Path) -> None:
        (folder / "x").write_text("")
        raise IntegrityError("no")

    with pytest.raises(IntegrityError):
        make_tree(store, "kind", "0" * 64, fill)  # type: ignore[arg-type]
    assert find_tree(store, "kind", "0" * 64) is None


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"index.json": b"{"}, "no whole conda package"),
        ({"index.json": b"{}"}, "its info lacks 'name'"),
        ({"index.json": b'{"name": "other", "version": "1.0", "build": "h0_0"}'}, "says that it is other 1.0 h0_0"),
        ({"paths.json": b"[]"}, "no whole conda package"),
        ({"paths.json": b'{"paths": [{"_path": "../../out"}]}'}, "unsafe path"),
        ({"paths.json": b'{"paths": [{"_path": "share/none"}]}'}, "lacks 1 of the files that it lists, share/none"),
        ({"paths.json": b'{"paths": [{"_path": "share/x", "path_type": "softlink"}]}'}, "says that there is a link"),
        ({"link.json": b'{"noarch": {"entry_points": ["../x = m:f"]}}'}, "unsafe path"),
    ],
)
def test_archives_that_contradict_themselves_are_refused(
    tmp_path: Path, store: Store, info: dict[str, bytes], message: str
) -> None:
    archive = write_package(tmp_path, "one", files={"share/x": "1"})
    stated = package(archive)
    bad = write_package(tmp_path, "one", files={"share/x": "1"}, info=info)
    store.put_file(bad)
    locked = replace(stated, sha256=package(bad, vars_of(stated)).sha256)
    with pytest.raises(IntegrityError) as error:
        conda_tree(store, locked)
    assert message in error.value.message
    assert error.value.remedy


def vars_of(stated: object) -> dict[str, object]:
    return {name: getattr(stated, name) for name in ("name", "version", "build", "subdir")}


def test_a_directory_that_is_listed_needs_no_entry(tmp_path: Path, store: Store) -> None:
    paths = b'{"paths": [{"_path": "share/x"}, {"_path": "var/empty", "path_type": "directory"}]}'
    tree = unpack_conda(store, write_package(tmp_path, "one", files={"share/x": ""}, info={"paths.json": paths}))
    assert tree.listing.about["unlisted"] == []


def test_a_wheel_keeps_its_shape_and_tells_its_scripts(tmp_path: Path, store: Store) -> None:
    made = make_wheel(tmp_path, "My.Tool", scripts={"b": "my_tool:main", "a": "my_tool:main"}, data={"scripts/raw": ""})
    tree = unpack_wheel(store, made)
    assert tree.listing.about == {
        "dist_info": "My_Tool-1.0.dist-info",
        "root": "purelib",
        "scripts": [["a", "my_tool", "main", "console"], ["b", "my_tool", "main", "console"]],
    }
    assert (tree.files / "My_Tool-1.0.data/scripts/raw").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tiny.py": b"changed"}, "its RECORD gives another digest for tiny.py"),
        ({"/WHEEL": b"Wheel-Version: 2.0\n"}, "version 2.0 of the format"),
        ({"/WHEEL": None}, "has no tiny-1.0.dist-info/WHEEL"),
        ({"/RECORD": None}, "has no tiny-1.0.dist-info/RECORD"),
        ({"other-1.0.dist-info/METADATA": b""}, "has 2 metadata folders"),
        ({"tiny-1.0.data/nowhere/x": b""}, "files for nowhere"),
        ({"/entry_points.txt": b"[console_scripts]\nx = no function\n"}, "entry_points.txt"),
        ({"/entry_points.txt": b"console_scripts]\n"}, "entry_points.txt"),
        ({"/entry_points.txt": b"[console_scripts]\n../../x = tiny:main\n"}, "unsafe path"),
        ({"/WHEEL": b"\xff\xfe"}, "no sound wheel"),
    ],
)
def test_what_is_no_sound_wheel_is_refused(
    tmp_path: Path, store: Store, changes: dict[str, bytes | None], message: str
) -> None:
    made = make_wheel(tmp_path, "tiny", scripts={"x": "tiny:main"})
    with zipfile.ZipFile(made) as archive:
        record = next(archive.read(name) for name in archive.namelist() if name.endswith("RECORD"))
    changed = {**changes}
    if "tiny.py" not in changes and "/RECORD" not in changes:  # the digests are not what is tried here
        changed["/RECORD"] = b"\n".join(line.split(b",")[0] + b",," for line in record.splitlines())
    with pytest.raises(IntegrityError) as error:
        unpack_wheel(store, rewrite(made, **changed))
    assert message in error.value.message
    assert "tiny-1.0-py3-none-any.whl" in error.value.message
    assert not store.has_tree(WHEEL, "0" * 64)


def test_the_metadata_of_another_project_is_refused(tmp_path: Path, store: Store) -> None:
    made = make_wheel(tmp_path, "tiny")
    other = made.with_name("huge-1.0-py3-none-any.whl")
    made.rename(other)
    with pytest.raises(IntegrityError, match="metadata is that of another project"):
        unpack_wheel(store, other)


@pytest.mark.parametrize("data", [b"", b"PK\5\6" + bytes(18), b"not a zip"])
def test_what_is_no_archive_at_all_is_refused(tmp_path: Path, store: Store, data: bytes) -> None:
    file = tmp_path / "tiny-1.0-py3-none-any.whl"
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"tiny-1\.0"):
        unpack_wheel(store, file)
