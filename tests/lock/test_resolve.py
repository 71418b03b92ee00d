"""conda and pip as one resolution: real solvers on a channel and an index of this machine."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_channel import TIMESTAMP, Server, misbehaving, pure, python, record, write_channel
from tiny_wheels import make_wheel, write_index

from hermetic.config import Config
from hermetic.errors import (
    CredentialsError,
    HermeticError,
    IntegrityError,
    OfflineError,
    Place,
    SpecError,
    UnsatisfiableError,
    UsageError,
)
from hermetic.events import Silent
from hermetic.lock.file import format_lock
from hermetic.lock.model import Lock, Wheel
from hermetic.lock.resolve import Resolution, resolve
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import PipOptions, Spec
from hermetic.spec.pep508 import Origin, pip_requirement

DAY = 86_400_000


class Listener(Silent):
    """A reporter that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


class World:
    """A channel, an index and a user's cache folder; ``lock`` asks for something in it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.channel = write_channel(
            folder / "channel",
            python("3.11.7"),
            python("3.12.1"),
            python("3.11.7", subdir="osx-arm64"),
            record("numpy", "1.26.4", "python >=3.11,<3.13.0a0", build="py_0"),
            record("pytorch", "2.4.0", "python", build="py_0"),
            pure("six", "1.16.0"),
            pure("requests", "2.31.0"),
            record("cmake", "3.30.0"),
        )
        wheels = folder / "wheels"
        make_wheel(wheels, "six", "1.16.0")
        make_wheel(wheels, "six", "1.17.0")
        make_wheel(wheels, "leaf", "1.0")
        make_wheel(wheels, "leaf", "1.1")
        make_wheel(wheels, "tree", "2.0", "leaf >=1", "numpy >=1.20")
        make_wheel(wheels, "tree", "3.0", "leaf >=1.1", "numpy >=2")
        make_wheel(wheels, "numpy", "1.26.4", "hidden")
        make_wheel(wheels, "numpy", "2.1.0")
        make_wheel(wheels, "torch", "2.4.0", "nowhere")
        make_wheel(wheels, "trainer", "1.0", "torch >=2")
        make_wheel(wheels, "cmake", "3.31.0")
        make_wheel(wheels, "native", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
        make_wheel(wheels, "native", "1.0", tag="cp311-cp311-macosx_11_0_arm64")
        make_wheel(wheels, "native", "1.0", tag="py3-none-any")
        make_wheel(wheels, "modern", "1.0", tag="cp311-cp311-manylinux_2_35_x86_64")
        make_wheel(wheels, "elder", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
        make_wheel(wheels, "onmac", "1.0", "leaf; sys_platform == 'darwin'")
        write_index(folder / "simple", wheels)
        self.index = f"{server.address}/simple"

    def spec(self, conda: list[str], pip: list[str] | None = None, **more: Any) -> Spec:
        if "options" not in more:
            more["options"] = PipOptions(index=self.index)
        origin = Origin(Place("requirements.txt"))
        return Spec(
            channels=more.pop("channels", ("demo",)),
            conda=tuple(canonical_match(text, Place("environment.yml", n)) for n, text in enumerate(conda, 1)),
            pip=tuple(pip_requirement(text, origin.at(n)) for n, text in enumerate(pip or [], 1)),
            platforms=more.pop("platforms", ("linux-64",)),
            **more,
        )

    def resolve(self, spec: Spec, **more: Any) -> Resolution:
        config = Config(channels={"demo": str(self.channel)}, store=self.folder / "cache")
        return resolve(spec, config=config, root=self.folder, **more)

    def lock(self, conda: list[str], pip: list[str] | None = None, previous: Lock | None = None, **more: Any) -> Lock:
        keys = ("update", "exclude_newer", "offline", "reporter", "build_wheel")
        options = {name: more.pop(name) for name in keys if name in more}
        if "spec_exclude_newer" in more:
            more["exclude_newer"] = more.pop("spec_exclude_newer")
        found = self.resolve(self.spec(conda, pip, **more), previous=previous, **options).lock
        format_lock(found)  # a lock that its own file refuses is none
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    with misbehaving(tmp_path) as server:
        yield World(tmp_path, server)


def conda_of(lock: Lock, platform: str = "linux-64") -> dict[str, str]:
    return {package.name: package.version for package in lock.platforms[platform].conda}


def wheels_of(lock: Lock, platform: str = "linux-64") -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in lock.platforms[platform].wheels}


def wheel_of(lock: Lock, name: str, platform: str = "linux-64") -> Wheel:
    return next(wheel for wheel in lock.platforms[platform].wheels if wheel.name == name)


class TestOneResolution:
    def test_pip_sees_what_conda_provides(self, world: World) -> None:
        """The newest tree wants a newer numpy than conda's, so an older tree is taken, and numpy comes once."""
        lock = world.lock(["python 3.11.*", "numpy"], ["tree"])
        assert conda_of(lock) == {"numpy": "1.26.4", "python": "3.11.7"}
        assert wheels_of(lock) == {"leaf": "1.1", "tree": "2.0"}
        assert wheel_of(lock, "tree").requires == ("leaf", "numpy")

    def test_names_that_differ_are_known(self, world: World) -> None:
        """conda's pytorch is pip's torch: its own needs are conda's business."""
        lock = world.lock(["python 3.11.*", "pytorch"], ["trainer"])
        assert wheels_of(lock) == {"trainer": "1.0"}
        assert wheel_of(lock, "trainer").requires == ("torch",)

    def test_a_program_of_conda_is_no_python_project(self, world: World) -> None:
        assert wheels_of(world.lock(["python 3.11.*", "cmake"], ["cmake"])) == {"cmake": "3.31.0"}

    def test_a_requirement_that_conda_meets_is_conda_s(self, world: World) -> None:
        listener = Listener()
        lock = world.lock(["python 3.11.*", "six"], ["six>=1.16"], reporter=listener)
        assert wheels_of(lock) == {}
        assert listener.said == ["linux-64: pip's six>=1.16 is served by conda's six 1.16.0"]

    def test_a_requirement_that_conda_contradicts_is_explained(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            world.lock(["python 3.11.*", "six"], ["leaf", "six>=1.17"])
        assert caught.value.place == Place("requirements.txt", 2)
        assert "both conda and pip would install six" in caught.value.message
        assert "conda is asked for six (environment.yml:2)" in caught.value.message
        assert caught.value.remedy is not None
        assert "six >=1.17" in caught.value.remedy

    def test_a_dependency_that_conda_contradicts_is_explained(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            world.lock(["python 3.11.*", "numpy"], ["tree>=3"])
        assert caught.value.place == Place("requirements.txt", 1)
        assert "conda provides numpy 1.26.4 (package numpy)" in caught.value.message

    def test_extras_of_what_conda_provides_come_from_the_index(self, world: World) -> None:
        wheels = world.folder / "wheels"
        make_wheel(wheels, "socks", "1.0")
        extra = make_wheel(wheels, "requests", "2.31.0", "six", "socks; extra == 'socks'")
        assert extra.version == "2.31.0"
        write_index(world.folder / "simple", wheels)
        lock = world.lock(["python 3.11.*", "requests", "six"], ["requests[socks]"])
        assert wheels_of(lock) == {"socks": "1.0"}

    def test_the_markers_of_the_target_count(self, world: World) -> None:
        lock = world.lock(["python 3.11.*"], ["onmac"], platforms=("linux-64", "osx-arm64"))
        assert wheels_of(lock, "linux-64") == {"onmac": "1.0"}
        assert wheels_of(lock, "osx-arm64") == {"leaf": "1.1", "onmac": "1.0"}

    def test_categories_reach_through_both_kinds(self, world: World) -> None:
        spec = world.spec(["python 3.11.*", "numpy"], ["tree"])
        dev = replace(spec, pip=tuple(replace(r, category="dev") for r in spec.pip))
        platform = world.resolve(dev).lock.platforms["linux-64"]
        assert {p.name: p.categories for p in platform.conda} == {"numpy": ("dev", "main"), "python": ("dev", "main")}
        assert {w.name: w.categories for w in platform.wheels} == {"leaf": ("dev",), "tree": ("dev",)}


class TestWheels:
    def test_each_platform_gets_its_best_wheel(self, world: World) -> None:
        lock = world.lock(["python 3.11.*"], ["native"], platforms=("linux-64", "osx-arm64"))
        assert wheel_of(lock, "native").file_name == "native-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
        assert wheel_of(lock, "native", "osx-arm64").file_name == "native-1.0-cp311-cp311-macosx_11_0_arm64.whl"

    def test_digest_and_size_are_the_files_own(self, world: World) -> None:
        made = make_wheel(world.folder / "wheels", "leaf", "1.1")
        locked = wheel_of(world.lock(["python 3.11.*"], ["leaf"]), "leaf")
        assert (locked.file_name, locked.sha256, locked.size) == (made.file_name, made.sha256, made.size)

    def test_the_index_is_named_as_the_spec_has_it(self, world: World) -> None:
        found = world.resolve(world.spec(["python 3.11.*"], ["leaf"]))
        locked = wheel_of(found.lock, "leaf")
        assert (locked.index, locked.url) == (world.index, "")
        assert found.addresses == {locked.sha256: f"{world.server.address}/wheels/{locked.file_name}"}

    def test_credentials_of_an_index_are_used_and_never_locked(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INDEX_USER", "me")
        monkeypatch.setenv("INDEX_PASSWORD", "pw")
        private = world.server.address.replace("://", "://${INDEX_USER}:${INDEX_PASSWORD}@") + "/private/simple"
        found = world.resolve(world.spec(["python 3.11.*"], ["leaf"], options=PipOptions(index=private)))
        assert wheel_of(found.lock, "leaf").index == private
        assert not any("pw@" in address or "me:" in address for address in found.addresses.values())
        monkeypatch.setenv("INDEX_PASSWORD", "sekrit")
        with pytest.raises(CredentialsError) as caught:
            world.lock(["python 3.11.*"], ["tree"], options=PipOptions(index=private))
        assert "sekrit" not in str(caught.value)

    def test_a_variable_that_is_not_set_is_named(self, world: World) -> None:
        with pytest.raises(UsageError, match="NOT_SET_ANYWHERE"):
            world.lock(["python 3.11.*"], ["leaf"], options=PipOptions(index="http://${NOT_SET_ANYWHERE}@127.0.0.1/"))

    def test_several_indexes_are_told_apart(self, world: World) -> None:
        more = world.folder / "more"
        make_wheel(more, "own", "1.0")
        write_index(world.folder / "other", more)
        other = f"{world.server.address}/other"
        options = PipOptions(index=world.index, extra_indexes=(other,))
        lock = world.lock(["python 3.11.*"], ["leaf", "own"], options=options)
        assert wheel_of(lock, "leaf").index == world.index
        assert wheel_of(lock, "own").index == other

    def test_a_folder_of_wheels_is_named_relative_to_the_project(self, world: World) -> None:
        options = PipOptions(no_index=True, find_links=("./wheels",))
        locked = wheel_of(world.lock(["python 3.11.*"], ["leaf"], options=options), "leaf")
        assert (locked.index, locked.url) == ("", "./wheels/leaf-1.1-py3-none-any.whl")
        assert locked.size > 0

    def test_a_page_of_links_gives_addresses(self, world: World) -> None:
        options = PipOptions(index=world.index, find_links=(f"{world.server.address}/more/",))
        make_wheel(world.folder / "more", "own", "1.0")
        lock = world.lock(["python 3.11.*"], ["own", "leaf"], options=options)
        assert wheel_of(lock, "own").url == f"{world.server.address}/more/own-1.0-py3-none-any.whl"
        assert wheel_of(lock, "leaf").index == world.index

    def test_a_wheel_that_the_project_has(self, world: World) -> None:
        make_wheel(world.folder / "dist", "mine", "1.0", "leaf")
        lock = world.lock(["python 3.11.*"], ["./dist/mine-1.0-py3-none-any.whl"])
        assert wheels_of(lock) == {"leaf": "1.1", "mine": "1.0"}
        assert wheel_of(lock, "mine").url == "./dist/mine-1.0-py3-none-any.whl"
        assert wheel_of(lock, "mine").size > 0

    def test_a_wheel_that_is_not_there(self, world: World) -> None:
        with pytest.raises(SpecError) as caught:
            world.lock(["python 3.11.*"], ["leaf", "./dist/gone-1.0-py3-none-any.whl"])
        assert caught.value.place == Place("requirements.txt", 2)
        assert "there is no file ./dist/gone-1.0-py3-none-any.whl" in caught.value.message
        assert caught.value.place == Place("requirements.txt", 2)

    @pytest.mark.parametrize("text", ["x.whl", "X.WHL", "mine-1.0.whl", "gone-1.0-py3-none-any.whl"])
    def test_a_file_that_is_not_there_is_looked_up_nowhere(self, world: World, text: str) -> None:
        make_wheel(world.folder / "wheels", "x-whl", "1.0")  # what the name could be taken for
        write_index(world.folder / "simple", world.folder / "wheels")
        with pytest.raises(SpecError) as caught:
            world.lock(["python 3.11.*"], ["leaf", text])
        assert caught.value.message == f"there is no file ./{text}"
        assert caught.value.place == Place("requirements.txt", 2)
        assert not world.server.asked

    def test_a_file_that_has_no_wheels_name(self, world: World) -> None:
        (world.folder / "x.whl").write_bytes(b"")
        with pytest.raises(SpecError, match=r"\./x\.whl is no name of a wheel"):
            world.lock(["python 3.11.*"], ["x.whl"])

    def test_a_named_wheel_of_another_platform(self, world: World) -> None:
        make_wheel(world.folder / "dist", "mine", "1.0", tag="cp311-cp311-win_amd64")
        with pytest.raises(UnsatisfiableError, match=r"mine 1\.0 does not run on linux-64"):
            world.lock(["python 3.11.*"], ["./dist/mine-1.0-cp311-cp311-win_amd64.whl"])

    def test_digests_in_the_spec_choose_the_file(self, world: World) -> None:
        pure_one = make_wheel(world.folder / "wheels", "native", "1.0", tag="py3-none-any")
        spec = world.spec(["python 3.11.*"])
        origin = Origin(Place("requirements.txt", 1))
        wanted = pip_requirement("native==1.0", origin, hashes=(f"sha256:{pure_one.sha256}",))
        lock = world.resolve(replace(spec, pip=(wanted,))).lock
        assert wheel_of(lock, "native").file_name == "native-1.0-py3-none-any.whl"
        wrong = pip_requirement("native==1.0", origin, hashes=(f"sha256:{'0' * 64}",))
        with pytest.raises(UnsatisfiableError, match="none of the digests given for native"):
            world.resolve(replace(spec, pip=(wrong,)))

    def test_glibc_decides_which_wheels_fit(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError, match=r"assumed of the target: glibc 2\.28") as caught:
            world.lock(["python 3.11.*"], ["modern"])
        assert "system = { glibc = " in str(caught.value.remedy)
        lock = world.lock(["python 3.11.*"], ["modern"], system=(("__glibc", "2.35"),))
        assert wheels_of(lock) == {"modern": "1.0"}


class TestPython:
    def test_the_newest_that_the_requirements_admit(self, world: World) -> None:
        listener = Listener()
        assert conda_of(world.lock([], ["leaf"])) == {"python": "3.12.1"}
        lock = world.lock([], ["elder"], reporter=listener)
        assert conda_of(lock) == {"python": "3.11.7"}
        assert listener.said == ["linux-64: Python 3.11, the newest that the pip requirements admit"]

    def test_none_that_they_admit(self, world: World) -> None:
        make_wheel(world.folder / "wheels", "ancient", "1.0", tag="cp36-cp36m-manylinux1_x86_64")
        write_index(world.folder / "simple", world.folder / "wheels")
        with pytest.raises(UnsatisfiableError, match=r"tried with Python 3\.12, 3\.11"):
            world.lock([], ["ancient"])

    def test_one_that_the_spec_names_is_not_changed(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError, match=r"Python 3\.12"):
            world.lock(["python 3.12.*"], ["elder"])

    def test_another_kind_of_python_is_refused(self, world: World) -> None:
        write_channel(world.channel, record("python", "3.13.1", build="h0_0_cp313t"))
        with pytest.raises(UnsatisfiableError, match="usual CPython"):
            world.lock(["python"], ["leaf"])


class TestUnsatisfiable:
    def test_an_unknown_project(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            world.lock(["python 3.11.*"], ["leaf", "lief"])
        assert caught.value.exit_status == 3
        assert caught.value.place == Place("requirements.txt", 2)
        assert "lief is on none of the indexes" in caught.value.message
        assert caught.value.remedy == "check the name, or add the index that has it"

    def test_a_version_that_is_not_there(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            world.lock(["python 3.11.*"], ["leaf>9"])
        assert caught.value.place == Place("requirements.txt", 1)
        assert "leaf>9 (requirements.txt:1)" in caught.value.message

    def test_every_failing_platform_is_named(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError, match="not for osx-arm64 either"):
            world.lock(["python 3.11.*"], ["leaf>9"], platforms=("linux-64", "osx-arm64"))

    def test_constraints_limit_and_require_nothing(self, world: World) -> None:
        origin = Origin(Place("constraints.txt", 1))
        limits = (pip_requirement("leaf<1.1", origin), pip_requirement("absent>1", origin))
        assert wheels_of(world.lock(["python 3.11.*"], ["leaf"], constraints=limits)) == {"leaf": "1.0"}


@pytest.mark.parametrize(
    ("path", "kind"), [("401", CredentialsError), ("403", CredentialsError), ("nothing", UnsatisfiableError)]
)
def test_an_index_that_refuses(world: World, path: str, kind: type[HermeticError]) -> None:
    with pytest.raises(kind) as caught:
        world.lock(["python 3.11.*"], ["leaf"], options=PipOptions(index=f"{world.server.address}/{path}/simple"))
    assert "127.0.0.1" not in caught.value.message or caught.value.exit_status == 4


def test_a_second_index_that_refuses_is_not_passed_over(world: World) -> None:
    """What it has must not come from another index instead, in silence."""
    options = PipOptions(index=world.index, extra_indexes=(f"{world.server.address}/401/simple",))
    with pytest.raises(CredentialsError, match=r"the index http://.*/401/simple: the server refused access"):
        world.lock(["python 3.11.*"], ["leaf"], options=options)
    with pytest.raises(CredentialsError):
        world.lock(["python 3.11.*"], ["absent"], options=options)


def test_offline_uses_what_was_looked_up_before(world: World) -> None:
    with pytest.raises(OfflineError):
        world.lock(["python 3.11.*"], ["tree"], offline=True)
    online = world.lock(["python 3.11.*"], ["tree"])
    asked = world.server.asked.total()
    assert world.lock(["python 3.11.*"], ["tree"], offline=True) == online
    assert world.server.asked.total() == asked


class TestIncremental:
    @pytest.fixture
    def old(self, world: World) -> Lock:
        """A lock of a day when leaf 1.1 and python 3.12 were not there yet."""
        return world.lock(["python 3.11.*", "six"], ["leaf==1.0"])

    def test_old_pins_stay_when_a_requirement_is_added(self, world: World, old: Lock) -> None:
        lock = world.lock(["python", "six", "numpy"], ["leaf", "onmac"], previous=old)
        assert conda_of(lock) == {**conda_of(old), "numpy": "1.26.4"}
        assert wheels_of(lock) == {"leaf": "1.0", "onmac": "1.0"}

    def test_nothing_changes_when_nothing_is_asked(self, world: World, old: Lock) -> None:
        again = world.lock(["python", "six"], ["leaf"], previous=old)
        assert again.platforms == old.platforms

    def test_what_nothing_needs_any_more_goes(self, world: World, old: Lock) -> None:
        lock = world.lock(["python"], ["onmac"], previous=old)
        assert (conda_of(lock), wheels_of(lock)) == ({"python": "3.11.7"}, {"onmac": "1.0"})

    def test_they_give_way_where_they_must(self, world: World, old: Lock) -> None:
        assert wheels_of(world.lock(["python", "six"], ["leaf>1.0"], previous=old)) == {"leaf": "1.1"}

    def test_something_new_does_not_move_them_for_its_newest_release(self, world: World, old: Lock) -> None:
        """The newest tree wants leaf 1.1, an older one does with leaf 1.0."""
        lock = world.lock(["python 3.11.*", "six"], ["leaf", "tree"], previous=old)
        assert wheels_of(lock) == {"leaf": "1.0", "numpy": "2.1.0", "tree": "2.0"}

    def test_update_moves_what_it_names(self, world: World, old: Lock) -> None:
        lock = world.lock(["python", "six"], ["leaf"], previous=old, update=["leaf"])
        assert (conda_of(lock), wheels_of(lock)) == (conda_of(old), {"leaf": "1.1"})
        lock = world.lock(["python", "six"], ["leaf"], previous=old, update=["python"])
        assert (conda_of(lock)["python"], wheels_of(lock)) == ("3.12.1", {"leaf": "1.0"})

    def test_update_of_everything(self, world: World, old: Lock) -> None:
        lock = world.lock(["python", "six"], ["leaf"], previous=old, update=["*"])
        assert (conda_of(lock)["python"], wheels_of(lock)) == ("3.12.1", {"leaf": "1.1"})

    def test_update_of_what_is_not_locked(self, world: World, old: Lock) -> None:
        with pytest.raises(UsageError) as caught:
            world.lock(["python"], ["leaf"], previous=old, update=["leav"])
        assert caught.value.remedy == "did you mean leaf?"

    def test_a_channel_that_now_comes_first_wins(self, world: World, old: Lock) -> None:
        first = write_channel(world.folder / "first", pure("six", "1.15.0"))
        lock = world.lock(["python", "six"], [], previous=old, channels=(first.as_uri(), "demo"))
        assert conda_of(lock) == {"python": "3.11.7", "six": "1.15.0"}

    def test_a_new_platform_takes_the_versions_of_the_others(self, world: World, old: Lock) -> None:
        lock = world.lock(["python"], ["leaf"], previous=old, platforms=("linux-64", "osx-arm64"))
        assert wheels_of(lock, "osx-arm64") == {"leaf": "1.0"}


class TestTime:
    def test_what_is_newer_is_ignored_and_the_lock_says_so(self, world: World) -> None:
        write_channel(world.channel, python(), pure("six", "1.16.0"), pure("six", "1.17.0", timestamp=TIMESTAMP + DAY))
        lock = world.lock(["six"], exclude_newer="2023-11-14")
        assert conda_of(lock)["six"] == "1.16.0"
        assert lock.exclude_newer == "2023-11-14T23:59:59Z"
        # 2023-11-15T22:13:20Z is when six 1.17.0 came
        assert conda_of(world.lock(["six"], exclude_newer="2023-11-16T00:00:00+02:00"))["six"] == "1.16.0"
        assert conda_of(world.lock(["six"], exclude_newer="2023-11-16T00:00:00+01:00"))["six"] == "1.17.0"

    def test_it_holds_until_another_is_given(self, world: World) -> None:
        write_channel(world.channel, python(), pure("six", "1.16.0"), pure("six", "1.17.0", timestamp=TIMESTAMP + DAY))
        first = world.lock(["six"], exclude_newer="2023-11-14")
        listener = Listener()
        kept = world.lock(["six", "python"], previous=first, update=["*"], reporter=listener)
        assert (conda_of(kept)["six"], kept.exclude_newer) == ("1.16.0", first.exclude_newer)
        assert ["2023-11-14 23:59:59 UTC" in line for line in listener.said] == [True]
        assert "--exclude-newer none" in listener.said[0]
        lifted = world.lock(["six"], previous=kept, update=["*"], exclude_newer="none", reporter=listener)
        assert (conda_of(lifted)["six"], lifted.exclude_newer) == ("1.17.0", "")
        assert len(listener.said) == 1
        assert world.lock(["six"], previous=lifted).exclude_newer == ""

    def test_it_is_declared(self, world: World) -> None:
        write_channel(world.channel, python(), pure("six", "1.16.0"), pure("six", "1.17.0", timestamp=TIMESTAMP + DAY))
        day, listener = "2023-11-14T23:59:59Z", Listener()
        lock = world.lock(["six"], exclude_newer=None)
        assert conda_of(lock)["six"] == "1.17.0"
        declared = world.lock(["six"], previous=lock, spec_exclude_newer=day, reporter=listener)
        assert (conda_of(declared)["six"], declared.exclude_newer) == ("1.16.0", day)
        assert listener.said == []  # who declares it knows it
        later = world.lock(["six"], exclude_newer="2023-11-16", spec_exclude_newer=day)
        assert (conda_of(later)["six"], later.exclude_newer) == ("1.17.0", "2023-11-16T23:59:59Z")
        assert world.lock(["six"], previous=declared).exclude_newer == ""  # declared no more

    def test_an_empty_time(self, world: World) -> None:
        with pytest.raises(UsageError, match="empty"):
            world.lock(["six"], exclude_newer="")

    def test_no_time(self, world: World) -> None:
        with pytest.raises(UsageError, match="'yesterday' is no time"):
            world.lock(["six"], exclude_newer="yesterday")


def test_platforms_are_resolved_side_by_side_and_sorted(world: World) -> None:
    lock = world.lock(["python 3.11.*"], platforms=("osx-arm64", "linux-64"))
    assert list(lock.platforms) == ["linux-64", "osx-arm64"]


def test_the_same_question_gives_the_same_bytes(world: World) -> None:
    one = world.lock(["python 3.11.*", "numpy"], ["tree", "native"])
    two = world.lock(["numpy", "python 3.11.*"], ["native", "tree"])
    assert format_lock(one) == format_lock(two)
    assert str(world.folder) not in format_lock(one)


def test_it_works_inside_a_running_loop(world: World) -> None:
    """As in a notebook."""

    async def cell() -> Lock:
        return world.lock(["python 3.11.*"], ["leaf"])

    assert wheels_of(asyncio.run(cell())) == {"leaf": "1.1"}


class TestExplicitLists:
    def spec(self, world: World, *lines: str, pip: tuple[str, ...] = ()) -> Spec:
        wanted = tuple(pip_requirement(text, Origin(Place("list.txt", 1))) for text in pip)
        return Spec(exact=lines, pip=wanted, platforms=("linux-64",), options=PipOptions(index=world.index))

    def line(self, world: World, found: dict[str, Any], digest: str = "sha256") -> str:
        shown = {"sha256": f"#sha256:{found['sha256']}", "md5": f"#{found['md5']}", "": ""}[digest]
        file_name = f"{found['name']}-{found['version']}-{found['build']}.conda"
        return f"{world.channel.as_uri()}/{found['subdir']}/{file_name}{shown}"

    @pytest.mark.parametrize("digest", ["sha256", "md5", ""])
    def test_nothing_is_solved_and_everything_is_known(self, world: World, digest: str) -> None:
        six, snake = pure("six", "1.16.0"), python("3.11.7")
        lock = world.resolve(self.spec(world, self.line(world, six, digest), self.line(world, snake, digest))).lock
        locked = lock.platforms["linux-64"].conda
        assert [(p.name, p.channel, p.sha256) for p in locked] == [
            ("python", "demo", snake["sha256"]), ("six", "demo", six["sha256"])
        ]  # fmt: skip
        assert locked[1].depends == ("python >=3.8",)

    def test_pip_requirements_of_a_list(self, world: World) -> None:
        lock = world.resolve(self.spec(world, self.line(world, python("3.11.7")), pip=("leaf==1.0",))).lock
        assert wheels_of(lock) == {"leaf": "1.0"}
        with pytest.raises(UnsatisfiableError, match="no python"):
            world.resolve(self.spec(world, self.line(world, pure("six", "1.16.0")), pip=("leaf==1.0",)))

    def test_another_digest_than_the_channels(self, world: World) -> None:
        wrong = {**pure("six", "1.16.0"), "sha256": "0" * 64}
        with pytest.raises(IntegrityError, match=f"the list says sha256 {'0' * 64}"):
            world.resolve(self.spec(world, self.line(world, wrong)))

    def test_an_archive_that_the_channel_does_not_list(self, world: World) -> None:
        with pytest.raises(UnsatisfiableError, match=r"channel demo does not list noarch/six-0\.9-py_0\.conda"):
            world.resolve(self.spec(world, self.line(world, pure("six", "0.9"))))

    def test_what_no_channel_lists_is_read_from_the_archive(self, world: World) -> None:
        shared = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[3] / "shared"))
        name = "clobber-directory-upgrade-0.2.0-h4616a5c_0.conda"
        archive = next(shared.glob(f"conda-data/packages/**/{name}"), None)
        if archive is None:
            pytest.skip("the shared conda packages are not here")
        asked: list[tuple[str, str, str]] = []

        def fetch(url: str, sha256: str, md5: str) -> Path:
            asked.append((url, sha256, md5))
            return archive

        digest = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
        line = f"{world.channel.as_uri()}/noarch/{name}#{digest}"
        package = world.resolve(self.spec(world, line), fetch_archive=fetch).lock.platforms["linux-64"].conda[0]
        assert asked == [(line.partition("#")[0], "", digest)]
        assert (package.channel, package.subdir, package.file_name) == ("demo", "noarch", name)
        assert package.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
        assert package.size == archive.stat().st_size
