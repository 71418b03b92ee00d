"""The embedded base by Debian's own apt: from an archive on this machine, bit for bit the same every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from deb_samples import apt_environment, base_debs, deb, write_archive
from support.needs import require
from support.servers import serve

from hermetic.errors import IntegrityError, MachineError, NetworkError, OfflineError, UsageError
from hermetic.lock.model import Base
from hermetic.outputs.oci.bases.apt import ROOTS
from hermetic.outputs.oci.bases.embedded import open_embedded, pin_embedded
from hermetic.outputs.oci.blobs import chunks
from hermetic.outputs.oci.model import BaseImage
from hermetic.store import Store

LINUX = "linux-64"


@dataclass
class Archive:
    """A Debian archive on loopback: what is in its folder is what the mirror has."""

    folder: Path
    asked: list[tuple[str, str]]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    require(shutil.which("apt-get"), "there is no apt here")
    folder = tmp_path / "archive"
    write_archive(folder, base_debs())
    with serve(folder) as server:
        for name, value in apt_environment(tmp_path, server.url).items():
            monkeypatch.setenv(name, value)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield Archive(folder, server.requests)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def layer(image: BaseImage, store: Store) -> bytes:
    """Give the base's one layer, checked against its descriptor and diff ID as an engine checks it."""
    (only,) = image.layers
    assert only.blob
    data = b"".join(chunks(store, only.blob))
    assert only.descriptor.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert only.descriptor.size == len(data)
    plain = gzip.decompress(data)
    assert only.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    return plain


def test_the_newest_packages_and_what_they_need_are_pinned(archive: Archive, store: Store) -> None:
    base = pin_embedded(LINUX, store=store)
    names = {package.name for package in base.packages}
    assert names == {*ROOTS, "libtinfo6"}  # and not what only scripts need: openssl, debconf
    libc = next(package for package in base.packages if package.name == "libc6")
    assert (libc.version, libc.architecture) == ("1:2.36-9+deb12u1", "amd64")
    assert all(store.has_blob(package.sha256) for package in base.packages)
    assert (base.reference, base.index, base.manifest) == ("embedded", "", "")


def test_the_base_is_one_sound_layer(archive: Archive, store: Store) -> None:
    image = open_embedded(pin_embedded(LINUX, store=store), LINUX, store=store)
    assert (image.config["architecture"], image.config["os"]) == ("amd64", "linux")
    assert image.config["rootfs"]["diff_ids"] == [image.layers[0].diff_id]
    assert image.digest.startswith("sha256:")
    with tarfile.open(fileobj=io.BytesIO(layer(image, store))) as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == sorted(m.name for m in members)
        assert {(m.uid, m.gid, m.uname, m.mtime) for m in members} == {(0, 0, "", 1)}
        assert tar.extractfile("etc/passwd").read().startswith(b"root:")  # type: ignore[union-attr]
        assert tar.getmember("tmp").mode == 0o1777


def test_nothing_is_asked_or_made_twice(archive: Archive, store: Store) -> None:
    base = pin_embedded(LINUX, store=store)
    first = open_embedded(base, LINUX, store=store)
    archive.asked.clear()
    assert open_embedded(base, LINUX, store=store, offline=True) == first
    assert archive.asked == []


def test_another_machine_makes_the_same_bytes(archive: Archive, store: Store, tmp_path: Path) -> None:
    """Another store, folder, time zone, locale, umask, hash seed and user directory; packages fetched by their pins."""
    base = pin_embedded(LINUX, store=store)
    image = open_embedded(base, LINUX, store=store)
    code = """
import json, os, sys
from pathlib import Path
os.umask(0o077)
from hermetic.lock.model import Base, DebianPackage
from hermetic.outputs.oci.bases.embedded import open_embedded
from hermetic.store import Store
base = Base("embedded", packages=tuple(DebianPackage(*item) for item in json.load(sys.stdin)))
image = open_embedded(base, "linux-64", store=Store.open(Path(sys.argv[1])))
print(image.layers[0].descriptor.digest, image.layers[0].diff_id, image.digest)
"""
    packages = json.dumps([list(vars(package).values()) for package in reversed(base.packages)])
    for number, settings in enumerate([
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": str(tmp_path)},
        {"PYTHONHASHSEED": "2", "TZ": "America/New_York", "LC_ALL": "C.UTF-8", "TMPDIR": str(tmp_path)},
    ]):  # fmt: skip
        out = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / f"elsewhere-{number}" / "store")],
            input=packages, env={**os.environ, **settings}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        only = image.layers[0]
        assert out.stdout.split() == [only.descriptor.digest, only.diff_id, image.digest]


def test_the_machines_apt_is_not_touched(archive: Archive, store: Store) -> None:
    places = [Path("/var/lib/apt/lists"), Path("/var/cache/apt"), Path("/var/lib/dpkg")]

    def state() -> list[tuple[str, int]]:
        return [(str(place), place.stat().st_mtime_ns) for place in places if place.is_dir()]

    before = state()
    open_embedded(pin_embedded(LINUX, store=store), LINUX, store=store)
    assert state() == before


def test_hooks_of_the_machine_do_not_run(archive: Archive, store: Store, tmp_path: Path) -> None:
    settings = tmp_path / "apt.conf"
    settings.write_text(settings.read_text() + f'APT::Update::Post-Invoke {{"touch {tmp_path}/ran";}};\n')
    pin_embedded(LINUX, store=store)
    assert not (tmp_path / "ran").exists()


def test_a_user_who_is_not_root_can_make_it(archive: Archive, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this is one already: every test here shows it")
    for folder in [tmp_path, *tmp_path.parents]:  # pytest's folders are for root only
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o755)
    home = tmp_path / "nobody"
    home.mkdir()
    os.chown(home, 65534, 65534)
    code = """
import os, sys
from pathlib import Path
from hermetic.outputs.oci.bases.embedded import *
from hermetic.store import Store
def made(name):
    store = Store.open(Path(sys.argv[1], name))
    return open_embedded(pin_embedded("linux-64", store=store), "linux-64", store=store).digest
first = made("root")  # loads every module: this Python may stand where only root may read
os.setgroups([]), os.setgid(65534), os.setuid(65534)
os.environ["HOME"] = sys.argv[2]
sys.argv[1] = sys.argv[2]
print(first == made("store"), os.geteuid())
"""
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(home)], capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == ["True", "65534"]


def test_what_the_mirror_lost_is_an_error_with_a_way_out(archive: Archive, store: Store, tmp_path: Path) -> None:
    base = pin_embedded(LINUX, store=store)
    shutil.rmtree(archive.folder)
    write_archive(archive.folder, base_debs("1.1"))
    other = Store.open(tmp_path / "other")
    with pytest.raises(NetworkError, match=r"no longer has.*was not found") as caught:
        open_embedded(base, LINUX, store=other)
    assert "hermetic base update" in str(caught.value.remedy)
    assert open_embedded(base, LINUX, store=store)  # whoever has the packages needs no mirror
    newer = pin_embedded(LINUX, store=other)
    assert {package.version for package in newer.packages} >= {"1.1"}


def test_a_package_that_was_replaced_is_not_taken(archive: Archive, store: Store, tmp_path: Path) -> None:
    base = pin_embedded(LINUX, store=store)
    changed = base_debs()
    changed["bash.deb"] = deb("bash", "1.0", {"./bin/bash": b"evil"})
    write_archive(archive.folder, changed)
    with pytest.raises(IntegrityError, match=r"bash 1\.0 is not the one of the lock"):
        open_embedded(base, LINUX, store=Store.open(tmp_path / "other"))


def test_a_lock_that_lies_about_a_package_is_told(archive: Archive, store: Store) -> None:
    base = pin_embedded(LINUX, store=store)
    packages = tuple(replace(p, version="9") if p.name == "bash" else p for p in base.packages)
    with pytest.raises(IntegrityError, match=r"bash 9: the archive says that it is bash 1\.0"):
        open_embedded(replace(base, packages=packages), LINUX, store=store)


def test_offline(archive: Archive, store: Store, tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match="pinned to what Debian's mirror has now"):
        pin_embedded(LINUX, store=store, offline=True)
    base = pin_embedded(LINUX, store=store)
    with pytest.raises(OfflineError, match="are not in the store"):
        open_embedded(base, LINUX, store=Store.open(tmp_path / "other"), offline=True)
    assert open_embedded(base, LINUX, store=store, offline=True)


def test_platforms(archive: Archive, store: Store) -> None:
    base = pin_embedded(LINUX, store=store)
    with pytest.raises(UsageError, match="pinned for another platform than linux-aarch64"):
        open_embedded(base, "linux-aarch64", store=store)
    with pytest.raises(UsageError, match="no embedded base for osx-arm64"):
        pin_embedded("osx-arm64", store=store)
    with pytest.raises(UsageError, match="is not pinned"):
        open_embedded(Base("embedded"), LINUX, store=store)
    with pytest.raises(MachineError, match="Unable to locate package"):
        pin_embedded("linux-aarch64", store=store)  # an archive without it


def test_a_mirror_that_is_gone(archive: Archive, store: Store, tmp_path: Path) -> None:
    shutil.rmtree(archive.folder)
    with pytest.raises(NetworkError, match="cannot read Debian's package lists") as caught:
        pin_embedded(LINUX, store=store)
    assert caught.value.remedy


def test_a_machine_without_apt(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="no apt") as caught:
        pin_embedded(LINUX, store=store)
    assert "scratch" in str(caught.value.remedy)


def test_credentials_of_a_mirror_are_not_told(
    archive: Archive, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "sources.list"
    source.write_text("deb [trusted=yes] http://me:hunter2@127.0.0.1:9/debian ./\n")
    with pytest.raises(NetworkError) as caught:
        pin_embedded(LINUX, store=store)
    assert "hunter2" not in str(caught.value)
