"""Images held against what their lock gives: honest, damaged and hostile ones."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
import tracemalloc
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engine import Engine
from support.needs import require
from support.small_images import Entry, file, folder, image, layer, link, shell_layer, tar

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.engine import load
from hermetic.outputs.oci.finding import _Saved, engine_image, find_images, names_image
from hermetic.outputs.oci.layout import read_layout, write_layout
from hermetic.outputs.oci.model import Image, Layer
from hermetic.outputs.oci.reading import FoundLayer
from hermetic.outputs.oci.verify import ImageFinding, verify_image
from hermetic.store import Store

ENV = "opt/hermetic/env"
PARENTS = [folder("opt"), folder("opt/hermetic"), folder(ENV)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def base_layer(store: Store) -> Layer:
    return layer(store, [folder("etc"), file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"), folder("lib")], "base")


def own_layers(store: Store) -> list[Layer]:
    first = [*PARENTS, folder(f"{ENV}/lib"), file(f"{ENV}/lib/a.py", "A = 1\n"), link(f"{ENV}/lib/b.py", "a.py")]
    second = [*PARENTS, folder(f"{ENV}/bin"), file(f"{ENV}/bin/tool", "#!/bin/sh\n", mode=0o755)]
    return [layer(store, first, "first"), layer(store, second, "second")]


VARIABLES = {"Env": ["PATH=/opt/hermetic/env/bin", "A=1"], "Cmd": ["sh"]}


@pytest.fixture
def expected(store: Store) -> Image:
    return image([base_layer(store), *own_layers(store)], base=1, **VARIABLES)


def check(made: Image, expected: Image, store: Store, folder: Path) -> list[tuple[int, str, str]]:
    write_layout([made], folder, store=store)
    (found,) = read_layout(folder)
    return [(one.layer, one.path, one.kind) for one in verify_image(found, expected, store=store)]


def changed(store: Store, expected: Image, number: int, entries: Sequence[Entry] | bytes) -> Image:
    layers = list(expected.layers)
    layers[number] = layer(store, entries)
    return image(layers, base=1, **VARIABLES)


def test_what_the_lock_gives_is_proved(store: Store, expected: Image, tmp_path: Path) -> None:
    assert check(expected, expected, store, tmp_path / "out") == []


def test_how_layers_are_packed_is_nobodys_meaning(store: Store, expected: Image, tmp_path: Path) -> None:
    def packed(number: int, packing: str) -> Layer:
        one = expected.layers[number]
        data = gzip.decompress(b"".join(store.blob_path(part).read_bytes() for part in one.blob.parts))
        return layer(store, data, one.name, packing=packing)

    made = image([expected.layers[0], packed(1, "zstd"), packed(2, "none")], base=1, **VARIABLES)
    assert check(made, expected, store, tmp_path / "out") == []


SECOND = [*PARENTS, folder(f"{ENV}/bin")]
TOOL = file(f"{ENV}/bin/tool", "#!/bin/sh\n", mode=0o755)


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([*SECOND, file(f"{ENV}/bin/tool", "#!/bin/no\n", mode=0o755)], [(f"{ENV}/bin/tool", "changed")]),
        ([*SECOND, file(f"{ENV}/bin/tool", "longer than it was", mode=0o755)], [(f"{ENV}/bin/tool", "changed")]),
        ([*SECOND, file(f"{ENV}/bin/tool", "#!/bin/sh\n", mode=0o4755)], [(f"{ENV}/bin/tool", "mode")]),
        ([*SECOND, file(f"{ENV}/bin/tool", "#!/bin/sh\n", mode=0o755, uid=7)], [(f"{ENV}/bin/tool", "owner")]),
        ([*SECOND, link(f"{ENV}/bin/tool", "/bin/sh")], [(f"{ENV}/bin/tool", "kind")]),
        ([*SECOND, TOOL, file(f"{ENV}/bin/more", "x")], [(f"{ENV}/bin/more", "added")]),
        ([*SECOND, TOOL, folder("evil"), file("evil/a"), file("evil/b")], [("evil", "added")]),
        (SECOND, [(f"{ENV}/bin/tool", "lost")]),
        (PARENTS, [(f"{ENV}/bin", "lost")]),
        ([*SECOND, TOOL, file(f"{ENV}/lib/a.py", "A = 2\n")], [(f"{ENV}/lib/a.py", "changed")]),
        ([*SECOND, TOOL, link(f"{ENV}/lib/b.py", "/tmp/b.py")], [(f"{ENV}/lib/b.py", "target")]),
        ([*SECOND, TOOL, file("etc/passwd", "root::0:0::/:/bin/sh\n")], [("etc/passwd", "added")]),
        ([*SECOND, TOOL, file(f"{ENV}/lib/.wh.a.py")], [(f"{ENV}/lib/a.py", "hidden")]),
        ([*SECOND, TOOL, file("etc/.wh.passwd")], [("etc/passwd", "hidden")]),
        (
            [*SECOND, TOOL, folder(f"{ENV}/lib"), file(f"{ENV}/lib/.wh..wh..opq")],
            [(f"{ENV}/lib/*", "hidden")],
        ),
        ([*SECOND, TOOL, file("../../etc/cron.d/x", "evil")], [("../../etc/cron.d/x", "unsafe")]),
        ([*SECOND, TOOL, file("/etc/cron", "evil")], [("etc/cron", "added")]),
        ([*SECOND, TOOL, link("opt/out", "../../etc/passwd", tarfile.LNKTYPE)], [("opt/out", "unsafe")]),
        (
            [*SECOND, TOOL, link(f"{ENV}/share", "/etc"), file(f"{ENV}/share/passwd", "evil")],
            [(f"{ENV}/share", "added"), (f"{ENV}/share/passwd", "unsafe")],
        ),
        ([*SECOND, TOOL, file("dev/sda", type=tarfile.BLKTYPE, devmajor=8)], [("dev/sda", "added")]),
        ([*SECOND, TOOL, file("pipe", type=tarfile.FIFOTYPE)], [("pipe", "added")]),
        ([*SECOND, TOOL, TOOL], [(f"{ENV}/bin/tool", "unsafe")]),
        (
            [*SECOND, file(f"{ENV}/bin/tool", "#!/bin/sh\n", mode=0o755, pax_headers={"SCHILY.xattr.user.x": "y"})],
            [(f"{ENV}/bin/tool", "attributes")],
        ),
        ([*SECOND, file(f"{ENV}/bin/tool", "#!/bin/sh\n", mode=0o755, mtime=99)], [("", "layer")]),
        (tar([*SECOND, TOOL]) + tar([file("behind", "the end")]), [("", "unsafe")]),
    ],
    ids=range(25),
)  # fmt: skip
def test_every_difference_is_named(
    store: Store, expected: Image, tmp_path: Path, entries: Sequence[Entry] | bytes, wanted: list[tuple[str, str]]
) -> None:
    found = check(changed(store, expected, 2, entries), expected, store, tmp_path / "out")
    assert [one for one in found if one[2] != "layer" or wanted == [("", "layer")]] == [(2, *one) for one in wanted]


def test_another_base_is_said_and_the_environment_is_still_compared(
    store: Store, expected: Image, tmp_path: Path
) -> None:
    other = layer(store, [folder("etc"), file("etc/passwd", "evil\n")])
    made = image([other, expected.layers[1], expected.layers[2]], base=1, **VARIABLES)
    assert check(made, expected, store, tmp_path / "a") == [(-1, "", "base")]
    worse = image([other, other, expected.layers[1]], base=1, **VARIABLES)
    assert (2, f"{ENV}/bin", "lost") in check(worse, expected, store, tmp_path / "b")


def test_layers_in_another_order_and_more_of_them_are_said(store: Store, expected: Image, tmp_path: Path) -> None:
    below, first, second = expected.layers
    assert check(image([below, second, first], base=1, **VARIABLES), expected, store, tmp_path / "a") == [
        (-1, "", "layer")
    ]
    found = check(image([below, first, second, second], base=1, **VARIABLES), expected, store, tmp_path / "b")
    assert found == [(-1, "", "layer")]
    found = check(image([below, first], base=1, **VARIABLES), expected, store, tmp_path / "c")
    assert found == [(-1, "", "layer"), (2, f"{ENV}/bin", "lost")]


def test_variables_and_settings_are_compared(store: Store, expected: Image, tmp_path: Path) -> None:
    env = ["PATH=/evil:/opt/hermetic/env/bin", "LD_PRELOAD=/evil.so"]
    made = image(expected.layers, base=1, Env=env, Cmd=["sh"], User="root", Entrypoint=["/evil"])
    assert check(made, expected, store, tmp_path / "out") == [
        (-1, "A", "variable"),
        (-1, "Entrypoint", "setting"),
        (-1, "LD_PRELOAD", "variable"),
        (-1, "PATH", "variable"),
        (-1, "User", "setting"),
    ]


def test_an_image_for_another_machine_is_said(store: Store, expected: Image, tmp_path: Path) -> None:
    made = image(expected.layers, base=1, platform="linux-aarch64", **VARIABLES)
    assert check(made, expected, store, tmp_path / "out") == [(-1, "", "platform")]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "other"])
def test_a_damaged_blob_is_named(store: Store, expected: Image, tmp_path: Path, number: int, damage: str) -> None:
    write_layout([expected], tmp_path / "out", store=store)
    path = tmp_path / "out" / "blobs" / "sha256" / expected.layers[number].descriptor.sha256
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        flipped = data[:40] + bytes([data[40] ^ 1]) + data[41:]
        path.write_bytes({"cut": data[: len(data) // 2], "flip": flipped, "other": b"\0" * 1024}[damage])
    (found,) = read_layout(tmp_path / "out")
    findings = verify_image(found, expected, store=store)
    assert (number, "damaged") in {(one.layer, one.kind) for one in findings}
    assert number == 0 or any(one.kind == "lost" for one in findings if one.layer == number) or damage == "flip"


def test_names_that_would_confuse_a_terminal_are_told_safely(store: Store, expected: Image, tmp_path: Path) -> None:
    made = changed(store, expected, 2, [*SECOND, TOOL, file("evil\x1b[2J", "x")])
    ((_, path, kind),) = check(made, expected, store, tmp_path / "out")
    assert (path, kind) == ("evil\\x1b[2J", "added")


def test_what_the_store_has_lost_is_not_laid_at_the_images_door(store: Store, expected: Image, tmp_path: Path) -> None:
    made = changed(store, expected, 1, PARENTS)
    write_layout([made], tmp_path / "out", store=store)
    store.drop_blob(expected.layers[2].blob.parts[1])
    with pytest.raises(IntegrityError, match="store's copy"):
        verify_image(read_layout(tmp_path / "out")[0], expected, store=store)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 4000), byte=st.integers(1, 255), number=st.integers(0, 2))
def test_no_changed_byte_goes_unnoticed(
    store: Store, expected: Image, tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, number: int
) -> None:
    one = expected.layers[number]
    data = bytearray(gzip.decompress(b"".join(store.blob_path(part).read_bytes() for part in one.blob.parts)))
    data[at % len(data)] ^= byte
    layers = list(expected.layers)
    layers[number] = layer(store, bytes(data))
    assert check(image(layers, base=1, **VARIABLES), expected, store, tmp_path_factory.mktemp("out") / "o")


def test_memory_does_not_grow_with_the_image(store: Store, tmp_path: Path) -> None:
    made = image([layer(store, [file("zeros", bytes(96 << 20))])])
    write_layout([made], tmp_path / "out", store=store)
    wanted = image([layer(store, [file("zeros", bytes(3))])])
    tracemalloc.start()
    try:
        findings = verify_image(read_layout(tmp_path / "out")[0], wanted, store=store)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    assert [(one.path, one.kind) for one in findings] == [("zeros", "changed")]


def test_an_image_in_an_engine_is_compared_too(engine: Engine, store: Store, tmp_path: Path) -> None:
    unique = uuid.uuid4().hex
    below = [shell_layer(store), layer(store, [file("mark", unique)])]
    wanted = image([*below, *own_layers(store)], base=2, **VARIABLES)
    evil = [*SECOND, file(f"{ENV}/bin/tool", "#!/evil\n", mode=0o755)]
    made = image([*below, own_layers(store)[0], layer(store, evil)], base=2, **VARIABLES)
    for tag, one in (("good", wanted), ("bad", made)):
        load(one, f"test/{unique}:{tag}", store=store, client=engine.client)
    found = engine_image(f"test/{unique}:good", engine.client)
    assert found.digest == wanted.config.digest
    assert verify_image(found, wanted, store=store) == ()
    (finding,) = verify_image(engine_image(f"test/{unique}:bad", engine.client), wanted, store=store)
    assert finding == ImageFinding(3, f"{ENV}/bin/tool", "changed", "8 bytes, not 10", "second")


class Archive:
    """The one call of an engine's API that writes an image out, answered from a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.api = path, self

    def get_image(self, _: str) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            while piece := stream.read(100_000):
                yield piece


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_other_engines_write_images_in_other_forms(store: Store, expected: Image, tmp_path: Path, form: str) -> None:
    require(shutil.which("skopeo"), "skopeo is not installed")
    noise = layer(store, [*PARENTS, file(f"{ENV}/noise", os.urandom(3 << 20))])
    made = image([*expected.layers, noise], base=1, **VARIABLES)
    write_layout([made], tmp_path / "out", store=store)
    target = f"{form}:{tmp_path / 'saved.tar'}"
    copy = ("skopeo", "copy", "--insecure-policy", f"oci:{tmp_path / 'out'}", target)
    subprocess.run(copy, check=True, capture_output=True)
    (found,) = read_layout(tmp_path / "out")
    layers = tuple(FoundLayer(one.diff_id) for one in found.layers)
    saved = replace(found, layers=layers, streams=_Saved(Archive(tmp_path / "saved.tar"), "x"))
    assert verify_image(saved, made, store=store) == ()
    told = {(one.layer, one.path, one.kind) for one in verify_image(saved, expected, store=store)}
    assert (3, f"{ENV}/noise", "added") in told
    half = (tmp_path / "saved.tar").read_bytes()[: 1 << 20]
    (tmp_path / "saved.tar").write_bytes(half)
    with pytest.raises(IntegrityError, match="cut short"):
        verify_image(saved, made, store=store)


def test_what_names_an_image(store: Store, expected: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hermetic.config import load_config
    from hermetic.events import SILENT

    write_layout([expected], tmp_path / "out", store=store, name="demo")
    (tmp_path / "prefix").mkdir()
    monkeypatch.chdir(tmp_path)
    assert names_image("out")
    assert not names_image("prefix")
    assert not names_image("default")
    assert all(map(names_image, ("layout:out", "engine:demo", "team/demo:1", "demo:1")))
    for text in ("out", "layout:out", "layout:out:demo"):
        (found,) = find_images(text, store=store, config=load_config(), reporter=SILENT)
        assert found.digest == expected.manifest.digest
