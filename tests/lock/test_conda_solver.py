"""Conda solving by py-rattler: what a lock keeps of an answer, and what a person is told when there is none."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.needs import suits
from tiny_channel import TIMESTAMP, misbehaving, pure, python, record, write_channel

from hermetic.errors import (
    CredentialsError,
    HermeticError,
    MachineError,
    NetworkError,
    OfflineError,
    Place,
    UnsatisfiableError,
    UsageError,
)
from hermetic.lock.conda_solver import ChannelAt, CondaRequest, RattlerSolver
from hermetic.lock.model import CondaPackage
from hermetic.platforms import Accelerator, virtual_packages
from hermetic.spec.model import CondaRequirement

DAY = 86_400_000


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    return write_channel(
        tmp_path / "channel",
        python("3.11.7"),
        python("3.12.1"),
        record("numpy", "1.26.4", "python >=3.11,<3.12.0a0", build="py311_0", license="BSD-3-Clause"),
        record("numpy", "2.1.0", "python >=3.12,<3.13.0a0", build="py312_0", timestamp=TIMESTAMP + DAY),
        pure("six", "1.16.0"),
        pure("six", "1.17.0", timestamp=TIMESTAMP + DAY),
        record("modern", "1.0", "__glibc >=2.36"),
        record("accel", "1.0", build="cpu_0"),
        record("accel", "1.0", "__cuda >=12", build="cuda_0", build_number=1),
        record("winning", "1.0", "__win", subdir="noarch"),
    )


def requirement(match: str, line: int = 1, channel: str = "") -> CondaRequirement:
    return CondaRequirement(match.split(maxsplit=1)[0], match, channel, place=Place("environment.yml", line))


def solve(
    channel: Path | str | dict[str, Any], *matches: str | CondaRequirement, tmp: Path, platform: str = "linux-64",
    accelerator: str = "cpu", offline: bool = False, patience: float = 20, **more: Any,
) -> tuple[CondaPackage, ...]:  # fmt: skip
    channels = channel if isinstance(channel, dict) else {"demo": channel}
    requirements = [m if isinstance(m, CondaRequirement) else requirement(m, n) for n, m in enumerate(matches, 1)]
    request = CondaRequest(
        platform=platform,
        channels=tuple(ChannelAt(n, str(a) if "://" in str(a) else Path(a).as_uri()) for n, a in channels.items()),
        requirements=tuple(requirements),
        virtual_packages=virtual_packages(platform, Accelerator.parse(accelerator), {}),
        **more,
    )
    solver = RattlerSolver(tmp / "repodata", offline=offline, patience=patience, retries=0)
    return asyncio.run(solver.solve(request))


def versions(packages: tuple[CondaPackage, ...]) -> dict[str, str]:
    return {package.name: package.version for package in packages}


def test_a_package_is_named_by_its_channel_and_not_by_an_address(channel: Path, tmp_path: Path) -> None:
    found = solve(channel, "numpy", "python 3.11.*", tmp=tmp_path)
    numpy = next(package for package in found if package.name == "numpy")
    assert numpy == CondaPackage(
        name="numpy", version="1.26.4", build="py311_0", build_number=0, channel="demo", subdir="linux-64",
        file_name="numpy-1.26.4-py311_0.conda", size=numpy.size, sha256=numpy.sha256, md5=numpy.md5,
        depends=("python >=3.11,<3.12.0a0",), license="BSD-3-Clause", timestamp=TIMESTAMP,
    )  # fmt: skip
    assert [package.name for package in found] == ["numpy", "python"]
    assert str(tmp_path) not in repr(found)


def test_the_newest_of_all_is_chosen_together(channel: Path, tmp_path: Path) -> None:
    assert versions(solve(channel, "numpy", "six", tmp=tmp_path)) == {
        "numpy": "2.1.0", "python": "3.12.1", "six": "1.17.0"
    }  # fmt: skip


def test_an_accelerator_is_declared_and_not_detected(channel: Path, tmp_path: Path) -> None:
    assert solve(channel, "accel", tmp=tmp_path)[0].build == "cpu_0"
    assert solve(channel, "accel", tmp=tmp_path, accelerator="cuda-12.4")[0].build == "cuda_0"
    assert solve(channel, "accel", tmp=tmp_path, accelerator="cuda-11.8")[0].build == "cpu_0"


def test_the_first_channel_that_has_a_name_is_the_only_one_for_it(channel: Path, tmp_path: Path) -> None:
    other = write_channel(tmp_path / "other", pure("six", "9.0"), pure("extra", "1.0"))
    both = {"demo": channel, "other": other}
    assert versions(solve(both, "six", "extra", tmp=tmp_path))["six"] == "1.17.0"
    assert versions(solve({"other": other, "demo": channel}, "six", tmp=tmp_path))["six"] == "9.0"
    found = solve(both, requirement("six", channel="other"), tmp=tmp_path)
    assert {package.name: package.channel for package in found} == {"six": "other", "python": "demo"}


def test_what_was_published_later_does_not_exist(channel: Path, tmp_path: Path) -> None:
    moment = datetime.fromtimestamp(TIMESTAMP / 1000, UTC)
    assert versions(solve(channel, "six", tmp=tmp_path, exclude_newer=moment))["six"] == "1.16.0"
    with pytest.raises(UnsatisfiableError, match="cutoff"):
        solve(channel, "six", tmp=tmp_path, exclude_newer=datetime(2020, 1, 1, tzinfo=UTC))


class TestOldPins:
    def test_they_stay_as_they_are(self, channel: Path, tmp_path: Path) -> None:
        old = solve(channel, "six 1.16.*", "python 3.11.*", tmp=tmp_path)
        assert solve(channel, "six", "python", tmp=tmp_path, keep=old) == old

    def test_they_stay_under_a_cutoff(self, channel: Path, tmp_path: Path) -> None:
        old = solve(channel, "six 1.16.*", "python 3.11.*", tmp=tmp_path)
        moment = datetime.fromtimestamp(TIMESTAMP / 1000, UTC)
        assert solve(channel, "six", "python", tmp=tmp_path, keep=old, exclude_newer=moment) == old

    def test_they_give_way_to_a_requirement(self, channel: Path, tmp_path: Path) -> None:
        old = solve(channel, "six 1.16.*", "python 3.11.*", tmp=tmp_path)
        new = versions(solve(channel, "six >1.16", "python", tmp=tmp_path, keep=old))
        assert new == {"six": "1.17.0", "python": "3.11.7"}

    def test_they_outlive_their_channels_listing(self, channel: Path, tmp_path: Path) -> None:
        old = solve(channel, "six 1.16.*", "python 3.11.*", tmp=tmp_path)
        write_channel(channel, python("3.11.7"), pure("six", "1.17.0"))
        assert solve(channel, "six", tmp=tmp_path / "fresh", keep=old) == old


class TestUnsatisfiable:
    """Exit status 3: the requirement with its place, what there is instead, and what to do."""

    def fails(self, channel: Path, *matches: str, tmp: Path, **more: Any) -> UnsatisfiableError:
        with pytest.raises(UnsatisfiableError) as caught:
            solve(channel, *matches, tmp=tmp, **more)
        assert caught.value.exit_status == 3
        assert str(tmp) not in str(caught.value)
        return caught.value

    def test_an_unknown_name(self, channel: Path, tmp_path: Path) -> None:
        error = self.fails(channel, "python", "nunpy", tmp=tmp_path)
        assert error.place == Place("environment.yml", 2)
        assert "no package is called nunpy for linux-64 in: demo" in error.message
        assert error.remedy == "did you mean numpy?"

    def test_a_version_that_is_not_there(self, channel: Path, tmp_path: Path) -> None:
        error = self.fails(channel, "python", "numpy <1.20", tmp=tmp_path)
        assert error.place == Place("environment.yml", 2)
        assert "no package matches numpy <1.20" in error.message
        assert "there is numpy 1.26.4, 2.1.0 for linux-64 in: demo" in error.message

    def test_requirements_that_contradict_each_other(self, channel: Path, tmp_path: Path) -> None:
        error = self.fails(channel, "python 3.12.*", "numpy <2", tmp=tmp_path)
        assert "numpy <2 (environment.yml:2)" in error.message
        assert "python 3.12.* (environment.yml:1)" in error.message

    def test_a_newer_glibc_than_assumed(self, channel: Path, tmp_path: Path) -> None:
        error = self.fails(channel, "modern", tmp=tmp_path)
        assert "assumed of the target: __glibc 2.28" in error.message
        assert error.remedy is not None
        assert 'system = { glibc = "2.36" }' in error.remedy
        assert 'environment.system = {"glibc": "2.36"}' in error.remedy

    def test_a_gpu_that_is_not_declared(self, channel: Path, tmp_path: Path) -> None:
        error = self.fails(channel, "accel * cuda*", tmp=tmp_path)
        assert error.remedy is not None
        assert 'accelerator = "cuda-12"' in error.remedy

    def test_a_package_of_another_system(self, channel: Path, tmp_path: Path) -> None:
        error = self.fails(channel, "winning", tmp=tmp_path)
        assert error.remedy is not None
        assert "not made for linux-64" in error.remedy

    def test_a_platform_that_the_channel_does_not_serve(self, channel: Path, tmp_path: Path) -> None:
        error = self.fails(channel, "numpy", tmp=tmp_path, platform="osx-arm64")
        assert "no package is called numpy for osx-arm64" in error.message


class TestChannels:
    """Exit status 4: the channel by its name, and never a secret."""

    @pytest.mark.parametrize(
        ("path", "kind", "words"),
        [
            ("401", CredentialsError, "refused access (401"),
            ("403", CredentialsError, "refused access (403"),
            ("nothing", NetworkError, "does not exist at its address"),
            ("429", NetworkError, "asked too often"),
            ("500", NetworkError, "the server failed (500"),
            ("cut", NetworkError, "damaged"),
            ("junk", NetworkError, "damaged"),
        ],
    )
    def test_a_bad_answer(self, path: str, kind: type[HermeticError], words: str, tmp_path: Path) -> None:
        with misbehaving(tmp_path) as server, pytest.raises(kind) as caught:
            solve({"good": server.address, "bad": f"{server.address}/{path}"}["bad"], "six", tmp=tmp_path)
        assert caught.value.exit_status == 4
        assert "channel demo" in caught.value.message
        assert words in caught.value.message

    def test_the_failing_channel_of_several_is_named(self, channel: Path, tmp_path: Path) -> None:
        with misbehaving(tmp_path) as server, pytest.raises(CredentialsError, match="channel closed:"):
            solve({"demo": channel, "closed": f"{server.address}/401"}, "six", tmp=tmp_path)

    def test_a_server_that_never_answers_is_named_soon(self, tmp_path: Path) -> None:
        with misbehaving(tmp_path) as server, pytest.raises(NetworkError, match=r"channel demo: .* does not answer"):
            solve(f"{server.address}/hang", "six", tmp=tmp_path, patience=0.3)

    def test_nobody_listens(self, tmp_path: Path) -> None:
        with misbehaving(tmp_path) as server:
            address = server.address
        with pytest.raises(NetworkError, match="channel demo"):
            solve(address, "six", tmp=tmp_path)

    def test_credentials_in_the_address_are_used_and_never_shown(self, channel: Path, tmp_path: Path) -> None:
        with misbehaving(tmp_path) as server:
            private = server.address.replace("://", "://me:pw@") + f"/private/{channel.name}"
            found = solve(private, "six", tmp=tmp_path)
            assert versions(found)["six"] == "1.17.0"
            assert "pw" not in repr(found)
            wrong = server.address.replace("://", "://me:sekrit@") + "/private/x"
            with pytest.raises(CredentialsError) as caught:
                solve(wrong, "six", tmp=tmp_path / "2")
        assert "sekrit" not in str(caught.value)
        assert "sekrit" not in repr(ChannelAt("demo", wrong))

    def test_a_folder_without_a_channel(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="channel demo has no repodata") as caught:
            solve(tmp_path / "empty", "six", tmp=tmp_path)
        assert f"{tmp_path}/empty" in caught.value.message

    def test_a_server_that_is_not_there_is_named_by_its_address(self, tmp_path: Path) -> None:
        with pytest.raises(NetworkError, match="channel demo cannot be read") as caught:
            solve("http://me:sekrit@127.0.0.1:9/x", "six", tmp=tmp_path)
        assert "http://127.0.0.1:9/x;" in str(caught.value)
        assert "sekrit" not in str(caught.value)

    def test_an_address_of_another_kind(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"channel demo cannot be read by ftp: ftp://example\.org/x"):
            solve("ftp://example.org/x", "six", tmp=tmp_path)

    def test_a_folder_that_may_not_be_read(self, channel: Path, tmp_path: Path) -> None:
        suits(os.geteuid() != 0, "root may read everything")
        (channel / "noarch" / "repodata.json").chmod(0)
        with pytest.raises(MachineError, match=r"no permission for .*/noarch/repodata.json"):
            solve(channel, "six", tmp=tmp_path)

    def test_two_versions_of_one_package(self, channel: Path, tmp_path: Path) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            solve(channel, "six 1.16.*", "modern", "six >=1.17", tmp=tmp_path)
        assert "no six is all of this at once: six 1.16.* (environment.yml:1), six >=1.17 (environment.yml:3)" in str(
            caught.value
        )
        assert caught.value.place == Place("environment.yml", 1)

    def test_what_came_later_than_the_time_that_was_set(self, channel: Path, tmp_path: Path) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            solve(channel, "six", tmp=tmp_path, exclude_newer=datetime(2020, 1, 1, tzinfo=UTC))
        assert "take a later date than 2020-01-01" in str(caught.value.remedy)

    def test_damaged_repodata_in_a_folder(self, channel: Path, tmp_path: Path) -> None:
        (channel / "noarch" / "repodata.json").write_text('{"packages": {')
        with pytest.raises(NetworkError, match="channel demo gave repodata that is damaged"):
            solve(channel, "six", tmp=tmp_path)


def test_offline_uses_what_was_read_before_and_nothing_else(channel: Path, tmp_path: Path) -> None:
    with misbehaving(tmp_path) as server:
        address = f"{server.address}/{channel.name}"
        with pytest.raises(OfflineError, match="channel demo was never read"):
            solve(address, "six", tmp=tmp_path, offline=True)
        assert not server.asked
        online = solve(address, "six", tmp=tmp_path)
        asked = server.asked.total()
        assert solve(address, "six", tmp=tmp_path, offline=True) == online
        assert server.asked.total() == asked


def test_records_without_sha256_cannot_be_locked(tmp_path: Path) -> None:
    old = {name: value for name, value in record("old", "1.0").items() if name != "sha256"}
    channel = write_channel(tmp_path / "channel", old)
    with pytest.raises(HermeticError, match=r"no sha256 for old-1\.0"):
        solve(channel, "old", tmp=tmp_path)


def test_the_user_part_of_a_kept_package_is_its_channels_name(channel: Path, tmp_path: Path) -> None:
    """Pins of a channel at one address serve at another: the name is what counts."""
    old = solve(channel, "six 1.16.*", tmp=tmp_path)
    with misbehaving(tmp_path) as server:
        new = solve(f"{server.address}/{channel.name}", "six", tmp=tmp_path, keep=old)
    assert new == old
    assert replace(new[0], categories=("dev",)) != old[0]
