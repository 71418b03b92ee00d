"""Images of a project against its lock and against each other: in folders, in registries, for two platforms."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.registries import Registry, registry
from support.small_images import file, folder, image, layer

from hermetic.errors import HermeticError, UsageError
from hermetic.outputs.oci.layout import write_layout
from hermetic.outputs.oci.options import ImageOptions
from hermetic.project.image_order import ImageOrder
from hermetic.project.image_verifying import ImageCheck, diff_found_images, verify_project_image
from hermetic.project.imaging import ImageBuild, build_images
from hermetic.report.images import image_check_text, image_diff_text
from hermetic.store import Store


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    declare(tmp_path / "project", tiny_channel, "app <2")
    return tmp_path / "project"


def declare(project: Path, channel: Path, *dependencies: str, more: str = "") -> None:
    project.mkdir(exist_ok=True)
    (project / "hermetic.toml").write_text(
        f'[channels]\nlocal = "{channel}"\n\n[environments.default]\nchannels = ["local"]\nbase = "scratch"\n'
        f'dependencies = {json.dumps(dependencies)}\nplatforms = ["linux-64", "linux-aarch64"]\n{more}'
    )


def build(project: Path, reference: str = "", **more: object) -> ImageBuild:
    return build_images(str(project), None, ImageOrder(reference, **more))  # type: ignore[arg-type]


def check(project: Path, name: str, **more: object) -> ImageCheck:
    return verify_project_image(str(project), name, **more)  # type: ignore[arg-type]


@pytest.fixture
def pushed(project: Path, hub: Registry) -> str:
    name = f"{hub.host}/team/demo:1"
    build(project, name, push=True, platforms=("linux-64", "linux-aarch64"))
    return name


def test_an_image_in_a_registry_is_proved_for_each_platform(project: Path, pushed: str) -> None:
    found = check(project, pushed)
    assert found.exact
    assert list(found.platforms) == ["linux-64", "linux-aarch64"]
    assert found.findings == ()
    assert "layer by layer and file by file" in image_check_text(found)
    assert "linux-64, linux-aarch64" in image_check_text(found)


def test_damage_in_a_registry_is_named(project: Path, pushed: str, hub: Registry, tmp_path: Path) -> None:
    layers = [path for path in hub.storage.rglob("data") if path.read_bytes()[:2] == b"\x1f\x8b"]
    largest = max(layers, key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    for blob in (tmp_path / "store" / "blobs").rglob("*"):  # else the store has what the registry has lost
        if blob.is_file() and blob.stat().st_size == len(data):
            blob.unlink()
    try:
        found = check(project, f"registry:{pushed}")
    except HermeticError as error:
        assert error.exit_status in {4, 5}  # noqa: PT017  the registry refuses to hand it out
    else:
        assert {finding.kind for finding in found.findings} >= {"damaged"}


def test_another_version_is_told_file_by_file(project: Path, pushed: str, tiny_channel: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    build(project, layout=old)
    declare(project, tiny_channel, "app >=2")
    new = tmp_path / "new"
    build(project, layout=new)
    found = check(project, str(old))
    assert not found.exact
    assert ("opt/hermetic/env/share/base.txt", "changed") in {(one.path, one.kind) for one in found.findings}
    assert any(one.name == "metadata" for one in found.findings) or any(one.layer > 0 for one in found.findings)
    text = image_check_text(found)
    assert "differs from its lock" in text
    assert "opt/hermetic/env/share/base.txt" in text
    told = diff_found_images(str(old), f"layout:{new}", start=str(project))
    moved = {one.name: (one.old, one.new) for one in told.packages}
    assert set(moved) == {"app", "base"}
    assert moved["app"][0].startswith("1.5")
    assert moved["app"][1].startswith("2.0")
    drawn = image_diff_text(told)
    assert "~  app" in drawn
    assert "opt/hermetic/env/share/base.txt" in drawn
    assert not diff_found_images(pushed, str(old), start=str(project))  # the registry's is the old one
    assert "hold the same" in image_diff_text(diff_found_images(pushed, str(old), start=str(project)))


def test_what_an_image_was_built_with_beside_the_lock_can_be_said(project: Path, tmp_path: Path) -> None:
    options = ImageOptions(user="1000:1000", labels={"team": "blue"}, compression="zstd")
    build(project, layout=tmp_path / "out", options=options)
    found = check(project, str(tmp_path / "out"))
    assert {(one.path, one.kind) for one in found.findings} == {("User", "setting"), ("Labels", "setting")}
    asked = check(project, str(tmp_path / "out"), options=ImageOptions(user="1000:1000", labels={"team": "blue"}))
    assert asked.findings == ()
    assert not asked.exact
    assert "packed in another way" in image_check_text(asked)
    assert check(project, str(tmp_path / "out"), options=options).exact


def test_what_cannot_be_verified_is_said(project: Path, tmp_path: Path, tiny_channel: Path) -> None:
    build(project, layout=tmp_path / "out")
    with pytest.raises(UsageError, match="no image for linux-ppc64le"):
        check(project, str(tmp_path / "out"), platforms=["linux-ppc64le"])
    store = Store.open(tmp_path / "store")
    strange = image([layer(store, [folder("x"), file("x/y")])], platform="linux-aarch64")
    write_layout([strange], tmp_path / "strange", store=store)
    with pytest.raises(UsageError, match="says of no image for linux-aarch64"):
        check(project, str(tmp_path / "strange"))
    with pytest.raises(UsageError, match="no image for linux-64"):
        diff_found_images(str(tmp_path / "out"), str(tmp_path / "strange"), platform="linux-64")
    for name in ("layout:", "layout:/nowhere", f"{tmp_path}/nothing", "127.0.0.1:9/none:1", "UPPER/case"):
        with pytest.raises(HermeticError) as caught:
            check(project, name)
        assert caught.value.remedy or caught.value.message


def _bomb(_: Store) -> bytes:
    zeros = gzip.compress(bytes(8 << 20))
    return zeros * 40


@pytest.mark.parametrize("content", [_bomb, lambda _: b"", lambda _: b"\x1f\x8b" + b"x" * 50, lambda _: b"{}" * 600])
def test_a_layer_that_is_no_tar_is_a_finding(project: Path, tmp_path: Path, content: Callable[[Store], bytes]) -> None:
    build(project, layout=tmp_path / "out")
    store = Store.open(tmp_path / "store")
    data = content(store)
    strange = image([layer(store, data, packing="none")])
    write_layout([strange], tmp_path / "strange", store=store)
    found = check(project, str(tmp_path / "strange"))
    assert {one.kind for one in found.findings} >= {"lost"}
