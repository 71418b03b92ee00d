from __future__ import annotations

import json

from store_samples import names_in

from hermetic.digest import sha256_bytes
from hermetic.plan.files import FileEntry, Listing
from hermetic.report.store import info_text, verify_text
from hermetic.store import Store, boot

KEY = "cd" * 32


def listed_tree(store: Store) -> None:
    with store.new_tree("wheel", KEY) as folder:
        (folder / "files").mkdir()
        (folder / "files" / "a.py").write_bytes(b"a = 1\n")
        entry = FileEntry("a.py", sha256=sha256_bytes(b"a = 1\n"), size=6)
        (folder / "listing.json").write_text(json.dumps(Listing((entry,)).to_dict()))


def test_a_whole_store(store: Store) -> None:
    store.put_bytes(b"one")
    listed_tree(store)
    assert store.verify() == ()
    assert verify_text(store.verify()) == "the store is whole"


def test_a_damaged_blob_is_named_and_dropped(store: Store) -> None:
    digest = store.put_bytes(b"one")
    store.put_bytes(b"two")
    path = store.blob_path(digest)
    path.chmod(0o644)
    path.write_bytes(b"eno")
    boot.stamp(path)
    (damage,) = store.verify()
    assert (damage.kind, damage.name) == ("blob", digest)
    assert digest in verify_text([damage])
    assert store.verify() == ()
    assert not store.has_blob(digest)


def test_an_edited_file_of_a_tree_is_found_though_its_size_is_the_same(store: Store) -> None:
    listed_tree(store)
    (store.tree_path("wheel", KEY) / "files" / "a.py").write_bytes(b"a = 2\n")
    (damage,) = store.verify()
    assert str(damage) == f"tree wheel {KEY}: a.py was changed; dropped"
    assert not store.has_tree("wheel", KEY)


def test_a_foreign_file_among_the_blobs_is_told_and_left(store: Store) -> None:
    store.put_bytes(b"one")
    foreign = store.root / "blobs" / "sha256" / "zz"
    foreign.mkdir()
    (foreign / "note.txt").write_text("mine")
    (damage,) = store.verify()
    assert damage.kind == "file"
    assert (foreign / "note.txt").exists()


def test_what_it_holds(store: Store) -> None:
    store.put_bytes(b"x" * 1000)
    listed_tree(store)
    store.put_result(KEY, {"a": 1})
    (store.root / "partial").mkdir()
    (store.root / "partial" / KEY).write_bytes(b"12345")
    info = store.info()
    assert (info.blobs.count, info.blobs.bytes) == (1, 1000)
    assert info.trees["wheel"].count == 1
    assert (info.results.count, info.partial.bytes) == (1, 5)
    values = info.to_dict()
    assert values["bytes"] == 1000 + info.trees["wheel"].bytes + info.results.bytes + 5
    assert json.loads(json.dumps(values)) == values
    text = info_text(info)
    assert str(store.root) in text
    assert "trees: wheel" in text


def test_an_empty_store(store: Store) -> None:
    assert store.info().bytes == 0
    assert store.verify() == ()


def test_verifying_sweeps(store: Store) -> None:
    left = store.root / "staging" / "1-dead"
    left.mkdir(parents=True)
    store.verify()
    assert names_in(store.root / "staging") == []
