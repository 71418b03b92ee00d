"""Wheels by file name: the one that pip would take."""

from __future__ import annotations

import sys

import pytest
from packaging.tags import sys_tags

from hermetic.lock.formats.wheels import best_wheel, split_wheel_name, supported_tags
from hermetic.platforms import PLATFORMS, Accelerator, current_platform, virtual_packages


def test_names() -> None:
    assert split_wheel_name("Foo_Bar-1.0+cu121-1-py3-none-any.whl") == ("foo-bar", "1.0+cu121")
    assert split_wheel_name("foo-1.0.tar.gz") is None
    assert split_wheel_name("foo.whl") is None


@pytest.mark.parametrize(
    ("platform", "assumed", "files", "best"),
    [
        ("linux-64", "__glibc=2.28=0", "cp311-cp311-manylinux_2_17_x86_64 cp311-cp311-manylinux_2_28_x86_64", 1),
        ("linux-64", "__glibc=2.17=0", "cp311-cp311-manylinux_2_17_x86_64 cp311-cp311-manylinux_2_28_x86_64", 0),
        ("linux-64", "__glibc=2.28=0", "cp311-cp311-manylinux2014_x86_64 cp311-abi3-manylinux_2_28_x86_64", 0),
        ("linux-64", "__glibc=2.28=0", "py3-none-any cp39-abi3-manylinux1_x86_64", 1),
        ("linux-64", "__glibc=2.28=0", "cp311-cp311-musllinux_1_2_x86_64", None),
        ("linux-64", "__glibc=2.28=0", "cp312-cp312-manylinux_2_17_x86_64 cp311", None),
        ("linux-64", "__glibc=2.28=0", "py3-none-any 2-py3-none-any 1-py3-none-any", 1),
        ("linux-aarch64", "__glibc=2.28=0", "cp311-cp311-manylinux_2_17_x86_64 cp311-cp311-manylinux_2_17_aarch64", 1),
        ("osx-arm64", "__osx=11.0=0", "cp311-cp311-macosx_12_0_arm64 cp311-cp311-macosx_10_9_universal2", 1),
        ("osx-arm64", "__osx=14=0", "cp311-cp311-macosx_12_0_arm64 cp311-cp311-macosx_10_9_universal2", 0),
        ("osx-64", "__osx=10.15=0", "cp311-cp311-macosx_10_9_x86_64", 0),
        ("win-64", "__win=10=0", "cp311-cp311-win32 cp311-cp311-win_amd64", 1),
        ("win-arm64", "__win=10=0", "cp311-cp311-win_arm64", 0),
    ],
)
def test_the_best_wheel(platform: str, assumed: str, files: str, best: int | None) -> None:
    names = [f"a-1-{tags}.whl" for tags in files.split()]
    expected = None if best is None else names[best]
    assert best_wheel(names, platform, "3.11", [assumed]) == expected
    assert best_wheel(names[::-1], platform, "3.11", [assumed]) == expected


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_has_tags_of_its_own(platform: str) -> None:
    assumed = [str(package) for package in virtual_packages(platform, Accelerator(), {})]
    tags = supported_tags(platform, "3.11", assumed)
    assert len(set(tags)) == len(tags) > 20
    assert tags[0].interpreter == "cp311"
    assert str(tags[-1]).endswith("-none-any")


def test_the_order_is_that_of_packaging_on_this_machine() -> None:
    """What packaging says of the running interpreter, without what only a machine can tell, in the same order."""
    import platform

    version = platform.libc_ver()[1] if sys.platform == "linux" else ""
    if not version:
        pytest.skip("the order is compared on glibc Linux")
    ours = supported_tags(current_platform(), f"3.{sys.version_info[1]}", [f"__glibc={version}=0"])
    theirs = [tag for tag in sys_tags() if "musllinux" not in tag.platform]
    assert [tag for tag in theirs if tag in set(ours)] == [tag for tag in ours if tag in set(theirs)]
    assert set(theirs) <= set(ours)
