"""Explicit lists: what conda's clients take, in the order they install, and what an md5 is worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from addresses import BASE, conda_address, name_channel, wheel_address
from hypothesis import given
from hypothesis import strategies as st
from lock_samples import LOCK, changed, conda, platform_lock

from hermetic.errors import LockFileError, SpecError, UsageError
from hermetic.lock.formats.explicit import format_explicit, install_order, read_explicit_lock
from hermetic.lock.graph import match_name

LINUX = LOCK.platforms["linux-64"]
TEXT = format_explicit(LINUX, conda_address, wheel_address)


def test_each_archive_has_its_address_and_sha256() -> None:
    lines = TEXT.splitlines()
    assert lines[2:4] == ["# platform: linux-64", "@EXPLICIT"]
    numpy = LINUX.conda[1]
    assert f"{conda_address(numpy)}#sha256:{numpy.sha256}" in lines
    assert f"# pip certifi @ {wheel_address(LINUX.wheels[0])}#sha256={LINUX.wheels[0].sha256}" in lines


@pytest.mark.parametrize("md5", [False, True])
def test_rattler_takes_every_line(md5: bool) -> None:
    from rattler import MatchSpec
    from rattler.explicit_environment import ExplicitEnvironmentSpec

    listed = ExplicitEnvironmentSpec.from_str(format_explicit(LINUX, conda_address, wheel_address, md5=md5))
    assert str(listed.platform) == "linux-64"
    matches = [MatchSpec.from_url(entry.url) for entry in listed.packages]
    found = {str(match).split("[")[0]: match for match in matches}
    assert set(found) == {package.name for package in LINUX.conda}
    for package in LINUX.conda:
        match = found[package.name]
        assert (match.md5 or b"").hex() == (package.md5 if md5 else "")
        assert (match.sha256 or b"").hex() == ("" if md5 else package.sha256)


def test_what_is_written_is_read_again_with_packages_and_digests() -> None:
    again = read_explicit_lock(TEXT, "explicit.txt", channel_name=name_channel)
    (platform,) = again.platforms.values()
    assert platform.platform == "linux-64"
    for kind in ("conda", "wheels"):
        assert [(p.name, p.version, p.file_name, p.sha256) for p in getattr(platform, kind)] == [
            (p.name, p.version, p.file_name, p.sha256) for p in getattr(LINUX, kind)
        ]
    assert platform.key() == replace(LINUX, variables=()).key()
    assert all(package.depends == () for package in platform.conda)


def test_the_lock_knows_the_list_as_its_spec() -> None:
    from pathlib import Path

    from hermetic.lock.check import check
    from hermetic.spec.explicit import parse_explicit

    spec = parse_explicit(TEXT, Path("explicit.txt"), root=Path())
    assert check(spec, read_explicit_lock(TEXT, "explicit.txt")) == ()


def test_records_of_the_channel_fill_in_what_the_list_does_not_say() -> None:
    by_file = {package.file_name: package for package in LINUX.conda}

    def records(channel: str, subdir: str, file_name: str) -> dict[str, object]:
        package = by_file[file_name]
        assert (channel, subdir) == (f"{BASE}demo", package.subdir)
        fields = ("name version build build_number md5 sha256 size license timestamp noarch").split()
        return {
            **{name: getattr(package, name) for name in fields},
            "depends": list(package.depends), "constrains": list(package.constrains), "purls": list(package.purls),
        }  # fmt: skip

    for md5 in (False, True):
        text = format_explicit(LINUX, conda_address, wheel_address, md5=md5)
        again = read_explicit_lock(text, "x", channel_name=name_channel, records=records)
        assert again.platforms["linux-64"].conda == LINUX.conda


def test_an_md5_alone_proves_nothing() -> None:
    text = format_explicit(LINUX, conda_address, wheel_address, md5=True)
    with pytest.raises(LockFileError, match=r"an md5 proves nothing\): libzlib, numpy, python") as caught:
        read_explicit_lock(text, "explicit.txt")
    assert "hermetic lock" in (caught.value.remedy or "")
    bare = "\n".join(line.partition("#")[0] or line for line in text.splitlines())
    with pytest.raises(LockFileError, match="without a digest: libzlib"):
        read_explicit_lock(bare, "explicit.txt")


def test_md5_needs_an_md5() -> None:
    lock = changed(LOCK, "linux-64", conda("numpy", "2.0", md5="")).platforms["linux-64"]
    with pytest.raises(UsageError, match="no md5 for numpy"):
        format_explicit(lock, conda_address, wheel_address, md5=True)


def test_a_list_without_platform_is_for_the_one_that_is_asked_for() -> None:
    text = f"@EXPLICIT\n{BASE}demo/noarch/tzdata-2024a-h1_0.conda#sha256:{'1' * 64}\n"
    lock = read_explicit_lock(text, "x", platforms=["osx-arm64"])
    assert list(lock.platforms) == ["osx-arm64"]
    assert lock.platforms["osx-arm64"].conda[0].noarch == ""  # which kind of noarch only the archive tells


def test_bad_lists_are_refused() -> None:
    with pytest.raises(SpecError, match="no URL"):
        read_explicit_lock("@EXPLICIT\nnumpy\n", "x")
    wheel = f"# platform: linux-64\n@EXPLICIT\n# pip tiny @ https://f.example.org/tiny-1.tar.gz#sha256={'1' * 64}\n"
    with pytest.raises(LockFileError, match="source archive, not a wheel: tiny"):
        read_explicit_lock(wheel, "x")


def test_packages_stand_after_what_they_need() -> None:
    assert [package.name for package in install_order(LINUX.conda)] == [
        "libzlib", "tzdata", "python", "python_abi", "numpy",
    ]  # fmt: skip


@given(st.lists(st.lists(st.integers(0, 8), max_size=4), min_size=1, max_size=9), st.randoms())
def test_every_order_is_whole_stable_and_topological(edges: list[list[int]], random: object) -> None:
    packages = [conda(f"p{i}", "1", *(f"p{j}" for j in needs)) for i, needs in enumerate(edges)]
    order = [package.name for package in install_order(packages)]
    assert sorted(order) == sorted(package.name for package in packages)
    shuffled = list(packages)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [package.name for package in install_order(shuffled)] == order
    acyclic = [conda(f"p{i}", "1", *(f"p{j}" for j in needs if j < i)) for i, needs in enumerate(edges)]
    place = {package.name: index for index, package in enumerate(install_order(acyclic))}
    for package in acyclic:
        assert all(place[match_name(depend)] < place[package.name] for depend in package.depends)


def test_a_cycle_is_cut() -> None:
    lock = platform_lock(
        "linux-64", conda("python", "3.11", "pip"), conda("pip", "24", "python"), conda("a", "1", "pip")
    )
    assert [package.name for package in install_order(lock.conda)] == ["python", "pip", "a"]
