"""Real archives, in both formats: each is installed right, or refused with the reason."""

from __future__ import annotations

import bz2
import io
import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from prefix_samples import SHARED, addresses, config, index_json, package
from support.channel import write_package
from support.needs import suits

from hermetic.errors import HermeticError
from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.outputs.prefix import build_prefix, verify_prefix
from hermetic.store import Store

FOLDER = SHARED / "conda-data" / "packages"
ARCHIVES = sorted(path for path in FOLDER.rglob("*") if path.name.endswith((".conda", ".tar.bz2")))

REFUSED = {
    r"zlib-1.2.11-h7b6447c_3.conda": "link has no sound target",
    r"zlib-1.2.11-h1de35cc_3.conda": "link has no sound target",
    r"zlib-1.2.11-h7b6447c_3.tar.bz2": r"holds a file where it says that there is a link: lib/libz\.so",
    r"zlib-1.2.11-h1de35cc_3.tar.bz2": r"holds a file where it says that there is a link: lib/libz\.1\.dylib",
    r"ca-certificates-.*": "",
    r"(a|b|subfolder2?).tar.bz2": "has no info/index.json",
    r"(another_)?bad_package.*": "",
    r"flask-0.11.1-py_0.tar.bz2": "lacks 28 of the files that it lists",
    r"(fly-2.5.2-0|nano-2.4.1-0|spiffy-test-app-.*).tar.bz2": "lacks .* of the files that it lists",
    r"(dotslash|symlink|zip64|info-only).*": "",
    r"arch-package.*|virtualdep-package.*": "unknown platform '.*-fake'",
    r"failing_post_link-1.0-0.conda": "link script of failing_post_link 1.0 failed with status 1",
    r"post_link-[cd]-1.0-0.conda": r"link script .* failed with status 1\n.*bin/file",
}
"""Whole file names, as patterns, and what the message says where the words are ours."""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A Python for noarch packages: just what they need to be linked."""
    return write_package(
        tmp_path, "python", "3.11.9", build="h0_0_cpython", subdir="linux-64", files={"lib/python3.11/os.py": ""}
    )


def test_the_archives_are_there() -> None:
    suits(ARCHIVES, f"there are no real archives in {FOLDER}")
    assert len(ARCHIVES) > 100


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_each_is_installed_right_or_refused_with_the_reason(
    archive: Path, tmp_path: Path, beside: Path, store: Store
) -> None:
    expected = next((words for name, words in REFUSED.items() if re.fullmatch(name, archive.name)), None)
    try:
        stated = index_json(archive)
    except Exception:  # noqa: BLE001  whatever is wrong with it, a lock may name it
        name, version, build = f"{archive.name}-0-0".split("-")[:3]
        stated = {"name": name, "version": version, "build": build}
    locked = package(archive, stated)
    platform = "linux-64" if locked.subdir == "noarch" else locked.subdir.replace("-32", "-64")
    lock = PlatformLock(platform, (), (locked, package(beside)) if locked.noarch == "python" else (locked,))
    prefix = tmp_path / "env"

    def build() -> None:
        build_prefix(
            lock, prefix, store=store, config=config(), addresses=addresses([archive, beside]), foreign=True,
            link_scripts="run",
        )  # fmt: skip

    if expected is None:
        build()
        check(archive, locked, prefix)
        assert verify_prefix(prefix, lock, store=store, config=config()) == ()
        return
    with pytest.raises(HermeticError) as error:
        build()
    assert re.search(expected, error.value.message, re.DOTALL), error.value
    assert error.value.message.isascii()
    assert "\0" not in str(error.value)
    assert error.value.exit_status in (2, 5, 6)
    assert not prefix.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linux-64"]


def check(archive: Path, locked: CondaPackage, prefix: Path) -> None:
    """Hold what is installed against the archive, read by other means."""
    members = {member.name.removeprefix("./"): (member, data) for member, data in read(archive)}
    paths = json.loads(members["info/paths.json"][1])["paths"]
    for item in paths:
        member, data = members[item["_path"]]
        target = prefix / place(item["_path"], noarch=locked.noarch == "python")
        if member.issym():
            assert target.readlink() == Path(member.linkname)
            continue
        if placeholder := item.get("prefix_placeholder", "").encode():
            data = replaced(data, placeholder, str(prefix).encode(), item["file_mode"])
        assert target.read_bytes() == data, target
        assert (target.stat().st_mode & 0o777) == (0o755 if member.mode & 0o100 else 0o644), target
    record = json.loads((prefix / f"conda-meta/{locked.name}-{locked.version}-{locked.build}.json").read_bytes())
    shipped = {place(item["_path"], noarch=locked.noarch == "python") for item in paths}
    points = json.loads(members.get("info/link.json", (None, b"{}"))[1]).get("noarch", {}).get("entry_points", ())
    made = {f"bin/{point.partition('=')[0].strip()}" for point in points}
    assert set(record["files"]) == shipped | made
    assert all((prefix / path).stat().st_mode & 0o111 for path in made)


def place(path: str, *, noarch: bool) -> str:
    if noarch and path.startswith("site-packages/"):
        return f"lib/python3.11/{path}"
    return path.replace("python-scripts/", "bin/", 1) if noarch else path


def replaced(data: bytes, placeholder: bytes, prefix: bytes, mode: str) -> bytes:
    if mode == "text":
        return data.replace(placeholder, prefix)

    def pad(found: re.Match[bytes]) -> bytes:
        text = found[0].replace(placeholder, prefix)
        return text + b"\0" * (len(found[0]) - len(text))

    return re.sub(re.escape(placeholder) + rb"[^\0]*\0", pad, data)


def read(archive: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    if archive.name.endswith(".conda"):
        with zipfile.ZipFile(archive) as outer:
            names = [name for name in outer.namelist() if name.endswith(".tar.zst")]
            tars = [zstandard.ZstdDecompressor().decompressobj().decompress(outer.read(name)) for name in names]
    else:
        tars = [bz2.decompress(archive.read_bytes())]
    found = []
    for data in tars:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                found.append((member, file.read() if file else b""))
    return found
