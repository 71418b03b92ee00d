"""Archives are what CEP 34 and 35 say, by other people's readers too, and the same bytes for the same content."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
import zipfile
from pathlib import Path

import pytest
from conda_package_streaming.package_streaming import stream_conda_component
from hypothesis import given, settings
from hypothesis import strategies as st
from support import channel as hand

from hermetic.outputs.channel.archive import EPOCH, PLACEHOLDER, File, Package, atomic_path, read_index, write_conda
from hermetic.outputs.channel.index import read_records

PACKAGE = Package("demo", "1.0", "h0_0", "linux-64", depends=("base >=1",), license="MIT", purls=("pkg:pypi/demo@1.0",))
FILES = [
    File("bin/tool", f"#!{PLACEHOLDER}/bin/python\n".encode(), executable=True, prefix="text"),
    File("bin/alias", link="tool"),
    File("bin/chain", link="alias"),
    File("lib/data.bin", b"\0" * 100),
    File("share/doc.txt", "Größe\n".encode()),
    File("share/out", link="../lib/data.bin"),
    File("share/dangling", link="nowhere"),
]


def members(path: Path, component: str) -> dict[str, tuple[int, int, int, str, bytes]]:
    """Every member of a component, as another reader sees it: mode, time, owner, link, content."""
    found = {}
    for tar, member in stream_conda_component(path, path.open("rb"), component):
        content = tar.extractfile(member).read() if member.isfile() else b""  # type: ignore[union-attr]
        found[member.name] = (member.mode, member.mtime, member.uid, member.linkname, content)
    return found


def test_other_readers_see_the_files(tmp_path: Path) -> None:
    path = write_conda(tmp_path, PACKAGE, FILES)
    assert path == tmp_path / "linux-64/demo-1.0-h0_0.conda"
    found = members(path, "pkg")
    assert found["bin/tool"] == (0o755, EPOCH, 0, "", f"#!{PLACEHOLDER}/bin/python\n".encode())
    assert found["bin/alias"][3] == "tool"
    assert found["share/doc.txt"] == (0o644, EPOCH, 0, "", "Größe\n".encode())
    assert list(found) == sorted(found)


def test_the_metadata_says_what_is_in_it(tmp_path: Path) -> None:
    info = members(write_conda(tmp_path, PACKAGE, FILES), "info")
    index = json.loads(info["info/index.json"][4])
    assert index["arch"] == "x86_64"
    assert index["platform"] == "linux"
    assert index["depends"] == ["base >=1"]
    assert index["purls"] == ["pkg:pypi/demo@1.0"]
    assert "noarch" not in index
    paths = {entry["_path"]: entry for entry in json.loads(info["info/paths.json"][4])["paths"]}
    assert sorted(paths) == sorted(file.path for file in FILES)
    assert paths["bin/tool"]["prefix_placeholder"] == PLACEHOLDER
    assert paths["bin/tool"]["file_mode"] == "text"
    target = hashlib.sha256(FILES[0].content).hexdigest()  # type: ignore[arg-type]
    assert paths["bin/chain"]["sha256"] == target  # a link has the digest of what it leads to
    assert paths["bin/chain"]["path_type"] == "softlink"
    assert paths["share/out"]["size_in_bytes"] == 100
    assert paths["share/dangling"]["size_in_bytes"] == 0
    assert info["info/files"][4].decode().splitlines() == sorted(file.path for file in FILES)
    assert info["info/has_prefix"][4].decode() == f'{PLACEHOLDER} text "bin/tool"\n'


def test_noarch_python_has_its_link_json(tmp_path: Path) -> None:
    package = Package("n", "1", "py_0", "noarch", noarch="python", entry_points=("b = m:f", "a = m:g"))
    info = members(write_conda(tmp_path, package, []), "info")
    assert json.loads(info["info/link.json"][4]) == {
        "noarch": {"type": "python", "entry_points": ["a = m:g", "b = m:f"]},
        "package_metadata_version": 1,
    }
    index = json.loads(info["info/index.json"][4])
    assert (index["noarch"], index["arch"], index["platform"]) == ("python", None, None)


def test_the_placeholder_is_as_long_as_condas() -> None:
    assert len(PLACEHOLDER) == 255


def test_rattler_reads_the_same_record(tmp_path: Path) -> None:
    from rattler import RepoDataRecord

    path = write_conda(tmp_path, PACKAGE, FILES)
    record = asyncio.run(RepoDataRecord.from_package_archive(path))
    assert (record.name.normalized, str(record.version), str(record.build)) == ("demo", "1.0", "h0_0")
    assert record.sha256 == hashlib.sha256(path.read_bytes()).digest()


def test_order_umask_time_and_where_content_lies_do_not_show(tmp_path: Path) -> None:
    here = write_conda(tmp_path / "a", PACKAGE, FILES).read_bytes()
    on_disk = []
    for number, file in enumerate(reversed(FILES)):
        source = tmp_path / str(number)
        source.write_bytes(file.read())
        source.chmod(0o600)
        os.utime(source, (1, 1))
        on_disk.append(File(file.path, b"" if file.link else source, file.executable, file.link, file.prefix))
    old = os.umask(0o077)
    try:
        os.environ["TZ"], before = "Pacific/Kiritimati", os.environ.get("TZ")
        time.tzset()
        there = write_conda(tmp_path / "b", PACKAGE, on_disk).read_bytes()
    finally:
        os.umask(old)
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
    assert there == here


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text("abcxyz/é ", min_size=1, max_size=150).filter(lambda p: p.strip("/ ") == p and "//" not in p),
        st.binary(max_size=300),
        max_size=6,
    )
)
def test_any_content_comes_back(tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]) -> None:
    directory = tmp_path_factory.mktemp("any")
    path = write_conda(directory, PACKAGE, [File(name, data) for name, data in contents.items()], level=1)
    assert {name: entry[4] for name, entry in members(path, "pkg").items()} == contents
    assert read_index(path) == PACKAGE.index()


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = write_conda(tmp_path, PACKAGE, FILES)
    before = path.read_bytes()
    with pytest.raises(FileNotFoundError):
        write_conda(tmp_path, PACKAGE, [File("lost", tmp_path / "not-there")])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_bytes() == before


def test_the_index_has_the_digests_of_the_bytes_and_no_time(tmp_path: Path) -> None:
    path = hand.write_package(tmp_path, "a", "1.0", depends=["b"], timestamp=5)
    hand.index(tmp_path, "osx-arm64")
    record = read_records(tmp_path, "noarch")["a-1.0-h0_0.conda"]
    data = path.read_bytes()
    assert record["sha256"] == hashlib.sha256(data).hexdigest()
    assert record["md5"] == hashlib.md5(data).hexdigest()
    assert (record["size"], record["timestamp"]) == (len(data), 5)
    assert "indexed_timestamp" not in (tmp_path / "noarch/repodata.json").read_text()
    assert json.loads((tmp_path / "osx-arm64/repodata.json").read_text())["packages.conda"] == {}


def test_an_unchanged_index_is_left_alone(tmp_path: Path) -> None:
    hand.write_package(tmp_path, "a")
    hand.index(tmp_path)
    index = tmp_path / "noarch/repodata.json"
    before = index.stat().st_ino
    hand.index(tmp_path)
    assert index.stat().st_ino == before
    hand.write_package(tmp_path, "b")
    hand.index(tmp_path)
    assert len(read_records(tmp_path, "noarch")) == 2


@pytest.mark.parametrize("damage", ["", "{", '{"packages.conda": 5}', "[]"])
def test_a_damaged_index_counts_as_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "noarch").mkdir()
    (tmp_path / "noarch/repodata.json").write_text(damage)
    assert read_records(tmp_path, "noarch") == {}


def test_a_small_archive_is_a_plain_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_conda(tmp_path, PACKAGE, FILES)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "metadata.json"
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
