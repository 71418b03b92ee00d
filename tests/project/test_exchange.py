"""Other tools' locks become an environment's lock: all of a file, one platform, one environment of a pixi.lock."""

from __future__ import annotations

from pathlib import Path

import pytest
from lock_samples import conda, platform_lock, wheel

from hermetic.errors import LockFileError, UsageError
from hermetic.events import Silent
from hermetic.lock.file import read_lock, write_lock
from hermetic.lock.formats import FORMATS
from hermetic.lock.model import Lock
from hermetic.platforms import check_system, system_name
from hermetic.project.exchange import export_lock, import_lockfile

BASE = "https://conda.example.org/demo"
PIXI = f"""\
version: 6
environments:
  default:
    channels:
    - url: {BASE}/
    packages:
      linux-64:
      - conda: {BASE}/linux-64/xz-5.4.6-h1_2.conda
      osx-arm64:
      - conda: {BASE}/osx-arm64/xz-5.4.6-h1_0.conda
  other:
    channels:
    - url: {BASE}/
    packages:
      linux-64:
      - conda: {BASE}/linux-64/zstd-1.5.6-h1_0.conda
packages:
- conda: {BASE}/linux-64/xz-5.4.6-h1_2.conda
  sha256: {"ab" * 32}
- conda: {BASE}/linux-64/zstd-1.5.6-h1_0.conda
  sha256: {"cd" * 32}
- conda: {BASE}/osx-arm64/xz-5.4.6-h1_0.conda
  md5: {"ef" * 16}
"""


@pytest.fixture
def pixi(tmp_path: Path) -> Path:
    path = tmp_path / "pixi.lock"
    path.write_text(PIXI)
    return path


def test_a_platform_that_cannot_be_imported_is_left_out_on_request(pixi: Path, tmp_path: Path) -> None:
    with pytest.raises(LockFileError, match=r"without sha256 .*xz \(osx-arm64\)") as caught:
        import_lockfile(str(tmp_path), str(pixi), "default")
    assert "--platform" in (caught.value.remedy or "")
    assert not (tmp_path / "hermetic.toml").exists()
    lock = read_lock(import_lockfile(str(tmp_path), str(pixi), "default", platforms=["linux-64"]))
    assert [(p.name, p.sha256) for p in lock.platforms["linux-64"].conda] == [("xz", "ab" * 32)]
    assert list(lock.platforms) == ["linux-64"]


def test_an_environment_of_a_pixi_lock_is_chosen(pixi: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no environment 'docs'") as caught:
        import_lockfile(str(tmp_path), str(pixi), "default", environment="docs")
    assert "--from-environment: default, other" in (caught.value.remedy or "")
    lock = read_lock(import_lockfile(str(tmp_path), str(pixi), "default", environment="other"))
    assert [p.name for p in lock.platforms["linux-64"].conda] == ["zstd"]


class Told(Silent):
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose lock has two conda packages and a wheel."""
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    for name in ("CHANNEL_USER", "CHANNEL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    platform = platform_lock(
        "linux-64",
        conda("python", "3.11.7"),
        conda("xz", "5.4.6"),
        wheel("tiny", "1.0", url="https://wheels.example.org/tiny-1.0-py3-none-any.whl"),
    )
    project = tmp_path / "project"
    project.mkdir()
    (project / "hermetic.toml").write_text('[environments.default]\nchannels = ["demo"]\nplatforms = ["linux-64"]\n')
    write_lock(Lock(spec={}, platforms={"linux-64": platform}), project / "lockfiles" / "default.lock.json")
    return project


ADDRESSES = [
    "https://bob:s3cret@conda.example.org/demo",
    "https://${CHANNEL_USER}:${CHANNEL_PASSWORD}@conda.example.org/demo",
    "https://conda.example.org/t/s3cret/demo",
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_export_holds_no_credentials_and_needs_none(
    locked: Path, monkeypatch: pytest.MonkeyPatch, form: str, address: str
) -> None:
    told, plainly = Told(), Told()
    monkeypatch.setenv("HERMETIC_CHANNELS", f"demo={address}")
    text = export_lock(str(locked), None, form, "linux-64", None, reporter=told)
    monkeypatch.setenv("HERMETIC_CHANNELS", f"demo={BASE}")
    assert text == export_lock(str(locked), None, form, "linux-64", None, reporter=plainly)
    assert plainly.warnings == []
    has_channels = form not in ("requirements", "pylock")
    assert ["without their credentials" in line for line in told.warnings] == [True] * has_channels
    assert (BASE in text) == has_channels


@pytest.mark.parametrize("form", ["conda-lock", "explicit", "pixi", "pylock"])
def test_a_wheels_own_placeholder_is_left_out_where_pip_does_not_read_it(
    locked: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("HERMETIC_CHANNELS", f"demo={BASE}")
    path = locked / "lockfiles" / "default.lock.json"
    own = wheel("tiny", "1.0", url="https://${TINY_TOKEN}@wheels.example.org/tiny-1.0-py3-none-any.whl")
    packages = [conda("python", "3.11.7"), own]
    write_lock(Lock(spec={}, platforms={"linux-64": platform_lock("linux-64", *packages)}), path)
    told = Told()
    text = export_lock(str(locked), None, form, "linux-64", None, reporter=told)
    assert "https://wheels.example.org/tiny-1.0" in text
    assert "TINY_TOKEN" not in text
    assert len(told.warnings) == 1
    kept = export_lock(str(locked), None, "requirements", "linux-64", None)
    assert "${TINY_TOKEN}@wheels.example.org" in kept  # pip puts it in itself


@pytest.mark.parametrize("form", ["conda-lock", "pixi"])
def test_what_was_exported_from_a_channel_with_credentials_is_imported_under_its_name(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("HERMETIC_CHANNELS", f"demo={ADDRESSES[1]}")
    file, other = tmp_path / "exported", tmp_path / "other"
    other.mkdir()
    export_lock(str(locked), None, form, "linux-64", str(file))
    lock = read_lock(import_lockfile(str(other), str(file), "default"))
    assert {p.channel for p in lock.platforms["linux-64"].conda} == {"demo"}


@pytest.mark.parametrize(
    "virtual", ["__glibc", "__osx", "__win", "__cuda", "__linux", "__archspec", "__unix", "__mine"]
)
def test_virtual_packages_are_declared_as_people_write_them(virtual: str) -> None:
    name = system_name(virtual)
    assert check_system(name, "1.0")[0] == virtual
    assert name.startswith("__") == (virtual in {"__unix", "__mine"})
