"""Packages whose digest is right and whose content is wicked: refused by name, and nothing is written outside."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_samples import Entry, file, folder, hard_link, info_entries, link, write_conda, write_tar_bz2
from support.desk import Desk, snapshot, take
from support.faulty import faulty
from support.wheels import make_wheel

UP = "../" * 40
Evil = dict[str, tuple[list[Entry], str]]


def payloads(outside: Path) -> Evil:
    """Give the members of each evil package, and the member that a message must name. ``outside`` is absolute."""
    away = f"{UP}{outside.relative_to('/')}"
    good = file("share/good.txt")
    return {
        "dotdot": ([good, file(f"{away}/dotdot")], "dotdot"),
        "dotdot-inside": ([good, file(f"share/../{away}/inside")], "inside"),
        "absolute": ([good, file(f"{outside}/absolute")], "absolute"),
        "link-absolute": ([link("share/out", str(outside)), file("share/out/through")], "share/out"),
        "link-up": ([link("share/out", away), file("share/out/through")], "share/out"),
        "link-alone": ([good, link("share/out", f"{away}/canary")], "share/out"),
        "link-chain": ([folder("a/b"), link("a/up", "b/../.."), link("x", f"a/up/{away}"), file("x/through")], "x"),
        "link-replaced": ([link("share/out", str(outside)), file("share/out")], "share/out"),
        "hard-link-absolute": ([good, hard_link("share/hard", f"{outside}/canary")], "share/hard"),
        "hard-link-up": ([good, hard_link("share/hard", f"{away}/canary")], "share/hard"),
        "device": ([good, Entry("share/device", kind=tarfile.CHRTYPE)], "share/device"),
        "pipe": ([good, Entry("share/pipe", kind=tarfile.FIFOTYPE)], "share/pipe"),
        "bomb": ([good, file("share/bomb", bytes(300 << 20))], "share/bomb"),
        "newline": ([good, file("share/\n/etc/passwd\\")], "share/"),
        "twice": ([good, file("share/twice", b"1"), file("share/twice", b"2")], "share/twice"),
        "old-dotdot": ([good, file(f"{away}/dotdot")], "dotdot"),
        "old-link": ([link("share/out", str(outside)), file("share/out/through")], "share/out"),
        "paths-dotdot": ([good], "paths-escaped"),
    }


def wheels(outside: Path) -> dict[str, tuple[Callable[[Path], Path], str]]:
    away = f"{UP}{outside.relative_to('/')}"
    made: dict[str, tuple[Callable[[Path], Path], str]] = {}

    def add(name: str, member: str, **what: object) -> None:
        made[name] = (lambda where: make_wheel(where, name, **what), member)  # type: ignore[arg-type]

    add("wheel-dotdot", "dotdot.py", files={f"{away}/dotdot.py": "pass\n"})
    add("wheel-absolute", "absolute.py", files={f"{outside}/absolute.py": "pass\n"})
    add("wheel-data", "wheel_data-1.0.data/scripts/..", data={f"scripts/{away}/through": "#!python\n"})
    add("wheel-script", "evil", scripts={f"{away}/evil": "os:getcwd"})
    add("wheel-backslash", "slash.py", files={"..\\..\\slash.py": "pass\n"})
    add("wheel-bomb", "bomb.py", files={"bomb.py": bytes(300 << 20)})
    add("wheel-link", "out", files={"out": str(outside)})
    add("wheel-record", "changed.py", files={"changed.py": "pass\n"})
    return made


def spoil_wheel(path: Path) -> None:
    """Do what ``make_wheel`` does not: a symbolic link, and a content that RECORD does not know."""
    with zipfile.ZipFile(path) as archive:
        members = [(entry, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in members:
            if entry.filename == "out":
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, b"import os\n" if entry.filename == "changed.py" else data)


OUTSIDE = Path("/somewhere/else")
PACKAGES = sorted(payloads(OUTSIDE))
WHEELS = sorted(wheels(OUTSIDE))


@pytest.fixture(scope="session")
def evil(goods: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evil channel, an evil index, a canary outside, and a project with one locked environment for each evil."""
    root = tmp_path_factory.mktemp("evil")
    outside = root / "outside"
    outside.mkdir()
    (outside / "canary").write_text("alive\n")
    subdir = root / "channel" / "noarch"
    subdir.mkdir(parents=True)
    old: dict[str, dict[str, object]] = {}
    new: dict[str, dict[str, object]] = {}
    for name, (members, member) in payloads(outside).items():
        index: dict[str, object] = {"name": name, "version": "1.0", "build": "0", "build_number": 0, "depends": []}
        paths = [{"_path": f"{UP}{outside.relative_to('/')}/{member}", "path_type": "directory"}]
        info = info_entries(members, [*paths] if name == "paths-dotdot" else None)
        info[0] = file("info/index.json", json.dumps({**index, "noarch": "generic", "subdir": "noarch"}).encode())
        if name.startswith("old-"):
            package = write_tar_bz2(subdir / f"{name}-1.0-0.tar.bz2", [*info, *members])
        else:
            package = write_conda(subdir / f"{name}-1.0-0.conda", members, info)
        data = package.read_bytes()
        record = {**index, "noarch": "generic", "subdir": "noarch", "size": len(data)}
        record["sha256"] = hashlib.sha256(data).hexdigest()
        record["md5"] = hashlib.md5(data, usedforsecurity=False).hexdigest()
        (old if name.startswith("old-") else new)[package.name] = record
    content = {"info": {"subdir": "noarch"}, "packages": old, "packages.conda": new, "repodata_version": 1}
    (subdir / "repodata.json").write_text(json.dumps(content))
    for make, _ in wheels(outside).values():
        spoil_wheel(make(root / "wheels"))

    desk = Desk(root / "desk")
    text = ""
    for name in [*PACKAGES, *WHEELS]:
        what = f'dependencies = ["{name}"]' if name in PACKAGES else f'dependencies = ["python"]\npip = ["{name}"]'
        text += f'[environments.{name}]\nchannels = ["evil", "shop"]\n{what}\nplatforms = ["linux-64"]\n'
    (desk.project / "hermetic.toml").write_text(text)
    with faulty(root / "wheels", index=True) as server:
        desk.shops(goods / "channel", server.url)
        desk.environment["HERMETIC_CHANNELS"] += f" evil={root / 'channel'}"
        desk("lock")
    return root


@pytest.mark.parametrize("name", [*PACKAGES, *WHEELS])
def test_an_evil_archive(tmp_path: Path, goods: Path, evil: Path, name: str) -> None:
    outside = evil / "outside"
    member = payloads(outside)[name][1] if name in PACKAGES else wheels(outside)[name][1]
    desk = take(evil / "desk" / "project", Desk(tmp_path))
    with faulty(evil / "wheels", index=True) as server:
        desk.shops(goods / "channel", server.url)
        desk.environment["HERMETIC_CHANNELS"] += f" evil={evil / 'channel'}"
        before = snapshot(outside)
        result = desk("build", name, status=5)
    file_name = f"{name}-1.0-0" if name in PACKAGES else f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    assert file_name in result.stderr, result.stderr
    assert member in result.stderr, result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, "no remedy"
    assert snapshot(outside) == before
    assert not (desk.project / ".hermetic" / "envs").exists() or not any(
        (desk.project / ".hermetic" / "envs").iterdir()
    )
    assert not list((desk.store / "trees").rglob("good.txt"))
    desk.settled()


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "no archive": lambda data: b"<html>welcome</html>",
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "a zip of something else": lambda data: _zip({"readme.txt": b"hello"}),
    "no payload": lambda data: _zip({"metadata.json": b'{"conda_pkg_format_version": 2}'}),
    "a payload that is no tar": lambda data: _zip(
        {
            "metadata.json": b'{"conda_pkg_format_version": 2}',
            "info-app-2.0-h0_0.tar.zst": b"x",
            "pkg-app-2.0-h0_0.tar.zst": b"y",
        }
    ),
}


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
def test_a_package_that_is_none(desk: Desk, own_goods: Path, spoil: Callable[[bytes], bytes]) -> None:
    package = own_goods / "channel" / "noarch" / "app-2.0-h0_0.conda"
    repodata = package.with_name("repodata.json")
    content = json.loads(repodata.read_text())
    data = spoil(package.read_bytes())
    package.write_bytes(data)
    content["packages.conda"][package.name] |= {
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "size": len(data),
    }
    repodata.write_text(json.dumps(content))
    desk.declare("app")
    result = desk("build", status=5)
    assert "app-2.0-h0_0.conda" in result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, "no remedy"
    assert not desk.prefix.exists()
    desk.settled()
