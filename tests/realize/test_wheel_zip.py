from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.wheels import make_wheel

from hermetic.digest import sha256_file
from hermetic.errors import BuildError
from hermetic.realize.wheel_zip import WheelMetadata, canonical_wheel

INFO = "demo-1.0.dist-info"


def write(path: Path, files: dict[str, str], compression: int = zipfile.ZIP_DEFLATED, mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for number, (name, text) in enumerate(files.items()):
            entry = zipfile.ZipInfo(name, (1990 + number, 1, 1, 0, 0, 0))
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.compress_type = compression
            archive.writestr(entry, text)
    return path


def whole(**files: str) -> dict[str, str]:
    return {
        **files,
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: Demo\nVersion: 1.0\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\n",
        f"{INFO}/RECORD": "stale",
    }


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(list(whole(**{"b.py": "b", "a.py": "a", "data": "d"}).items())), packed=st.booleans())
def test_order_times_and_compression_do_not_count(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[str, str]], packed: bool
) -> None:
    folder = tmp_path_factory.mktemp("wheels")
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    canonical_wheel(write(folder / "a.whl", dict(order), method), folder / "one.whl")
    canonical_wheel(write(folder / "b.whl", whole(**{"b.py": "b", "a.py": "a", "data": "d"})), folder / "two.whl")
    assert sha256_file(folder / "one.whl") == sha256_file(folder / "two.whl")


def test_a_canonical_wheel_stays_as_it_is(tmp_path: Path) -> None:
    said = canonical_wheel(make_wheel(tmp_path, "demo"), tmp_path / "one.whl")
    assert said == WheelMetadata("demo", "1.0")
    canonical_wheel(tmp_path / "one.whl", tmp_path / "two.whl")
    assert (tmp_path / "one.whl").read_bytes() == (tmp_path / "two.whl").read_bytes()


def test_uv_accepts_it(tmp_path: Path) -> None:
    """Another reader of RECORD and zip files than ours."""
    from installer.sources import WheelFile

    canonical_wheel(write(tmp_path / "demo-1.0-py3-none-any.whl", whole(**{"a.py": "a"})), tmp_path / "two")
    target = (tmp_path / "two").rename(tmp_path / "demo-1.0-py3-none-any.whl")
    with WheelFile.open(target) as wheel:
        wheel.validate_record(validate_contents=True)


def test_programs_stay_programs(tmp_path: Path) -> None:
    canonical_wheel(write(tmp_path / "a.whl", whole(run="#!/bin/sh\n"), mode=0o777), tmp_path / "b.whl")
    with zipfile.ZipFile(tmp_path / "b.whl") as archive:
        assert archive.getinfo("run").external_attr >> 16 == stat.S_IFREG | 0o755


def without(name: str) -> dict[str, str]:
    return {path: text for path, text in whole(a="a").items() if not path.endswith(name)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.py": ""}, "0 .dist-info folders"),
        ({**whole(), "other-1.dist-info/METADATA": ""}, "2 .dist-info folders"),
        (without("METADATA"), "no METADATA"),
        (without("WHEEL"), "no WHEEL"),
        ({**whole(), f"{INFO}/METADATA": "Name: demo\n"}, "no version"),
        ({**whole(), "../evil": ""}, "outside of its folder"),
        ({**whole(), "/etc/evil": ""}, "outside of its folder"),
        ({**whole(), "a//b": ""}, "outside of its folder"),
    ],
)
def test_what_is_no_wheel_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(BuildError, match=said):
        canonical_wheel(write(tmp_path / "a.whl", files), tmp_path / "b.whl")


def test_links_and_doubles_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.whl", whole())
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BuildError, match="symbolic link"):
        canonical_wheel(path, tmp_path / "b.whl")
    path = write(tmp_path / "c.whl", whole(a="1"))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a", "2")
    with pytest.raises(BuildError, match="holds a twice"):
        canonical_wheel(path, tmp_path / "d.whl")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_wheel_never_gives_a_traceback(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    folder = tmp_path_factory.mktemp("wheels")
    path = write(folder / "a.whl", whole(a="text" * 50))
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        canonical_wheel(path, folder / "b.whl")
    except BuildError as error:
        assert "no sound wheel" in error.message  # noqa: PT017
