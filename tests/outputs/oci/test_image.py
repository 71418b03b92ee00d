"""Images from real packages: what is in them is what a prefix would be, and nothing is made twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from image_samples import ROOT, assert_same, entries, image_of, ours, prefix_entries
from prefix_samples import addresses, config, lock_of, package
from support.channel import write_package
from support.images import image_lock, one_layer_each, small_base
from support.wheels import make_wheel

from hermetic.digest import sha256_bytes, sha256_file
from hermetic.errors import UsageError
from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.image import build_image, image_index, image_key
from hermetic.outputs.oci.model import INDEX, LAYER_GZIP, MANIFEST, BaseImage, Image
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.prefix.state import State
from hermetic.store import Store


@pytest.fixture(scope="module")
def lock(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> PlatformLock:
    folder = tmp_path_factory.mktemp("wheels")
    text = "NAMES = {'b', 'a'}\ndef main(x=1):\n    return x in {'p', 'q'}\n"
    tool = make_wheel(
        folder, "my-tool", scripts={"my-tool": "my_tool:main"}, files={"my_tool.py": text, "bad.py": "print 'old'\n"}
    )
    other = make_wheel(folder, "other", scripts={"other": "other:main"}, data={"scripts/raw": "#!python\n"})
    return image_lock(channel, "prefix-probe", "idna", "certifi", "numpy", wheels=[tool, other], variables={"A": "1"})


def build(lock: PlatformLock, store: Store, channel: Path, **options: object) -> Image:
    return build_image(
        lock,
        one_layer_each(lock),
        small_base(store),
        store=store,
        config=config(channel),
        options=ImageOptions(**options),  # type: ignore[arg-type]
    )


def test_the_image_holds_what_a_prefix_holds(tmp_path: Path, channel: Path, lock: PlatformLock, store: Store) -> None:
    image = build(lock, store, channel)
    found = entries(store, ours(image))
    assert_same(found, prefix_entries(lock, store, tmp_path / "prefix", config=config(channel)))
    assert len([path for path in found if path.endswith(".pyc")]) > 500
    state = State(lock.key(), lock.platform, f"/{ROOT}", "refuse").to_text()
    layer = entries(store, ours(image)[-1:])
    assert set(layer) == {
        "opt", "opt/hermetic", ROOT, f"{ROOT}/CACHEDIR.TAG", f"{ROOT}/conda-meta",
        *(f"{ROOT}/conda-meta/{name}" for name in ("hermetic", "history", "state")),
    }  # fmt: skip
    assert layer[f"{ROOT}/conda-meta/hermetic"] == ("file", 0o644, sha256_bytes(state.encode()))


def test_a_second_image_needs_nothing_but_what_is_remembered(
    channel: Path, lock: PlatformLock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = build(lock, store, channel)
    monkeypatch.setattr(Store, "put_result", None)
    monkeypatch.setattr(Store, "put_bytes", None)
    monkeypatch.setattr(Store, "temporary", None)
    again = build_image(lock, one_layer_each(lock), image.base, store=store, config=config(), offline=True)
    assert again == image


def test_a_bumped_package_makes_its_layer_and_the_metadata_anew(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    archives = [write_package(tmp_path, name, files={f"share/{name}": name * 999}) for name in ("one", "two", "three")]
    lock, before = lock_of(archives), image_of(store, archives)
    shutil.rmtree(store.root / "trees")
    for archive in archives:  # neither the packages that stay nor what they were unpacked to is needed
        store.drop_blob(sha256_file(archive))
        archive.unlink()
    bumped = write_package(tmp_path, "three", "2.0", files={"share/three": "new"})
    lock = replace(lock, conda=(*(p for p in lock.conda if p.name != "three"), package(bumped)))
    after = build_image(
        lock, one_layer_each(lock), BaseImage(), store=store, config=config(), addresses=addresses([bumped])
    )
    assert [layer.name for layer in after.layers if layer not in before.layers] == ["three", "metadata"]
    assert entries(store, after.layers)[f"{ROOT}/share/three"] == ("file", 0o644, sha256_bytes(b"new"))


def test_how_packages_are_cut_into_layers_does_not_matter_to_their_files(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    archives = [write_package(tmp_path, name, files={f"share/x/{name}": name}) for name in ("one", "two", "three")]
    apart = image_of(store, archives)
    together = image_of(store, archives, layers=(PlannedLayer("all", ("two", "one", "three")),))
    mixed = image_of(store, archives, layers=(PlannedLayer("a", ("one", "three")), PlannedLayer("b", ("two",))))
    assert [len(image.layers) for image in (apart, together, mixed)] == [4, 2, 3]
    assert entries(store, apart.layers) == entries(store, together.layers) == entries(store, mixed.layers)
    shutil.rmtree(store.root / "actions")
    assert image_of(store, archives, layers=(PlannedLayer("all", ("two", "one", "three")),)) == together


def test_what_is_lost_is_made_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    archives = [write_package(tmp_path, name, files={f"share/{name}": name * 999}) for name in ("one", "two")]
    image = image_of(store, archives)
    for layer in image.layers:
        assert layer.blob
        for part in layer.blob.parts:
            store.drop_blob(part)
            assert image_of(store, archives) == image
            entries(store, image.layers)


def test_a_lock_without_packages_adds_nothing_but_variables(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    base = small_base(store)
    image = image_of(store, [], base=base, layers=(), variables={"A": "1"})
    assert image.layers == base.layers
    env = json.loads(image.config.data)["config"]["Env"]
    assert env == ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "A=1"]


def test_other_platforms_are_built_here_without_pyc(tmp_path: Path, store: Store) -> None:
    python = write_package(
        tmp_path, "python", "3.11.9", build="h0_0_cpython", subdir="linux-aarch64",
        files={"lib/python3.11/os.py": "X = 1\n", "bin/python3.11": "not for this machine\n"},
    )  # fmt: skip
    image = image_of(store, [python], [make_wheel(tmp_path, "other")], platform="linux-aarch64")
    found = entries(store, image.layers)
    assert f"{ROOT}/lib/python3.11/site-packages/other.py" in found
    assert not [path for path in found if path.endswith(".pyc")]
    assert json.loads(image.config.data)["architecture"] == "arm64"
    assert image.descriptor.platform == {"architecture": "arm64", "os": "linux"}


def test_an_index_names_the_images_of_all_platforms(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    archive = write_package(tmp_path, "one", files={"share/one": "1"})
    images = [image_of(store, [archive], platform=platform) for platform in ("linux-aarch64", "linux-64")]
    index = image_index(images)
    assert index == image_index(images[::-1])
    document = json.loads(index.data)
    assert (document["schemaVersion"], document["mediaType"], index.size) == (2, INDEX, len(index.data))
    assert [m["platform"]["architecture"] for m in document["manifests"]] == ["amd64", "arm64"]
    assert {m["digest"] for m in document["manifests"]} == {image.manifest.digest for image in images}


def test_a_manifest_is_what_the_specification_says(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    base = small_base(store, docker=True, extra_layers=1)
    image = image_of(store, [write_package(tmp_path, "one", files={"share/one": "1"})], base=base)
    manifest, document = json.loads(image.manifest.data), json.loads(image.config.data)
    assert manifest["mediaType"] == MANIFEST
    assert manifest["config"]["digest"] == image.config.digest == "sha256:" + sha256_bytes(image.config.data)
    assert {layer["mediaType"] for layer in manifest["layers"]} == {LAYER_GZIP}, "Docker's names of a base are OCI's"
    assert [layer["digest"] for layer in manifest["layers"][:2]] == [b.descriptor.digest for b in base.layers]
    assert document["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.layers]
    assert len([entry for entry in document["history"] if not entry.get("empty_layer")]) == len(image.layers)
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == base.digest


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_every_compression_holds_the_same_archives(tmp_path: Path, compression: str) -> None:
    store = Store.open(tmp_path / "store")
    archives = [write_package(tmp_path, name, files={f"share/{name}": name * 999}) for name in ("one", "two")]
    one, other = image_of(store, archives), image_of(store, archives, compression=compression)
    assert entries(store, one.layers) == entries(store, other.layers)
    assert [layer.diff_id for layer in one.layers] == [layer.diff_id for layer in other.layers]
    assert (one == other) == (compression == "gzip")


def test_the_time_of_all_files_can_be_chosen(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    archive = write_package(tmp_path, "one", files={"share/one": "1"})
    image = image_of(store, [archive], source_date_epoch=1_700_000_000)
    entries(store, image.layers, time=1_700_000_000)
    document = json.loads(image.config.data)
    assert document["created"] == document["history"][-1]["created"] == "2023-11-14T22:13:20Z"
    assert json.loads(image_of(store, [archive]).config.data)["created"] == "1970-01-01T00:00:01Z"


def test_the_key_moves_with_all_that_shows_and_with_nothing_else(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    lock = lock_of([write_package(tmp_path, "one", files={"share/one": "1"})], variables={"A": "1"})
    base, plan = small_base(store), (PlannedLayer("one", ("one",)),)
    key = image_key(lock, plan, base)
    others = [
        image_key(replace(lock, variables=(("A", "2"),)), plan, base),
        image_key(replace(lock, conda=(replace(lock.conda[0], sha256="0" * 64),)), plan, base),
        image_key(replace(lock, conda=(replace(lock.conda[0], depends=("x",)),)), plan, base),
        image_key(lock, (PlannedLayer("other", ("one",)),), base),
        image_key(lock, plan, small_base(store, reference="registry.example.org/other:1")),
        image_key(lock, plan, small_base(store, settings={"User": "x"})),
        *(
            image_key(lock, plan, base, ImageOptions(**options))  # type: ignore[arg-type]
            for options in (
                {"user": "1000"}, {"labels": {"a": "b"}}, {"level": 2}, {"compression": "zstd"},
                {"source_date_epoch": 2}, {"entrypoint": ("x",)}, {"command": ("x",)}, {"link_scripts": "skip"},
            )
        ),
    ]  # fmt: skip
    assert len({key, *others}) == len(others) + 1
    assert key == image_key(replace(lock, virtual_packages=("__glibc=2.36=0",)), plan, replace(base, repository="x"))
    assert key == image_key(lock, plan, base, ImageOptions(source_date_epoch=1))


@pytest.mark.parametrize(
    ("planned", "message"),
    [
        ((PlannedLayer("a", ("one", "gone")),), "plan of layers"),
        ((PlannedLayer("a", ("one",)), PlannedLayer("b", ("one",))), "plan of layers"),
    ],
)
def test_a_plan_of_other_packages_is_refused(tmp_path: Path, planned: tuple[PlannedLayer, ...], message: str) -> None:
    archive = write_package(tmp_path, "one", files={"share/one": "1"})
    with pytest.raises(UsageError, match=message):
        image_of(Store.open(tmp_path / "store"), [archive], layers=planned)


def test_too_many_layers_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    archive = write_package(tmp_path, "one", files={"share/one": "1"})
    layer = small_base(store).layers[0]
    base = replace(small_base(store), layers=(layer,) * 124)
    with pytest.raises(UsageError, match="would have 126 layers, 124 of them the base's; engines stack 125"):
        image_of(store, [archive], base=base)
    assert not (store.root / "trees").exists()


def test_a_base_for_another_machine_is_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    archive = write_package(tmp_path, "one", files={"share/one": "1"})
    with pytest.raises(UsageError, match=r"registry.example.org/team/small:1 is for arm64, and linux-64 needs amd64"):
        image_of(store, [archive], base=small_base(store, platform="linux-aarch64"))
    with pytest.raises(UsageError, match="no images for win-64"):
        image_of(store, [archive], platform="win-64")


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzma"}, {"level": 10}, {"level": 0}, {"compression": "none", "level": 1}, {"user": " x"},
        {"link_scripts": "run"}, {"source_date_epoch": -1}, {"user": "a\nb"},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ImageOptions(**options)  # type: ignore[arg-type]
