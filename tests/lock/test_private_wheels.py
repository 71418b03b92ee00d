"""Wheels of a workspace's own in a lock: checked against their URL, resolved as files, named by that URL."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tiny_channel import Server, misbehaving, python, record, write_channel
from tiny_wheels import make_wheel, write_index

from hermetic.config import Config
from hermetic.errors import (
    HermeticError,
    IntegrityError,
    OfflineError,
    Place,
    SpecError,
    UnsatisfiableError,
    UsageError,
)
from hermetic.events import SILENT
from hermetic.lock.check import check
from hermetic.lock.diff import diff
from hermetic.lock.file import format_lock, parse_lock
from hermetic.lock.model import Lock, Wheel
from hermetic.lock.resolve import Resolution, resolve
from hermetic.lock.source import BuiltWheel
from hermetic.lock.uv_resolver import UvResolver, find_uv
from hermetic.platforms import current_platform
from hermetic.project.archives import wheel_fetcher
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import PipOptions, Spec
from hermetic.spec.pep508 import Origin, pip_requirement
from hermetic.spec.private_urls import parse_private, private_url
from hermetic.store import Store
from hermetic.workspace_config import WorkspaceAddress

HERE = current_platform()
MINOR = "{}.{}".format(*sys.version_info[:2])
TAG = f"cp{MINOR.replace('.', '')}"
BACKENDS = ["uv", pytest.param("pip-tools", marks=pytest.mark.skipif(HERE != "linux-64", reason="for this machine"))]


class Team:
    """A workspace in a folder, a channel and an index; ``lock`` asks for something in them."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.channel = write_channel(
            folder / "channel",
            *(python(f"{MINOR}.7", subdir=platform) for platform in ("linux-64", "osx-arm64", "win-64")),
            python("3.10.1"),
            python("3.13.1"),
            record("numpy", "1.26.4", "python >=3.10,<3.14.0a0", build="py_0"),
        )
        make_wheel(folder / "wheels", "leaf", "1.0")
        make_wheel(folder / "wheels", "leaf", "1.1")
        make_wheel(folder / "wheels", "mine", "9.0", "leaf")
        make_wheel(folder / "wheels", "consumer", "1.0", "mine >=1")
        make_wheel(folder / "wheels", "demanding", "1.0", "mine >=2")
        make_wheel(folder / "wheels", "numpy", "2.1.0")
        write_index(folder / "simple", folder / "wheels")
        self.address = WorkspaceAddress("team", folder / "team")
        self.config = Config(
            channels={"demo": str(self.channel)}, store=folder / "store", workspaces={"Team": self.address}
        )
        self.store = Store.open(self.config.store)

    def add(self, name: str, version: str, *requires: str, **more: Any) -> str:
        """Make a wheel and keep it in the workspace; give its URL."""
        return self.keep(
            self.folder / "made" / make_wheel(self.folder / "made", name, version, *requires, **more).file_name
        )

    def keep(self, path: Path) -> str:
        url = private_url("team", sha256(path.read_bytes()).hexdigest(), path.name)
        target = self.object(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        return url

    def object(self, url: str) -> Path:
        """Give where the workspace keeps a wheel."""
        return self.address.folder / "artefacts" / parse_private(url).key

    def spec(self, pip: list[str], conda: tuple[str, ...] = (f"python {MINOR}.*",), **more: Any) -> Spec:
        origin = Origin(Place("requirements.txt"))
        return Spec(
            channels=("demo",),
            conda=tuple(map(canonical_match, conda)),
            pip=tuple(pip_requirement(text, origin.at(n)) for n, text in enumerate(pip, 1)),
            **{"platforms": (HERE,), "options": PipOptions(index=f"{self.server.address}/simple"), **more},
        )

    def resolve(self, spec: Spec, *, offline: bool = False, **more: Any) -> Resolution:
        fetcher = wheel_fetcher(self.store, self.config, offline=offline, reporter=SILENT)
        return resolve(spec, config=self.config, root=self.folder, offline=offline, **{"fetch_wheels": fetcher, **more})

    def lock(self, *pip: str, backend: str = "uv", previous: Lock | None = None, **more: Any) -> Lock:
        keys = ("offline", "build_wheel", "fetch_wheels", "exclude_newer")
        options = {name: more.pop(name) for name in keys if name in more}
        found = self.resolve(self.spec(list(pip), **more), previous=previous, pip_resolver=backend, **options).lock
        assert parse_lock(format_lock(found)) == found
        return found


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with misbehaving(tmp_path) as server:
        yield Team(tmp_path, server)


def wheel_of(lock: Lock, name: str, platform: str = HERE) -> Wheel:
    return next(wheel for wheel in lock.platforms[platform].wheels if wheel.name == name)


def versions(lock: Lock, platform: str = HERE) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in lock.platforms[platform].wheels}


@pytest.mark.parametrize("backend", BACKENDS)
class TestBothResolvers:
    def test_the_lock_names_it_by_its_url(self, team: Team, backend: str) -> None:
        url = team.add("mine", "1.0", "leaf <1.1", "numpy")
        lock = team.lock(url, "consumer", backend=backend, conda=(f"python {MINOR}.*", "numpy"))
        mine = wheel_of(lock, "mine")
        assert mine.url == url
        assert (mine.version, mine.index, mine.origin) == ("1.0", "", None)
        assert mine.sha256 == parse_private(url).sha256
        assert mine.size == team.object(url).stat().st_size
        assert mine.requires == ("leaf", "numpy")
        assert versions(lock) == {"consumer": "1.0", "leaf": "1.0", "mine": "1.0"}

    def test_what_the_index_has_under_its_name_is_left_alone(self, team: Team, backend: str) -> None:
        url = team.add("mine", "1.0")
        assert versions(team.lock(f"mine @ {url}", backend=backend)) == {"mine": "1.0"}

    def test_extras_are_asked_of_it(self, team: Team, backend: str) -> None:
        url = team.add("mine", "1.0", "leaf; extra == 'more'")
        lock = team.lock(f"mine[more] @ {url}", backend=backend)
        assert versions(lock) == {"leaf": "1.1", "mine": "1.0"}
        assert wheel_of(lock, "mine").extras == ("more",)

    def test_what_needs_another_version_is_told(self, team: Team, backend: str) -> None:
        with pytest.raises(UnsatisfiableError, match="mine"):
            team.lock(team.add("mine", "1.0"), "demanding", backend=backend)

    def test_two_that_need_each_other(self, team: Team, backend: str) -> None:
        one, two = team.add("mine", "1.0", "other >=1"), team.add("other", "1.0", "mine")
        assert versions(team.lock(one, two, backend=backend)) == {"mine": "1.0", "other": "1.0"}

    def test_a_constraint_may_name_one(self, team: Team, backend: str) -> None:
        url = team.add("mine", "1.5")
        limit = (pip_requirement(f"mine @ {url}", Origin()),)
        assert versions(team.lock("leaf", backend=backend, constraints=limit)) == {"leaf": "1.1"}
        assert wheel_of(team.lock("consumer", backend=backend, constraints=limit), "mine").url == url

    def test_a_local_version(self, team: Team, backend: str) -> None:
        url = team.add("mine", "1.0+cu121")
        assert url.endswith("/mine-1.0+cu121-py3-none-any.whl")
        assert wheel_of(team.lock(url, backend=backend), "mine").version == "1.0+cu121"

    def test_one_for_another_machine_is_refused_by_its_place(self, team: Team, backend: str) -> None:
        url = team.add("mine", "1.0", tag="cp311-cp311-win_amd64")
        with pytest.raises(UnsatisfiableError) as caught:
            team.lock("leaf", url, backend=backend)
        assert caught.value.place == Place("requirements.txt", 2)
        assert f"does not run on {HERE} with Python {MINOR}.7" in caught.value.message

    def test_one_that_lies_about_its_version(self, team: Team, backend: str) -> None:
        made = make_wheel(team.folder / "made", "mine", "1.0")
        renamed = (team.folder / "made" / made.file_name).rename(team.folder / "made" / "mine-2.0-py3-none-any.whl")
        with pytest.raises(IntegrityError, match=r"mine-2\.0-.*: it says that it is mine 1\.0"):
            team.lock(team.keep(renamed), backend=backend)

    def test_nothing_of_where_it_came_from_is_remembered(self, team: Team, backend: str) -> None:
        url = team.add("mine", "1.0", "leaf")
        resolution = team.resolve(team.spec([url]), pip_resolver=backend)
        assert parse_private(url).sha256 not in resolution.addresses
        assert len(resolution.addresses) == 1


def test_both_resolvers_give_the_same_lock(team: Team) -> None:
    if HERE != "linux-64":
        pytest.skip("pip-tools resolves for this machine")
    urls = [team.add("mine", "1.0", "leaf", "numpy"), team.add("other", "2.0", "mine", tag=f"{TAG}-{TAG}-linux_x86_64")]
    locks = [
        team.lock(*urls, "consumer", backend=backend, conda=(f"python {MINOR}.*", "numpy"))
        for backend in ("uv", "pip-tools")
    ]
    assert format_lock(locks[0]) == format_lock(locks[1])


def test_resolvers_are_not_told_our_keys(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """They need none: what is private is a file by then."""
    program = team.folder / "uv-that-tells"
    program.write_text(f'#!/bin/sh\nenv > "{team.folder}/seen"\nexec "{find_uv()}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HERMETIC_WORKSPACE_KEY", "k1:S3cr3t")
    url = team.add("mine", "1.0", "leaf")
    team.resolve(team.spec([url]), pip_resolver=UvResolver(team.folder / "cache", program=str(program)))
    seen = (team.folder / "seen").read_text()
    assert "UV_CACHE_DIR" in seen
    assert "HERMETIC_" not in seen


class TestPlatforms:
    def test_all_of_them_take_a_pure_one(self, team: Team) -> None:
        url = team.add("mine", "1.0")
        lock = team.lock(url, platforms=("linux-64", "osx-arm64", "win-64"))
        assert {platform: wheel_of(lock, "mine", platform).url for platform in lock.platforms} == {
            "linux-64": url, "osx-arm64": url, "win-64": url,
        }  # fmt: skip

    def test_each_may_have_its_own(self, team: Team) -> None:
        linux = team.add("mine", "1.0", tag=f"{TAG}-{TAG}-linux_x86_64")
        mac = team.add("mine", "1.0", tag=f"{TAG}-{TAG}-macosx_11_0_arm64")
        lock = team.lock(
            f"{linux} ; sys_platform == 'linux'",
            f"{mac} ; sys_platform == 'darwin'",
            platforms=("linux-64", "osx-arm64", "win-64"),
        )
        assert wheel_of(lock, "mine", "linux-64").url == linux
        assert wheel_of(lock, "mine", "osx-arm64").url == mac
        assert lock.platforms["win-64"].wheels == ()

    def test_a_python_is_chosen_that_it_was_built_for(self, team: Team) -> None:
        """The newest Python of the channel is too new, so an older one is tried."""
        url = team.add("mine", "1.0", tag="cp310-cp310-manylinux_2_17_x86_64")
        lock = team.lock(url, conda=(), platforms=("linux-64",))
        python = lock.platforms["linux-64"].python()
        assert python is not None
        assert python.version == "3.10.1"

    def test_one_for_a_newer_system_tells_what_was_assumed(self, team: Team) -> None:
        url = team.add("mine", "1.0", tag="py3-none-manylinux_2_39_x86_64")
        with pytest.raises(UnsatisfiableError, match=r"does not run on linux-64 .*__glibc 2\.28 is assumed"):
            team.lock(url, platforms=("linux-64",))
        assert versions(team.lock(url, platforms=("linux-64",), system=(("__glibc", "2.39"),)), "linux-64")

    def test_one_for_another_python_says_so(self, team: Team) -> None:
        url = team.add("mine", "1.0", tag="cp310-cp310-manylinux_2_17_x86_64")
        with pytest.raises(UnsatisfiableError, match="does not run on linux-64 with Python") as caught:
            team.lock(url, platforms=("linux-64",))
        assert "Python that it was built for" in (caught.value.remedy or "")


class TestFetching:
    def test_other_bytes_are_refused(self, team: Team) -> None:
        url = team.add("mine", "1.0")
        team.object(url).write_bytes(b"not what it was")
        with pytest.raises(IntegrityError, match=f"wrong bytes from {url}") as caught:
            team.lock("leaf", url)
        assert caught.value.place == Place("requirements.txt", 2)
        assert not team.store.has_blob(parse_private(url).sha256)

    def test_one_that_the_workspace_does_not_have(self, team: Team) -> None:
        url = team.add("mine", "1.0")
        team.object(url).unlink()
        with pytest.raises(HermeticError, match="the workspace team does not have it") as caught:
            team.lock(url)
        assert caught.value.place == Place("requirements.txt", 1)
        assert "hermetic wheel add" in (caught.value.remedy or "")

    def test_a_workspace_that_nobody_knows(self, team: Team) -> None:
        with pytest.raises(UsageError, match="where the workspace 'others' is") as caught:
            team.lock(team.add("mine", "1.0").replace("//team/", "//others/"))
        assert caught.value.place == Place("requirements.txt", 1)

    def test_a_caller_that_cannot_fetch(self, team: Team) -> None:
        with pytest.raises(UnsatisfiableError, match="nothing here can fetch it") as caught:
            team.lock(team.add("mine", "1.0"), fetch_wheels=None)
        assert caught.value.place == Place("requirements.txt", 1)

    def test_what_the_store_has_needs_no_workspace(self, team: Team) -> None:
        url = team.add("mine", "1.0")
        lock = team.lock(url)
        shutil.rmtree(team.address.folder)
        assert team.lock(url, offline=True, previous=lock) == lock

    def test_offline_a_workspace_elsewhere_is_not_asked(self, team: Team) -> None:
        team.config = replace(
            team.config, workspaces={"team": replace(team.address, artefacts="s3://nowhere.example.org/x")}
        )
        with pytest.raises(OfflineError, match=r"mine-1\.0-py3-none-any\.whl"):
            team.lock(team.add("mine", "1.0"), offline=True)

    @pytest.mark.parametrize(
        ("files", "says"),
        [(None, "it cannot be read"), ({}, "has no metadata"), ({"x.dist-info/RECORD": ""}, "has no metadata")],
    )
    def test_what_is_no_wheel(self, team: Team, files: dict[str, str] | None, says: str) -> None:
        path = team.folder / "mine-1.0-py3-none-any.whl"
        if files is None:
            path.write_bytes(b"PK but not for long")
        else:
            with zipfile.ZipFile(path, "w") as archive:
                for name, text in files.items():
                    archive.writestr(name, text)
        with pytest.raises(IntegrityError, match=says) as caught:
            team.lock("leaf", team.keep(path))
        assert caught.value.place == Place("requirements.txt", 2)

    def test_the_link_that_resolvers_read_leads_to_the_store(self, team: Team) -> None:
        """A wheel is on the disk once, however often it is locked, and a link that leads nowhere is mended."""
        url = team.add("mine", "1.0")
        team.lock(url)
        found = list((team.folder / "store" / "solving" / "private").rglob("*.whl"))
        assert [path.resolve() for path in found] == [team.store.blob_path(parse_private(url).sha256)]
        found[0].unlink()
        found[0].symlink_to(team.folder / "nowhere")
        team.lock(url)
        assert found[0].is_file()


class TestContradictions:
    def test_two_files_of_one_project(self, team: Team) -> None:
        one, two = team.add("mine", "1.0"), team.add("mine", "2.0")
        with pytest.raises(UnsatisfiableError, match=f"two files of mine .*{one}.*requirements.txt:1.*{two}") as caught:
            team.lock(one, two)
        assert caught.value.place == Place("requirements.txt", 2)

    def test_a_private_and_another_file(self, team: Team) -> None:
        with pytest.raises(UnsatisfiableError, match="two files of mine are asked for"):
            team.lock(team.add("mine", "1.0"), "mine @ https://example.org/mine-1.0-py3-none-any.whl")

    def test_the_same_twice_is_once(self, team: Team) -> None:
        url = team.add("mine", "1.0")
        assert versions(team.lock(url, "mine>=1 ; python_version > '3'", f"mine @ {url}")) == {"mine": "1.0"}

    def test_one_that_conda_installs_too(self, team: Team) -> None:
        with pytest.raises(UnsatisfiableError, match=r"conda provides|both conda and pip would install numpy"):
            team.lock(team.add("numpy", "1.0"), conda=(f"python {MINOR}.*", "numpy"))

    def test_a_wheel_that_requires_another_by_its_private_url(self, team: Team) -> None:
        other = team.add("other", "1.0")
        url = team.add("mine", "1.0", f"other @ {other}")
        with pytest.raises(UnsatisfiableError, match="requires other by a private URL") as caught:
            team.lock("leaf", url)
        assert caught.value.place == Place("requirements.txt", 2)
        assert "add its URL to the spec" in (caught.value.remedy or "")


class TestAfterwards:
    def test_a_lock_fits_its_spec_and_no_other(self, team: Team) -> None:
        one, two = team.add("mine", "1.0"), team.add("mine", "1.0", "leaf")
        lock = team.lock(one)
        assert check(team.spec([one]), lock, deep=True) == ()
        (finding,) = check(team.spec([two]), lock)
        assert (finding.code, finding.old, finding.new) == ("requirement-changed", f"mine @ {one}", f"mine @ {two}")
        assert "requirement-unmet" in {finding.code for finding in check(team.spec([two]), lock, deep=True)}

    def test_other_bytes_of_one_version_are_a_change(self, team: Team) -> None:
        one, two = team.add("mine", "1.0"), team.add("mine", "1.0", "leaf")
        before, after = team.lock(one), team.lock(two)
        assert before.platforms[HERE].key() != after.platforms[HERE].key()
        assert one != two
        shown = str(diff(before, after).to_dict())
        assert parse_private(two).sha256[:12] in shown or two in shown

    def test_old_pins_of_others_are_kept(self, team: Team) -> None:
        url = team.add("mine", "1.0", "leaf")
        before = team.lock(url, "leaf <1.1")
        assert versions(team.lock(url, previous=before)) == {"leaf": "1.0", "mine": "1.0"}

    def test_an_old_pin_of_the_index_gives_way(self, team: Team) -> None:
        before = team.lock("mine")
        assert versions(before)["mine"] == "9.0"
        after = team.lock(team.add("mine", "1.0"), previous=before)
        assert versions(after)["mine"] == "1.0"
        assert versions(team.lock("mine", previous=after))["mine"] == "9.0"

    def test_times_of_publication_do_not_count_for_it(self, team: Team) -> None:
        url = team.add("mine", "1.0")
        lock = team.lock(url, exclude_newer="2024-01-01", conda=(f"python {MINOR}.*",))
        assert versions(lock) == {"mine": "1.0"}


def test_a_build_may_require_one(team: Team) -> None:
    """A source that is built may state a private wheel among what its build requires."""
    backend = team.add("backend", "3.0", "leaf")
    asked = []

    def build(source: Any, environment: Any, requirements: Any) -> BuiltWheel:
        found = requirements([pip_requirement(f"backend @ {backend}", Origin())])
        asked.extend(found.wheels)
        made = make_wheel(team.folder / "built", source.name, "1.0")
        path = team.folder / "built" / made.file_name
        return BuiltWheel(str(path), made.file_name, made.sha256, made.size, "", "b" * 64)

    project = team.folder / "project"
    project.mkdir()
    lock = team.lock("src @ ./project", source_builds=("src",), build_wheel=build)
    assert versions(lock) == {"src": "1.0"}
    assert [(wheel.name, wheel.url) for wheel in asked] == [("backend", backend), ("leaf", "")]


def test_a_subdirectory_of_a_wheel_is_refused() -> None:
    with pytest.raises(SpecError):
        pip_requirement(f"hermetic://team/wheels/{'0' * 64}/mine-1.0-py3-none-any.whl#subdirectory=x", Origin())
