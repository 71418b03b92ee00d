"""OCI image layouts, written and read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.needs import require
from support.small_images import file, folder, image, layer, link

from hermetic.errors import HermeticError, IntegrityError, MachineError, UsageError
from hermetic.outputs.oci.layout import check_layout, read_layout, write_layout
from hermetic.outputs.oci.model import MANIFEST, Blob, Image
from hermetic.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def small(store: Store, text: str = "one", platform: str = "linux-64") -> Image:
    below = layer(store, [folder("opt"), folder("opt/hermetic"), file("opt/hermetic/base", "base")])
    above = layer(store, [folder("opt"), file("opt/word", text), link("opt/same", "word")])
    return image([below, above], platform=platform, Env=["A=1"])


def state(folder: Path) -> dict[str, tuple[bytes, int, float]]:
    return {
        str(path.relative_to(folder)): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mode,
            path.stat().st_mtime,
        )
        for path in [folder, *folder.rglob("*")]
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_layout_is_the_same_wherever_it_is_written(tmp_path: Path, store: Store) -> None:
    write_layout([small(store)], tmp_path / "a", store=store, name="demo")
    old = os.umask(0o077)
    try:
        write_layout([small(store)], tmp_path / "deep" / "down" / "b", store=store, name="demo")
    finally:
        os.umask(old)
    assert state(tmp_path / "a") == state(tmp_path / "deep" / "down" / "b")


def test_what_is_read_is_what_was_written(tmp_path: Path, store: Store) -> None:
    made = small(store)
    done = write_layout([made], tmp_path / "out", store=store)
    (found,) = check_layout(tmp_path / "out")
    assert done.changed
    assert done.digest == found.digest == made.manifest.digest
    assert found.platform == "linux-64"
    assert found.config["config"] == {"Env": ["A=1"]}
    assert [one.diff_id for one in found.layers] == [one.diff_id for one in made.layers]
    streamed = {number: stream.read() for number, stream in found.streams({0, 1})}
    assert streamed == {
        n: b"".join(store.blob_path(part).read_bytes() for part in one.blob.parts) for n, one in enumerate(made.layers)
    }


def test_nothing_is_written_where_nothing_changed(tmp_path: Path, store: Store) -> None:
    first = write_layout([small(store)], tmp_path / "out", store=store)
    inode = (tmp_path / "out").stat().st_ino
    again = write_layout([small(store)], tmp_path / "out", store=store)
    assert first.written > 0
    assert not again.changed
    assert not again.written
    assert (tmp_path / "out").stat().st_ino == inode


def test_an_update_writes_what_is_new_and_drops_what_nothing_names(tmp_path: Path, store: Store) -> None:
    before, after = small(store, "one"), small(store, "two")
    write_layout([before], tmp_path / "out", store=store)
    done = write_layout([after], tmp_path / "out", store=store)
    shared = after.layers[0].descriptor.size
    sizes = [blob.size for blob in (after.manifest, after.config)] + [one.descriptor.size for one in after.layers]
    assert done.written == sum(sizes) - shared
    write_layout([after], tmp_path / "fresh", store=store)
    assert state(tmp_path / "out") == state(tmp_path / "fresh")
    assert names(tmp_path) == ["fresh", "out", "store"]


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {"oci-layout": "{}", "index.json": '{"manifests": []}'}])
def test_a_folder_of_others_is_left_alone(tmp_path: Path, store: Store, content: dict[str, str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, text in content.items():
        (out / name).write_text(text)
    before = state(out)
    with pytest.raises(UsageError, match="did not write"):
        write_layout([small(store)], out, store=store)
    assert state(out) == before


def test_a_link_and_a_file_in_its_place_are_left_alone(tmp_path: Path, store: Store) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("mine")
    for name in ("link", "file"):
        with pytest.raises(UsageError, match="no folder"):
            write_layout([small(store)], tmp_path / name, store=store)
    assert names(tmp_path / "real") == []


def test_a_damaged_part_of_the_store_is_noticed_and_nothing_is_left(tmp_path: Path, store: Store) -> None:
    made = small(store)
    part = store.blob_path(made.layers[1].blob.parts[1])
    data = bytearray(part.read_bytes())
    data[20] ^= 1
    part.chmod(0o644)
    part.write_bytes(data)
    with pytest.raises(IntegrityError, match="store's copy"):
        write_layout([made], tmp_path / "out", store=store)
    assert names(tmp_path) == ["store"]


def test_an_edited_blob_is_written_again(tmp_path: Path, store: Store) -> None:
    made = small(store)
    write_layout([made], tmp_path / "out", store=store)
    before = state(tmp_path / "out")
    path = tmp_path / "out" / "blobs" / "sha256" / made.layers[0].descriptor.sha256
    path.write_bytes(b"x" * path.stat().st_size)
    assert write_layout([made], tmp_path / "out", store=store).changed
    assert state(tmp_path / "out") == before


def test_a_part_that_the_store_has_lost_is_named_as_such(tmp_path: Path, store: Store) -> None:
    made = small(store)
    store.blob_path(made.layers[1].blob.parts[1]).unlink()
    with pytest.raises(IntegrityError, match="store's copy"):
        write_layout([made], tmp_path / "out", store=store)


def test_a_layer_that_only_the_origin_of_the_base_has_is_fetched(tmp_path: Path, store: Store) -> None:
    made = small(store)
    kept = made.layers[0]

    class Somewhere:
        asked = 0

        def obtain(self, wanted: object, into: Store) -> Blob:
            assert (wanted, into) == (kept.descriptor, store)
            self.asked += 1
            return kept.blob

    origin = Somewhere()
    far = replace(made, layers=(replace(kept, blob=None), made.layers[1]), base=replace(made.base, origin=origin))
    write_layout([made], tmp_path / "a", store=store)
    write_layout([far], tmp_path / "b", store=store)
    assert state(tmp_path / "a") == state(tmp_path / "b")
    write_layout([far], tmp_path / "b", store=store)
    assert origin.asked == 1


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [_cut, _flip, _pipe, Path.unlink])
@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
def test_every_damaged_blob_is_noticed(
    tmp_path: Path, store: Store, which: str, damage: Callable[[Path], object]
) -> None:
    made = small(store)
    write_layout([made], tmp_path / "out", store=store)
    digest = {"manifest": made.manifest.digest, "config": made.config.digest, "layer": made.layers[1].blob.digest}
    damage(tmp_path / "out" / "blobs" / "sha256" / digest[which].removeprefix("sha256:"))
    with pytest.raises(IntegrityError):
        check_layout(tmp_path / "out")


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"manifests": 1}',
        b'{"manifests": [{}]}',
        b'{"manifests": [{"mediaType": "%s", "digest": "sha256:../../x", "size": 1}]}' % MANIFEST.encode(),
        b'{"manifests": [{"mediaType": "%s", "digest": 5, "size": {}}]}' % MANIFEST.encode(),
        b'{"manifests": [{"mediaType": "%s", "digest": "sha256:%s", "size": 2}]}' % (MANIFEST.encode(), b"0" * 64),
    ],
)
def test_an_index_that_makes_no_sense_is_an_error_of_ours(tmp_path: Path, store: Store, index: bytes) -> None:
    write_layout([small(store)], tmp_path / "out", store=store)
    (tmp_path / "out" / "index.json").write_bytes(index)
    with pytest.raises(HermeticError):
        read_layout(tmp_path / "out")


def test_no_layout_at_all_is_said(tmp_path: Path, store: Store) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no OCI image layout"):
        read_layout(tmp_path / "empty")
    write_layout([small(store)], tmp_path / "out", store=store, name="demo")
    with pytest.raises(UsageError, match="named 'other'"):
        read_layout(tmp_path / "out", "other")
    assert read_layout(tmp_path / "out", "demo")


def test_skopeo_and_umoci_take_it(tmp_path: Path, store: Store) -> None:
    require(shutil.which("skopeo") and shutil.which("umoci"), "skopeo and umoci are not installed")
    made = small(store)
    write_layout([made], tmp_path / "out", store=store, name="demo")
    told = run("skopeo", "inspect", f"oci:{tmp_path / 'out'}:demo")
    assert json.loads(told)["Layers"] == [one.descriptor.digest for one in made.layers]
    run("skopeo", "copy", "--insecure-policy", f"oci:{tmp_path / 'out'}:demo", f"dir:{tmp_path / 'copy'}")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path / 'out'}:demo", str(tmp_path / "bundle"))
    root = tmp_path / "bundle" / "rootfs"
    assert (root / "opt/word").read_text() == "one"
    assert (root / "opt/same").readlink() == Path("word")
    assert (root / "opt/hermetic/base").read_text() == "base"
    assert check_layout(tmp_path / "out")


def test_several_images_of_one_platform_are_told_apart_by_name(tmp_path: Path, store: Store) -> None:
    require(shutil.which("skopeo"), "skopeo is not installed")
    one, two = small(store, "one"), small(store, "two")
    for name, made in (("one", one), ("two", two)):
        write_layout([made], tmp_path / name, store=store, name=name)
        run("skopeo", "copy", "--insecure-policy", f"oci:{tmp_path / name}:{name}", f"oci:{tmp_path / 'both'}:{name}")
    with pytest.raises(UsageError, match="several images") as caught:
        read_layout(tmp_path / "both")
    assert "one, two" in caught.value.remedy
    assert read_layout(tmp_path / "both", "two")[0].layers[1].diff_id == two.layers[1].diff_id


def test_a_whole_reference_is_known_by_its_tag(tmp_path: Path, store: Store) -> None:
    require(shutil.which("skopeo"), "skopeo is not installed")
    write_layout([small(store)], tmp_path / "out", store=store, name="registry.example.org:5000/team/demo:1.2")
    run("skopeo", "inspect", f"oci:{tmp_path / 'out'}:1.2")
    assert read_layout(tmp_path / "out", "1.2") == read_layout(
        tmp_path / "out", "registry.example.org:5000/team/demo:1.2"
    )


def test_what_skopeo_writes_can_be_read(tmp_path: Path, store: Store) -> None:
    require(shutil.which("skopeo"), "skopeo is not installed")
    made = small(store)
    write_layout([made], tmp_path / "out", store=store, name="demo")
    copy = ("skopeo", "copy", "--insecure-policy", "--preserve-digests")
    run(*copy, f"oci:{tmp_path / 'out'}:demo", f"oci:{tmp_path / 'copy'}:other")
    (found,) = check_layout(tmp_path / "copy", "other")
    assert found.digest == made.manifest.digest
    with pytest.raises(UsageError, match="did not write"):
        write_layout([made], tmp_path / "copy", store=store)


def test_diffoscope_finds_no_difference(tmp_path: Path, store: Store) -> None:
    require(shutil.which("diffoscope"), "diffoscope is not installed")
    for name in ("a", "b"):
        other = Store.open(tmp_path / f"store-{name}")
        write_layout([small(other)], tmp_path / name, store=other)
    run("diffoscope", str(tmp_path / "a"), str(tmp_path / "b"))


def test_where_nothing_may_be_written_is_said(tmp_path: Path, store: Store) -> None:
    with pytest.raises(MachineError, match="cannot write"):
        write_layout([small(store)], Path("/proc/hermetic/out"), store=store)


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
