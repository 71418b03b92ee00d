"""Other tools' locks become an environment's lock: all of a file, one platform, one environment of a pixi.lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.errors import LockFileError, UsageError
from hermetic.lock.file import read_lock
from hermetic.project.exchange import import_lockfile

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
