"""Existing conda environments as specs: by folder and by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.install import install, solve
from tiny_wheels import make_wheel

from hermetic.errors import SpecError
from hermetic.spec.existing import read_existing, read_prefix
from hermetic.spec.load import load
from hermetic.spec.model import CondaRequirement, PipRequirement

SITE = "lib/python3.11/site-packages"
HEX = "ab" * 32


def record(prefix: Path, name: str, version: str, **more: Any) -> None:
    (prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
    values = {"name": name, "version": version, "build": "h1_0", "subdir": "linux-64", "channel": "conda-forge", **more}
    (prefix / "conda-meta" / f"{name}-{version}-h1_0.json").write_text(json.dumps(values))


def dist(prefix: Path, name: str, version: str, direct: dict[str, Any] | None = None) -> str:
    folder = prefix / SITE / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n")
    if direct:
        (folder / "direct_url.json").write_text(json.dumps(direct))
    return f"{SITE}/{name}-{version}.dist-info/METADATA"


def test_conda_packages_wheels_variables_and_channels(tmp_path: Path) -> None:
    record(tmp_path, "python", "3.11.9")
    record(
        tmp_path,
        "Numpy",
        "1.26.4",
        files=[dist(tmp_path, "numpy", "1.26.4")],
        channel="https://u:s3cr3t@example.org/ch/linux-64",
    )
    record(tmp_path, "tzdata", "2024a", subdir="noarch", channel="https://example.org/ch/noarch")
    record(tmp_path, "old", "1", channel="https://example.org/pkgs/main/linux-64")
    record(tmp_path, "main", "1", channel="pkgs/main")
    record(tmp_path, "local", "1", channel="<unknown>")
    dist(tmp_path, "Some_Wheel", "2.0")
    dist(
        tmp_path,
        "direct",
        "1",
        {"url": "https://u:s3cr3t@example.org/d.whl", "archive_info": {"hashes": {"sha256": HEX}}},
    )
    dist(
        tmp_path,
        "vcs",
        "1",
        {"url": "https://example.org/r", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}, "subdirectory": "s"},
    )
    dist(tmp_path, "mine", "1", {"url": "file:///src/mine", "dir_info": {"editable": True}})
    (tmp_path / "lib" / "python3.1").symlink_to("python3.11")  # as conda's own python has
    (tmp_path / "conda-meta" / "state").write_text(json.dumps({"env_vars": {"A": "b"}}))
    (tmp_path / "conda-meta" / "history").write_text("")
    found = read_prefix(tmp_path)
    assert found.spec.conda == tuple(
        CondaRequirement(name, f"{name} =={version}")
        for name, version in [
            ("local", "1"),
            ("main", "1"),
            ("numpy", "1.26.4"),
            ("old", "1"),
            ("python", "3.11.9"),
            ("tzdata", "2024a"),
        ]
    )
    assert found.spec.channels == ("defaults", "https://example.org/ch", "conda-forge")
    assert set(found.spec.pip) == {
        PipRequirement("some-wheel", specifier="==2.0"),
        PipRequirement("direct", url="https://example.org/d.whl", hashes=(f"sha256:{HEX}",)),
        PipRequirement("vcs", url="git+https://example.org/r@c0ffee#subdirectory=s"),
        PipRequirement("mine", url="/src/mine", editable=True),
    }
    assert found.spec.variables == (("A", "b"),)
    assert found.spec.platforms == ("linux-64",)
    assert "mine was installed from a local folder" in found.warnings[0]
    assert "s3cr3t" not in repr(found)
    assert load([tmp_path]).spec == found.spec


def test_a_channels_url_is_named_only_where_the_name_means_that_url(tmp_path: Path) -> None:
    from rattler import Channel

    record(tmp_path, "a", "1", channel=f"{Channel('conda-forge').base_url}linux-64")
    record(tmp_path, "b", "1", channel="https://example.org/conda-forge/linux-64")
    assert set(read_prefix(tmp_path).spec.channels) == {"conda-forge", "https://example.org/conda-forge"}


def test_an_environment_is_found_by_name(tmp_path: Path) -> None:
    home, root, folder, listed = (tmp_path / name for name in ("home", "root", "folder", "elsewhere/listed"))
    record(root, "a", "0")
    record(root / "envs" / "train", "a", "1")
    record(folder / "serve", "a", "2")
    record(listed, "a", "3")
    record(home / ".conda" / "envs" / "mine", "a", "4")
    record(tmp_path / "active", "a", "5")
    (root / "envs" / "no-environment").mkdir()
    (home / ".conda" / "environments.txt").write_text(f"{listed}\n{tmp_path / 'gone'}\n\n")
    environ = {
        "HOME": str(home),
        "CONDA_EXE": str(root / "bin" / "conda"),
        "CONDA_ENVS_PATH": str(folder),
        "CONDA_PREFIX": str(tmp_path / "active"),
        "CONDA_DEFAULT_ENV": "now",
    }
    versions = {}
    for name in ("base", "train", "serve", "listed", "mine", "now"):
        found = read_existing(name, environ=environ)
        versions[name] = found.spec.conda[0].match
    assert versions == {name: f"a =={n}" for n, name in enumerate(("base", "train", "serve", "listed", "mine", "now"))}
    assert read_existing("train", environ={"HOME": str(home), "MAMBA_ROOT_PREFIX": str(root)}).name == "train"
    with pytest.raises(SpecError) as caught:
        read_existing("trane", environ=environ)
    assert "no conda environment is called 'trane'" in caught.value.message
    assert caught.value.remedy == "give its folder, or one of: base, listed, mine, now, serve, train"
    with pytest.raises(SpecError) as caught:
        read_existing("x", environ={"HOME": str(tmp_path)})
    assert "none was found" in (caught.value.remedy or "")


def test_a_folder_without_conda_is_none(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="this is no conda environment: it has no conda-meta"):
        read_existing(str(tmp_path))
    with pytest.raises(SpecError, match="this is no folder"):
        read_existing(str(tmp_path / "missing"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "a"}', '{"name": "a", "version": 1}', "\xff"])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "conda-meta").mkdir()
    path = tmp_path / "conda-meta" / "a-1-0.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SpecError) as caught:
        read_prefix(tmp_path)
    assert caught.value.place
    assert caught.value.place.file == str(path)
    assert "damaged" in (caught.value.remedy or "")


def test_damaged_notes_of_pip_cost_nothing(tmp_path: Path) -> None:
    record(tmp_path, "python", "3.11.9")
    dist(tmp_path, "a", "1", {"url": 1})
    (tmp_path / SITE / "a-1.dist-info" / "direct_url.json").write_text("{")
    dist(tmp_path, "weird", "not.a.version")
    (tmp_path / "conda-meta" / "state").write_text("[]")
    assert [item.text for item in read_prefix(tmp_path).spec.pip] == ["a==1", "weird===not.a.version"]


def test_a_real_environment(tmp_path: Path, channel: Path) -> None:
    """What rattler installed from a real channel, and uv into it, is read back as two sides."""
    prefix = tmp_path / "prefix"
    install(solve(channel, ["python", "requests"], tmp_path / "cache"), prefix, tmp_path / "cache")
    make_wheel(tmp_path / "wheels", "Tiny_Thing", "1.5")
    python = prefix / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "pip", "install", "--no-index", "--no-deps", "--python", python]
    subprocess.run([*uv, "--find-links", tmp_path / "wheels", "Tiny_Thing"], check=True, capture_output=True)
    spec = read_prefix(prefix).spec
    assert [item.text for item in spec.pip] == ["tiny-thing==1.5"]
    assert {"python", "requests", "urllib3", "idna"} <= {item.name for item in spec.conda}
    assert spec.channels == (channel.as_uri(),)
    assert spec.platforms == ("linux-64",)
