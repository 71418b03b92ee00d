"""Debian packages are read as dpkg reads them, and wicked ones are refused before anything of them is used."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from deb_samples import PACKERS, ar, deb, tar
from hypothesis import given, settings
from hypothesis import strategies as st
from support.needs import require

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.bases.deb import Entry, read_deb

FILES: dict[str, Any] = {
    "./usr/bin/": None,
    "./usr/bin/tool": b"#!/bin/sh\n" + b"x" * 5000,
    "./usr/bin/link": "tool",
    "./usr/bin/absolute": "/usr/bin/tool",
    "./usr/bin/hard": ("hard", "./usr/bin/tool"),
}


def read(data: bytes, folder: Path) -> tuple[dict[str, str], dict[str, tuple[Entry, bytes]]]:
    path = folder / "x.deb"
    path.write_bytes(data)
    found: dict[str, tuple[Entry, bytes]] = {}

    def take(entry: Entry, pieces: Iterable[memoryview]) -> None:
        found[entry.path] = entry, b"".join(bytes(piece) for piece in pieces)

    return dict(read_deb(path, take, label="sample 1.0")), found


@pytest.mark.parametrize("packing", PACKERS)
def test_members_and_control_are_read(packing: str, tmp_path: Path) -> None:
    control, found = read(deb("sample", "1:2.0-3", FILES, packing=packing, depends="libc6"), tmp_path)
    assert (control["Package"], control["Version"], control["Depends"]) == ("sample", "1:2.0-3", "libc6")
    assert control["Description"] == "sample\n of a test"
    assert found["usr/bin/tool"][1] == FILES["./usr/bin/tool"]
    assert found["usr/bin/link"][0].target == "tool"
    assert found["usr/bin/absolute"][0].target == "/usr/bin/tool"
    assert found["usr/bin/hard"][0] == Entry("usr/bin/hard", "hard link", 0o644, "usr/bin/tool")


def test_dpkgs_own_packages_are_read(tmp_path: Path) -> None:
    require(shutil.which("dpkg-deb"), "there is no dpkg-deb")
    for compressor in ("xz", "zstd", "gzip", "none"):
        root = tmp_path / compressor
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN" / "control").write_text(
            "Package: made\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
        )
        (root / "usr").mkdir()
        (root / "usr" / "file").write_bytes(b"content")
        out = tmp_path / f"{compressor}.deb"
        command = ["dpkg-deb", f"-Z{compressor}", "--build", str(root), str(out)]
        subprocess.run(command, check=True, capture_output=True)
        control, found = read(out.read_bytes(), tmp_path)
        assert control["Package"] == "made"
        assert found["usr/file"][1] == b"content"


GOOD = [
    ("debian-binary", b"2.0\n"),
    ("control.tar", tar({"./control": b"Package: a\nVersion: 1\nArchitecture: all\n"})),
]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no Debian package"),
        (b"PK\3\4" + bytes(100), "no Debian package"),
        (b"!<arch>\n", "nothing where"),
        (b"!<arch>\n" + b"x" * 59, "cannot be told apart"),
        (deb()[:-300], "cut short"),
        (ar([("data.tar", b""), *GOOD]), "other parts"),
        (ar([("debian-binary", b"3.0\n"), *GOOD[1:], ("data.tar", tar({}))]), "not 2.x"),
        (ar([*GOOD, ("data.tar.lzma", b"")]), "does not read"),
        (ar([*GOOD, ("data.tar.xz", b"\xfd7zXZ\0" + bytes(50))]), "damaged"),
        (ar([*GOOD, ("data.tar.xz", b"no xz at all")]), "damaged"),
        (ar([*GOOD, ("data.tar.gz", b"\x1f\x8b" + bytes(50))]), "damaged"),
        (ar([*GOOD, ("data.tar.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 50)]), "damaged"),
        (ar([GOOD[0], ("control.tar", tar({"./other": b""})), ("data.tar", tar({}))]), "does not say what it is"),
        (deb(files={"../evil": b"x"}), "leads out"),
        (deb(files={"/etc/passwd": b"x"}), "absolute path"),
        (deb(files={"./a": "../../etc"}), "leads out"),
        (deb(files={"./a": "/etc/../../.."}), "leads out"),
        (deb(files={"./a": "b", "./a/c": b"x"}), "through the symbolic link"),
        (deb(files={"./a": b"x", "./a/b": b"x"}), "which is a file"),
        (deb(files={"./a": ("hard", "/etc/passwd")}), "hard link has an absolute target"),
        (deb(files={"./a": ("hard", "./b")}), "no earlier file"),
        (deb(files={"./a": ("pipe", "")}), "a pipe"),
        (deb(files={"./a": ("device", "")}), "a device"),
    ],
)
def test_a_wicked_package_is_refused_with_its_name(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=reason) as caught:
        read(data, tmp_path)
    assert str(caught.value).startswith("sample 1.0: ")
    assert caught.value.remedy


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    data = PACKERS[".zst"](tar({"./a": bytes(80 << 20)}))
    with pytest.raises(IntegrityError, match="fill a disk"):
        read(ar([*GOOD, ("data.tar.zst", data)]), tmp_path)


@settings(max_examples=60)
@given(data=st.data())
def test_damage_anywhere_is_an_error_or_changes_nothing_that_is_read(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(deb(files={"./a": b"content" * 50}, packing=data.draw(st.sampled_from(["", ".xz", ".zst"]))))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with suppress(IntegrityError):  # any other exception fails the test
        read(bytes(whole), tmp_path_factory.mktemp("deb"))
