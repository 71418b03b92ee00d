"""What packages put into an image, held to what py-rattler links: prefixes, entry points, collisions, scripts."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_samples import ROOT, Entries, assert_same, entries, image_of, prefix_entries, tar_bytes
from prefix_samples import SHARED, addresses, index_json, lock_of
from support.channel import PLACEHOLDER, Link, write_package
from support.images import small_base
from support.needs import suits
from support.wheels import make_wheel

from hermetic.errors import BuildError, HermeticError, UsageError
from hermetic.outputs.oci.model import PREFIX, Image
from hermetic.outputs.oci.replacing import entry_point_script, pieces
from hermetic.store import Store

ARCHIVES = sorted(
    path for path in (SHARED / "conda-data" / "packages").rglob("*") if path.name.endswith((".conda", ".tar.bz2"))
)


def python(folder: Path, **more: Any) -> Path:
    files = {"lib/python3.11/os.py": "", "bin/python3.11": "#!/bin/sh\nexit 1\n"}
    return write_package(folder, "python", "3.11.9", build="h0_0_cpython", subdir="linux-aarch64", files=files, **more)


def build(
    store: Store, folder: Path, archives: list[Path], wheels: list[Path] | None = None, **options: Any
) -> Entries:
    """Build an image for another platform (its Python cannot run), and hold it to the prefix."""
    image = image_of(store, archives, wheels or [], platform="linux-aarch64", **options)
    found = entries(store, image.layers)
    lock = lock_of(archives, wheels or [], platform="linux-aarch64")
    scripts = options.get("link_scripts", "refuse")
    prefix = prefix_entries(lock, store, folder / "prefix", addresses=addresses(archives), link_scripts=scripts)
    assert_same(found, prefix)
    return found


def content(store: Store, image: Image, path: str) -> bytes:
    for layer in reversed(image.layers):
        with tarfile.open(fileobj=io.BytesIO(tar_bytes(store, layer))) as tar:
            if path in tar.getnames():
                file = tar.extractfile(path)
                assert file
                return file.read()
    raise AssertionError(path)


@pytest.fixture
def fresh(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def test_prefixes_are_replaced_as_py_rattler_does(fresh: Store, tmp_path: Path) -> None:
    p = PLACEHOLDER
    one = write_package(
        tmp_path, "one",
        files={
            "bin/plain": f"#!{p}/bin/python\nprint('{p}', '{p}/x')\n",
            "bin/long": f"#!{p}/bin/{'deep/' * 24}perl -w\nprint {p}\n",
            "bin/long-python": f"#!{p}/bin/{'deep/' * 24}python3.11 -I\nprint('{p}')\n",
            "bin/one-line": f"echo {p}",
            "lib/lib.so": b"\x7fELF\0" + p.encode() + b"/lib:" + p.encode() + b"/b\0rest\0" + p.encode() + b"\0\0end",
            "lib/open.so": b"\0\0" + p.encode() + b"/never/ends",
            "lib/large.so": b"\0" + os.urandom(3_000_000).replace(b"/", b".") + b"\0" + p.encode() + b"/x\0" + bytes(9),
            "share/large.txt": f"{'x' * 5000}{p}\n" * 500,
            "share/link": Link("../bin/plain"),
            "share/ünï/code": p,
        },
    )  # fmt: skip
    found = build(fresh, tmp_path, [one])
    assert found[f"{ROOT}/share/link"] == ("link", "../bin/plain")
    image = image_of(fresh, [one], platform="linux-aarch64")
    assert (
        content(fresh, image, f"{ROOT}/bin/plain")
        == f"#!{PREFIX}/bin/python\nprint('{PREFIX}', '{PREFIX}/x')\n".encode()
    )
    assert content(fresh, image, f"{ROOT}/bin/long").startswith(b"#!/usr/bin/env perl -w\n")
    assert content(fresh, image, f"{ROOT}/bin/long-python").startswith(b"#!/bin/sh\n'''exec' \"/opt/hermetic/env/bin/")
    assert PLACEHOLDER.encode() not in gzip.compress(b"".join(tar_bytes(fresh, layer) for layer in image.layers))


@given(
    st.lists(st.sampled_from([b"/build/placehold", b"\0", b"/", b"text", b"/build/", b"\n", b"#!"]), max_size=12),
    st.sampled_from(["text", "binary"]),
)
def test_pieces_replace_all_and_keep_the_rest(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], mode: str
) -> None:
    file = tmp_path_factory.mktemp("files") / "file"
    data = b"".join(parts)
    file.write_bytes(data)
    made = b"".join(pieces(str(file), "/build/placehold", "/opt/env", mode))
    if mode == "text":
        assert made == data.replace(b"/build/placehold", b"/opt/env")
    else:
        assert len(made) == len(data)
        assert b"/build/placehold" not in made
        assert made.replace(b"\0", b"") == data.replace(b"/build/placehold", b"/opt/env").replace(b"\0", b"")


def test_a_program_without_room_is_refused(fresh: Store, tmp_path: Path) -> None:
    paths = {"paths_version": 1, "paths": [
        {"_path": "lib/a.so", "path_type": "hardlink", "prefix_placeholder": "/short", "file_mode": "binary"}
    ]}  # fmt: skip
    one = write_package(tmp_path, "one", files={"lib/a.so": b"\0/short\0"}, info={"paths.json": json.dumps(paths)})
    with pytest.raises(UsageError, match="leaves room for a prefix of 6 characters"):
        image_of(fresh, [one])


def test_noarch_packages_and_wheels_get_their_scripts(fresh: Store, tmp_path: Path) -> None:
    tool = write_package(
        tmp_path, "tool", noarch="python", entry_points=["tool = tool.cli:main", "other=tool:Tool.run"],
        files={"site-packages/tool/__init__.py": "", "python-scripts/raw": "#!/bin/sh\n"},
    )  # fmt: skip
    wheel = make_wheel(
        tmp_path, "Some.Wheel", scripts={"some": "some_wheel:main"}, data={"scripts/raw2": "#!python -I\nprint()\n",
        "data/share/x": "x", "headers/a.h": "int a;"},
    )  # fmt: skip
    found = build(fresh, tmp_path, [python(tmp_path), tool], [wheel])
    for name in ("tool", "other", "raw", "some", "raw2"):
        assert found[f"{ROOT}/bin/{name}"][:2] == ("file", 0o755)
    assert f"{ROOT}/lib/python3.11/site-packages/Some_Wheel-1.0.dist-info/RECORD" in found


@pytest.mark.parametrize("point", ["tool", "tool = a", "tool = a:b; import os", "tool = a b:c", "tool = :x", "t = a:"])
def test_an_entry_point_that_is_none_is_refused(point: str) -> None:
    with pytest.raises(BuildError, match="is no entry point"):
        entry_point_script(point, "/opt/hermetic/env/bin/python3.11")


def test_the_winner_of_a_path_shows_whatever_the_order_of_layers(fresh: Store, tmp_path: Path) -> None:
    low = write_package(tmp_path, "low", files={"share/both": "low", "share/same": "same", "share/low": "low"})
    high = write_package(tmp_path, "high", depends=["low"], files={"share/both": "high", "share/same": "same"})
    told: list[str] = []

    class Reporter:
        def __getattr__(self, name: str) -> Any:
            return told.append if name == "warn" else lambda *_: None

    image = image_of(fresh, [low, high], platform="linux-aarch64", reporter=Reporter())
    assert told == ["low and high both have share/both: high's is installed"]
    everything = entries(fresh, image.layers)
    assert_same(
        everything,
        prefix_entries(
            lock_of([low, high], platform="linux-aarch64"), fresh, tmp_path / "p", addresses=addresses([low, high])
        ),
    )
    assert entries(fresh, image.layers[::-1]) == everything
    assert content(fresh, image, f"{ROOT}/share/both") == b"high"
    alone = image_of(fresh, [low], platform="linux-aarch64")
    assert content(fresh, alone, f"{ROOT}/share/both") == b"low"


def test_link_scripts_are_refused_or_left_out(fresh: Store, tmp_path: Path) -> None:
    one = write_package(tmp_path, "one", files={"bin/.one-post-link.sh": "exit 1\n", "share/x": "x"})
    with pytest.raises(UsageError, match=r"one \(bin/.one-post-link.sh\)"):
        image_of(fresh, [one])
    assert f"{ROOT}/bin/.one-post-link.sh" in build(fresh, tmp_path, [one], link_scripts="skip")


def test_variables_of_packages_and_of_the_lock_are_the_images(fresh: Store, tmp_path: Path) -> None:
    later, sooner = '{"A": "b", "B": "b"}', '{"A": "a", "C": "c", "LANG": "***unset***"}'
    files = {"etc/conda/env_vars.d/b.json": later, "etc/conda/env_vars.d/a.json": sooner}
    one = write_package(tmp_path, "one", files=files)
    image = image_of(fresh, [one], variables={"C": "lock"})
    document = json.loads(image.config.data)["config"]
    assert document["Env"] == [
        "PATH=/opt/hermetic/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "CONDA_PREFIX=/opt/hermetic/env", "CONDA_DEFAULT_ENV=env", "CONDA_SHLVL=1", "A=b", "B=b", "C=lock",
    ]  # fmt: skip
    assert "Entrypoint" not in document


def test_activation_scripts_run_before_the_command(fresh: Store, tmp_path: Path) -> None:
    one = write_package(
        tmp_path,
        "one",
        files={
            "etc/conda/activate.d/b.sh": 'export B="$A$1"\n',
            "etc/conda/activate.d/a b.sh": "export A=a\necho loud\n",
        },
    )
    image = image_of(fresh, [one], base=small_base(fresh), entrypoint=("/usr/bin/env",))
    document = json.loads(image.config.data)["config"]
    assert document["Entrypoint"] == ["/opt/hermetic/activate", "/usr/bin/env"]
    assert "Entrypoint" not in json.loads(image_of(fresh, [one]).config.data)["config"], "scratch has no shell"
    script = content(fresh, image, "opt/hermetic/activate").decode()
    lines = [line for line in script.splitlines() if line.startswith(". ")]
    assert lines == [
        f". '{PREFIX}/etc/conda/activate.d/a b.sh' 1>&2",
        f". {PREFIX}/etc/conda/activate.d/b.sh 1>&2",
    ]
    assert entries(fresh, image.layers)["opt/hermetic/activate"][1] == 0o755
    assert script.endswith('exec "$@"\n')


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_real_archives_are_in_an_image_what_they_are_in_a_prefix(archive: Path, fresh: Store, tmp_path: Path) -> None:
    try:
        stated = index_json(archive)
    except Exception:  # noqa: BLE001  whatever is wrong with it
        pytest.skip("it is no package: no lock can be made of it")
    suits((stated.get("subdir") or "noarch").startswith(("linux", "noarch")), "images are for Linux")
    archives = [archive, python(tmp_path)] if stated.get("noarch") == "python" else [archive]
    lock = lock_of(archives, platform="linux-aarch64")
    try:
        prefix = prefix_entries(lock, fresh, tmp_path / "prefix", addresses=addresses(archives), link_scripts="skip")
    except HermeticError as refused:
        with pytest.raises(type(refused)):
            image_of(fresh, archives, platform="linux-aarch64", link_scripts="skip")
        return
    image = image_of(fresh, archives, platform="linux-aarch64", link_scripts="skip")
    assert_same(entries(fresh, image.layers), prefix)
