"""pixi.lock, through rattler's own reader and writer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from addresses import BASE, conda_address, name_channel, wheel_address
from lock_samples import LOCK, changed

from hermetic.errors import LockFileError, UsageError
from hermetic.lock.formats.pixi_lock import format_pixi_lock, read_pixi_lock
from hermetic.lock.model import Lock

TEXT = format_pixi_lock(LOCK, conda_address, wheel_address)


def bare(lock: Lock) -> Lock:
    """Give a lock with only what pixi.lock can hold."""
    return Lock(
        spec={"channels": ["demo"], "platforms": sorted(lock.platforms)},
        platforms={
            name: replace(
                platform, variables=(),
                conda=tuple(replace(p, purls=(), categories=("main",)) for p in platform.conda),
                wheels=tuple(replace(w, size=0, origin=None, categories=("main",)) for w in platform.wheels),
            )
            for name, platform in lock.platforms.items()
        },
    )  # fmt: skip


def test_what_is_written_is_read_again_with_packages_digests_and_edges() -> None:
    assert read_pixi_lock(TEXT, "pixi.lock", channel_name=name_channel) == bare(LOCK)


def test_rattler_reads_it_with_the_wheels_digests(tmp_path: Path) -> None:
    from rattler import LockFile

    path = tmp_path / "pixi.lock"
    path.write_text(TEXT)
    environment = LockFile.from_path(path).default_environment()
    assert environment
    found = {
        (platform, wheel.name): wheel.hashes.sha256.hex()
        for platform, wheels in environment.pypi_packages().items()
        for wheel in wheels
    }
    assert found == {(name, w.name): w.sha256 for name, p in LOCK.platforms.items() for w in p.wheels}


def test_the_text_is_the_same_every_time() -> None:
    assert format_pixi_lock(LOCK, conda_address, wheel_address) == TEXT
    assert TEXT.startswith("version: ")


def test_one_platform_of_several() -> None:
    only = format_pixi_lock(LOCK, conda_address, wheel_address, platforms=["osx-arm64"])
    assert list(read_pixi_lock(only, "x").platforms) == ["osx-arm64"]
    assert list(read_pixi_lock(TEXT, "x", platforms=["linux-64"]).platforms) == ["linux-64"]


def test_a_channel_in_a_folder_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "my channel"
    text = format_pixi_lock(LOCK, lambda p: (folder / p.subdir / p.file_name).as_uri(), wheel_address)

    def known(address: str) -> str:
        return "demo" if address == folder.as_uri() else address

    assert read_pixi_lock(text, "pixi.lock", channel_name=known) == bare(LOCK)


def test_an_archive_that_lies_beside_the_lock_is_refused() -> None:
    text = V6.replace(f"{BASE}demo/linux-64/xz", "./channel/linux-64/xz")
    stated = "  name: xz\n  version: 5.4.6\n  build: h1_2\n  build_number: 2\n  subdir: linux-64\n"
    text = text.replace(f"  sha256: {'ab' * 32}\n", f"{stated}  sha256: {'ab' * 32}\n")
    with pytest.raises(LockFileError, match=r"a file or project of the machine that locked: xz \(linux-64\)"):
        read_pixi_lock(text, "pixi.lock")


def test_an_address_that_is_none_cannot_be_written() -> None:
    with pytest.raises(UsageError, match=r"numpy has no address that a pixi\.lock could hold"):
        format_pixi_lock(LOCK, lambda p: "numpy.conda" if p.name == "numpy" else conda_address(p), wheel_address)


V6 = f"""\
version: 6
environments:
  default:
    channels:
    - url: {BASE}demo/
    packages:
      linux-64:
      - conda: {BASE}demo/linux-64/xz-5.4.6-h1_2.conda
      - pypi: https://files.example.org/own/tiny-1.0-py3-none-any.whl
  other:
    channels: []
    packages: {{}}
packages:
- conda: {BASE}demo/linux-64/xz-5.4.6-h1_2.conda
  sha256: {"ab" * 32}
  md5: {"cd" * 16}
  depends:
  - libgcc >=13
  - __glibc >=2.34,<3
  size: 5
  timestamp: 1700000000123
- pypi: https://files.example.org/own/tiny-1.0-py3-none-any.whl
  name: tiny
  version: '1.0'
  sha256: {"ef" * 32}
  requires_dist:
  - absent>=1
  - xz ; extra == 'all'
"""


def test_a_lock_that_pixi_wrote() -> None:
    lock = read_pixi_lock(V6, "pixi.lock", channel_name=name_channel).platforms["linux-64"]
    (xz,) = lock.conda
    assert (xz.channel, xz.build_number, xz.size, xz.timestamp) == ("demo", 2, 5, 1_700_000_000_123)
    assert xz.depends == ("libgcc >=13", "__glibc >=2.34,<3")
    assert "__glibc=2.34=0" in lock.virtual_packages  # raised to what the package states
    (tiny,) = lock.wheels
    assert (tiny.sha256, tiny.url, tiny.requires) == (
        "ef" * 32,
        "https://files.example.org/own/tiny-1.0-py3-none-any.whl",
        (),
    )


def test_the_index_of_a_wheel_is_kept() -> None:
    version = V6.replace("version: 6", "version: 7\nplatforms:\n- name: linux-64")
    text = version.replace("  requires_dist:", "  index: https://index.example.org/simple\n  requires_dist:")
    (tiny,) = read_pixi_lock(text, "x").platforms["linux-64"].wheels
    assert (tiny.index, tiny.url) == ("https://index.example.org/simple", "")


def test_environments_are_chosen_by_name() -> None:
    with pytest.raises(UsageError, match="no environment 'docs'") as caught:
        read_pixi_lock(V6, "x", environment="docs")
    assert "default, other" in (caught.value.remedy or "")
    with pytest.raises(LockFileError, match="'other' locks nothing") as empty:
        read_pixi_lock(V6, "x", environment="other")
    assert "--from-environment: default" in (empty.value.remedy or "")


def test_two_machines_of_one_platform_are_refused() -> None:
    version = V6.replace("version: 6", "version: 7\nplatforms:\n- name: linux-64\n- name: old\n  subdir: linux-64")
    text = version.replace(
        "      linux-64:\n", f"      old:\n      - conda: {BASE}demo/linux-64/xz-5.4.6-h1_2.conda\n      linux-64:\n"
    )
    with pytest.raises(LockFileError, match="several machines of one platform"):
        read_pixi_lock(text, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 99\nenvironments: {}\n", "newer lockfile format version 99"),
        ("environments: {}\n", "missing"),
        ("version: 6\nenvironments: 3\n", "cannot be read|can be read"),
        ("version: [\n", "can be read"),
        (V6.replace("  sha256: " + "ab" * 32 + "\n", ""), "without sha256 .an md5 proves nothing.: xz"),
        (V6.replace("  sha256: " + "ef" * 32 + "\n", ""), "without sha256: tiny"),
    ],
)
def test_what_cannot_be_imported_is_refused(text: str, message: str) -> None:
    with pytest.raises(LockFileError, match=message) as caught:
        read_pixi_lock(text, "pixi.lock")
    assert caught.value.place
    assert caught.value.place.file == "pixi.lock"
    assert "/tmp" not in caught.value.message
    assert caught.value.remedy


def test_a_wheel_with_an_address_of_its_own_keeps_it() -> None:
    direct = replace(
        LOCK.platforms["linux-64"].wheels[0], url="https://files.example.org/own/certifi-2024.7.4-py3-none-any.whl"
    )
    lock = changed(LOCK, "linux-64", direct)
    again = read_pixi_lock(format_pixi_lock(lock, conda_address, wheel_address), "x", channel_name=name_channel)
    assert again.platforms["linux-64"].wheels[0].url == direct.url
