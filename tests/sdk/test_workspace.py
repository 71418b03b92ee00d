"""Workspaces from Python: made, found and shared; environments registered, got, labelled, compared, locked for good."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import channel as hand
from support.wheels import make_wheel

from hermetic import Environment, HermeticWarning, Lock, Workspace
from hermetic.errors import DriftError, ExistsError, MissingError, UsageError
from hermetic.lock.file import read_lock
from hermetic.platforms import current_platform


@pytest.fixture
def work(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder where the default channel is the one made by hand."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={tiny_channel}")
    return folder


@pytest.fixture
def ws(work: Path) -> Workspace:
    return Workspace.create("team")


def environment(*packages: str, name: str = "train") -> Environment:
    made = Environment(name)
    made.python.conda_dependencies.remove_conda_package("python")
    for package in packages:
        made.python.conda_dependencies.add_conda_package(package)
    return made


def newer(channel: Path) -> None:
    """Have the channel offer a newer ``app``."""
    hand.write_package(channel, "app", "3.0", files={"bin/app": "#!/bin/sh\n"})
    hand.index(channel)


def app(lock: Lock, platform: str = "") -> str:
    return next(p.version for p in lock.platforms[platform or current_platform()].conda if p.name == "app")


class TestMaking:
    def test_is_a_folder(self, work: Path) -> None:
        made = Workspace.create("team")
        assert made.name == "team"
        assert made.path == work / ".hermetic" / "workspace"
        assert (made.path / "workspace.sqlite").is_file()
        details = made.get_details()
        assert details.pop("keyvault") in {"keyring", str(made.path / "vault")}  # as the machine has it
        assert details == {
            "name": "team",
            "path": str(made.path),
            "database": str(made.path / "workspace.sqlite"),
            "artefacts": str(made.path / "artefacts"),
            "registry": "",
        }
        with pytest.raises(FileExistsError):
            Workspace.create("team")
        assert Workspace.create("team", exist_ok=True) == made

    def test_takes_what_names_a_cloud(self, work: Path) -> None:
        made = Workspace.create(
            name="team", subscription_id="1", resource_group="g", location="x", create_resource_group=True, path="here"
        )
        assert made.path == work / "here"
        with pytest.raises(TypeError, match="no parameter 'databse'"):
            Workspace.create("other", databse="x")

    @pytest.mark.parametrize("values", [{"database": "mysql://x"}, {"keyvault": "drawer"}, {"name": "a/b"}])
    def test_what_makes_no_sense_leaves_nothing(self, work: Path, values: Mapping[str, str]) -> None:
        with pytest.raises(UsageError):
            Workspace.create(**{"name": "team", **values})  # type: ignore[arg-type]
        assert not (work / ".hermetic").exists()

    def test_is_a_value(self, ws: Workspace) -> None:
        environment("app").register(ws)
        for other in (pickle.loads(pickle.dumps(ws)), copy.deepcopy(ws)):
            assert other == ws
            assert "train" in other.environments
        with pytest.raises(AttributeError, match="there is no cloud"):
            ws.subscription_id  # noqa: B018
        with pytest.raises(AttributeError, match="did you mean 'environments'"):
            ws.enviroments  # noqa: B018


class TestFinding:
    def test_by_a_manifest_above(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (work / "hermetic.toml").write_text('[workspace]\nname = "team"\npath = "kept"\n')
        inner = work / "deep" / "inside"
        inner.mkdir(parents=True)
        monkeypatch.chdir(inner)
        found = Workspace.from_config()
        assert (found.name, found.path) == ("team", work / "kept")
        assert (work / "kept" / "workspace.sqlite").is_file()
        assert Workspace.get("Team") == found == Workspace("team")

    @pytest.mark.parametrize("file", ["config.json", ".azureml/config.json", "aml_config/config.json"])
    def test_by_a_file_of_the_v1_sdk(self, work: Path, file: str) -> None:
        path = work / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"subscription_id": "1", "resource_group": "g", "workspace_name": "team"}))
        found = Workspace.from_config()
        assert (found.name, found.path) == ("team", work / ".hermetic" / "workspace")
        assert Workspace.from_config(path) == found
        assert Workspace.from_config(path=str(work), auth=object()) == found

    def test_by_the_file_that_it_writes(self, ws: Workspace, work: Path, tmp_path: Path) -> None:
        ws.write_config()
        assert json.loads((work / ".azureml" / "config.json").read_text()) == {
            "workspace_name": "team",
            "path": ".hermetic/workspace",
        }
        assert Workspace.from_config() == ws
        other = tmp_path / "other"
        ws.write_config(other, file_name="team.json")
        assert Workspace.from_config(other, _file_name="team.json") == ws
        assert Workspace.from_config(other / ".azureml" / "team.json") == ws

    def test_by_the_name_that_making_leaves(self, ws: Workspace, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        inner = work / "inner"
        inner.mkdir()
        monkeypatch.chdir(inner)
        assert Workspace.from_config() == ws == Workspace.get("team") == Workspace.from_config(work)
        (work / "config.json").write_text('{"workspace_name": "named", "path": "named"}')
        assert Workspace.from_config().name == "named"  # what a committed file says comes first

    def test_one_made_with_a_typed_password_leaves_none(self, work: Path) -> None:
        Workspace.create("team", artefacts="https://me:typed@example.org/x")
        assert not any("typed" in path.read_text("utf-8", "replace") for path in work.rglob("*.json"))

    def test_one_without_a_name_is_told(self, ws: Workspace, work: Path) -> None:
        (ws.path / "workspace.json").unlink()
        with pytest.raises(UsageError, match="in no workspace") as caught:
            Workspace.from_config()
        assert "write_config()" in str(caught.value.remedy)
        assert "hermetic workspace init NAME" in str(caught.value.remedy)
        assert str(ws.path) in str(caught.value.remedy)

    @pytest.mark.parametrize("name", ["config.json", "aml_config/config.json", ".azureml/config.json"])
    def test_the_file_that_names_it_is_rewritten(self, ws: Workspace, work: Path, name: str) -> None:
        file = work / name
        file.parent.mkdir(exist_ok=True)
        file.write_text('{"subscription_id": "1", "workspace_name": "team", "path": "elsewhere"}')
        ws.write_config()
        found = [path.relative_to(work).as_posix() for path in work.rglob("config.json")]
        assert found == [name]
        kept = {} if name.startswith(".azureml") else {"subscription_id": "1"}
        assert json.loads(file.read_text()) == {**kept, "workspace_name": "team", "path": ".hermetic/workspace"}
        assert Workspace.from_config() == ws

    def test_a_manifest_that_names_it_is_enough(self, ws: Workspace, work: Path) -> None:
        (work / "hermetic.toml").write_text('[workspace]\nname = "team"\n')
        ws.write_config()
        assert not (work / ".azureml").exists()

    def test_a_file_that_would_hide_it_is_an_error(self, ws: Workspace, work: Path) -> None:
        (work / "config.json").write_text('{"workspace_name": "others"}')
        with pytest.raises(ExistsError, match="names the workspace others"):
            ws.write_config()
        assert not (work / ".azureml").exists()

    def test_a_file_is_found_where_it_was_written(self, ws: Workspace, work: Path) -> None:
        ws.write_config("cfgdir", "my.json")
        assert (work / "cfgdir" / ".azureml" / "my.json").is_file()
        assert Workspace.from_config("cfgdir/my.json") == ws
        with pytest.raises(FileNotFoundError):
            Workspace.from_config("cfgdir/other.json")

    def test_a_file_that_says_otherwise_is_not_written(self, ws: Workspace, work: Path) -> None:
        (work / "hermetic.toml").write_text('[workspace]\nname = "others"\n')
        with pytest.raises(ExistsError, match="names the workspace others"):
            ws.write_config()

    def test_nowhere(self, work: Path) -> None:
        with pytest.raises(UsageError, match="is in no workspace"):
            Workspace.from_config()
        with pytest.raises(UsageError, match="'nothere'"):
            Workspace.get("nothere")
        with pytest.raises(FileNotFoundError):
            Workspace.from_config("nothere")

    def test_a_shared_one_is_not_made_by_accident(self, work: Path) -> None:
        (work / "hermetic.toml").write_text(
            '[workspace]\nname = "team"\ndatabase = "postgresql://me:${NOT_SET_HERE}@127.0.0.1:1/x"\n'
        )
        with pytest.raises(UsageError, match="NOT_SET_HERE"):
            Workspace.from_config()


class TestShown:
    def test_is_short(self, ws: Workspace) -> None:
        registered = environment("app").register(ws)
        lock = registered.lock()
        here = lock.platforms[current_platform()]
        assert repr(here) == (f"<PlatformLock {here.platform}: {len(here.conda)} conda, 0 pip, key {here.key()[:12]}>")
        assert repr(lock) == f"<Lock {here.platform}: {len(here.conda)} conda, 0 pip, key {here.key()[:12]}>"
        (version,) = Environment.versions(ws, "train")
        assert repr(version) == f"<EnvironmentVersion train:1: lock {version.lock[:12]}, latest>"

    def test_environments_show_the_first_names(self, ws: Workspace) -> None:
        for number in range(7):
            environment("app", name=f"A{number}").register(ws)
        assert repr(ws.environments).endswith("of the workspace team: A0, A1, A2, A3, A4, A5, ...>")


class TestRegistering:
    def test_a_definition_is_a_version(self, ws: Workspace) -> None:
        made = environment("app")
        first = made.register(workspace=ws)
        assert (first.name, first.version, made.version) == ("train", "1", None)
        assert made.register(ws).version == "1"
        made.environment_variables["A"] = "b"
        assert made.register(ws).version == "2"
        assert environment("app").register(ws).version == "1"
        assert Environment.get(ws, "train").version == "1"  # what was registered last

    def test_got_by_version_and_label(self, ws: Workspace) -> None:
        environment("app").register(ws)
        environment("app", "base").register(ws)
        for version in (1, "1"):
            found = Environment.get(workspace=ws, name="train", version=version)
            assert list(found.python.conda_dependencies.conda_packages) == ["app"]
        Environment.label(ws, "train", "1", ["production"])
        assert Environment.get(ws, "train", label="production").version == "1"
        assert Environment.get(ws, "train", label="latest").version == "2"
        with pytest.raises(UsageError, match="version and a label"):
            Environment.get(ws, "train", version=1, label="production")
        with pytest.raises(MissingError, match="no version 3") as caught:
            Environment.get(ws, "train", 3)
        assert "versions 1 to 2" in str(caught.value)
        with pytest.raises(MissingError) as caught:
            Environment.get(ws, "trian")
        assert "did you mean 'train'" in str(caught.value)
        with pytest.raises(TypeError):
            Environment.get(ws, "train", version=1.0)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="workspace is a Workspace, not str"):
            Environment.get("team", "train")  # type: ignore[arg-type]

    def test_what_is_got_is_ones_own(self, ws: Workspace) -> None:
        environment("app").register(ws)
        found = Environment.get(ws, "train")
        found.python.conda_dependencies.add_conda_package("base")
        assert list(Environment.get(ws, "train").python.conda_dependencies.conda_packages) == ["app"]
        assert found.register(ws).version == "2"

    def test_who_when_and_from_what(self, ws: Workspace, work: Path) -> None:
        (work / "environment.yml").write_text("dependencies: [app]\n")
        Environment.from_conda_specification("train", "environment.yml").register(ws)
        (version,) = Environment.versions(ws, "train")
        assert version.created_by
        assert version.created_at.endswith("Z")
        assert (version.definition.origin, version.definition.packages) == ("environment.yml", ("app",))
        assert (version.lock, version.labels) == ("", ("latest",))

    def test_archived_versions_are_found_by_number_alone(self, ws: Workspace) -> None:
        environment("app").register(ws)
        second = environment("app", "base").register(ws)
        second.archive()
        assert Environment.get(ws, "train").version == "1"
        assert Environment.get(ws, "train", 2).version == "2"
        second.restore()
        assert Environment.get(ws, "train").version == "2"
        with pytest.raises(UsageError, match="no version of a workspace"):
            environment("app").archive()

    @pytest.mark.parametrize("name", ["Hermetic-mine", "AzureML-mine", "Microsoft"])
    def test_reserved_names_are_refused(self, ws: Workspace, name: str) -> None:
        with pytest.raises(UsageError, match="curated"):
            environment("app", name=name).register(ws)

    def test_many_threads_at_once(self, ws: Workspace) -> None:
        found: list[str | None] = []

        def register(number: int) -> None:
            made = environment("app")
            made.environment_variables["N"] = str(number % 5)
            found.append(made.register(ws).version)

        threads = [threading.Thread(target=register, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found, key=str) == sorted([*"12345"] * 4)


class TestTheDictionary:
    def test_has_ones_own_and_the_curated(self, ws: Workspace) -> None:
        environment("app").register(ws)
        environment("app", name="another").register(ws)
        found = Environment.list(workspace=ws)
        names = list(found)
        assert names == sorted(names)
        assert {"train", "another", "AzureML-Minimal", "Hermetic-Tutorial"} <= set(names)
        assert len(found) == len(names)
        assert [name for name, _ in found.items()] == names == [made.name for made in found.values()]
        assert list(found["train"].python.conda_dependencies.conda_packages) == ["app"]
        assert "train" in ws.environments
        assert "nothere" not in ws.environments
        assert 3 not in ws.environments  # type: ignore[comparison-overlap]
        assert ws.environments.get("nothere") is None

    def test_what_is_missing_is_a_key_error(self, ws: Workspace) -> None:
        with pytest.raises(KeyError) as caught:
            ws.environments["nothere"]
        assert "has no environment 'nothere'" in str(caught.value)

    def test_is_asked_anew(self, ws: Workspace) -> None:
        found = ws.environments
        before = len(found)
        environment("app").register(ws)
        assert len(found) == before + 1

    def test_archived_ones_are_not_listed(self, ws: Workspace) -> None:
        environment("app").register(ws).archive()
        assert "train" not in list(ws.environments)
        assert "train" not in [made.name for made in ws.environments.values()]
        assert "train" not in ws.environments


class TestCurated:
    def test_are_got_like_others(self, ws: Workspace) -> None:
        found = Environment.get(workspace=ws, name="AzureML-Minimal")
        assert (found.name, found.version) == ("AzureML-Minimal", "1")
        assert Environment.get(ws, "AzureML-Minimal", version="1").to_spec() == found.to_spec()
        assert Environment.get(ws, "AzureML-Minimal", label="latest").version == "1"
        assert [version.version for version in Environment.versions(ws, "Hermetic-Tutorial")] == [1]
        with pytest.raises(UsageError, match="no version '9'"):
            Environment.get(ws, "AzureML-Minimal", version=9)
        with pytest.raises(UsageError, match="has no label 'production'"):
            Environment.get(ws, "AzureML-Minimal", label="production")

    def test_a_clone_is_ones_own(self, ws: Workspace) -> None:
        found = Environment.get(ws, "Hermetic-Minimal")
        with pytest.raises(UsageError, match="curated"):
            found.register(ws)
        with pytest.raises(UsageError, match="curated"):
            found.archive()
        with pytest.raises(UsageError, match="curated"):
            Environment.label(ws, "Hermetic-Minimal", 1, ["mine"])
        assert found.clone("mine").register(ws).version == "1"

    def test_their_locks_come_with_them(self, ws: Workspace, work: Path) -> None:
        from hermetic.workspace.curated.catalogue import curated

        item = curated("Hermetic-Minimal")
        assert item
        assert item.lock
        lock = Environment.get(ws, "Hermetic-Minimal").lock()  # the channel here has other packages
        assert lock == read_lock(item.lock)
        assert read_lock(work / "lockfiles" / "Hermetic-Minimal.lock.json") == lock

    def test_a_near_miss_names_them(self, ws: Workspace) -> None:
        with pytest.raises(MissingError) as caught:
            Environment.get(ws, "AzureML-Minimum")
        assert "did you mean 'AzureML-Minimal'" in str(caught.value)


class TestKeptLocks:
    def test_a_version_is_locked_once(self, ws: Workspace, work: Path, tiny_channel: Path) -> None:
        registered = environment("app").register(ws)
        first = registered.lock()
        assert app(first) == "2.0"
        newer(tiny_channel)
        assert Environment.get(ws, "train").lock("other.lock.json") == first
        assert read_lock(work / "other.lock.json") == first
        assert app(environment("app").lock("loose.lock.json")) == "3.0"
        assert Environment.versions(ws, "train")[0].lock

    def test_it_grows_by_platforms_only(self, ws: Workspace, tiny_channel: Path) -> None:
        registered = environment("app").register(ws)
        first = registered.lock(platforms=["linux-64"])
        newer(tiny_channel)
        grown = registered.lock(platforms=["linux-64", "osx-arm64"])
        assert grown.platforms["linux-64"] == first.platforms["linux-64"]
        assert sorted(grown.platforms) == ["linux-64", "osx-arm64"]
        assert registered.lock(platforms=["linux-64"]) == grown

    def test_its_packages_do_not_move(self, ws: Workspace) -> None:
        registered = environment("app").register(ws)
        for moving in ({"update": ["*"]}, {"exclude_newer": "2020-01-01"}):
            with pytest.raises(UsageError, match="kept for good"):
                registered.lock(**moving)

    def test_the_next_version_keeps_pins_that_fit(self, ws: Workspace, tiny_channel: Path) -> None:
        environment("app").register(ws).lock()
        newer(tiny_channel)
        assert app(environment("app", "accel").register(ws).lock()) == "2.0"
        assert app(environment("app>2").register(ws).lock()) == "3.0"

    def test_what_was_changed_is_no_version_any_more(self, ws: Workspace, tiny_channel: Path, work: Path) -> None:
        registered = environment("app").register(ws)
        registered.lock()
        newer(tiny_channel)
        registered.python.conda_dependencies.add_conda_package("accel")
        (work / "lockfiles" / "train.lock.json").unlink()
        assert app(registered.lock()) == "3.0"
        assert app(registered.clone("own").lock("own.lock.json")) == "3.0"
        assert app(Environment.get(ws, "train").lock("again.lock.json")) == "2.0"

    def test_copies_know_it_too(self, ws: Workspace, tiny_channel: Path) -> None:
        registered = environment("app").register(ws)
        registered.lock()
        newer(tiny_channel)
        for other in (copy.deepcopy(registered), pickle.loads(pickle.dumps(registered))):
            assert app(other.lock("copy.lock.json")) == "2.0"

    def test_one_may_be_given(self, ws: Workspace, work: Path, tiny_channel: Path) -> None:
        made = environment("app")
        given = made.lock("mine.lock.json")
        newer(tiny_channel)
        registered = made.register(ws, lock="mine.lock.json")
        assert registered.lock("kept.lock.json") == given
        other = made.lock("mine.lock.json", update=["*"])
        with pytest.warns(HermeticWarning, match="has a lock already"):
            made.register(ws, lock=other)
        assert app(registered.lock("kept.lock.json")) == "2.0"
        with pytest.raises(UsageError, match="does not fit train"):
            environment("base").register(ws, lock=given)
        assert len(Environment.versions(ws, "train")) == 1

    def test_the_one_in_the_working_folder_goes_along_if_it_fits(
        self, ws: Workspace, work: Path, tiny_channel: Path
    ) -> None:
        made = environment("app")
        own = made.lock()
        newer(tiny_channel)
        registered = made.register(ws)
        assert registered.lock("kept.lock.json") == own
        made.python.conda_dependencies.add_conda_package("base")
        assert made.register(ws).version == "2"
        assert Environment.versions(ws, "train")[1].lock == ""
        path = work / "lockfiles" / "train.lock.json"
        path.write_text(path.read_text().replace("2.0", "9.9"))
        assert environment("app", name="other").register(ws).version == "1"
        path.rename(path.with_name("other.lock.json"))
        assert environment("app", name="other").register(ws).version == "1"
        assert Environment.versions(ws, "other")[0].lock == ""

    def test_a_build_takes_it(self, ws: Workspace, work: Path, tiny_channel: Path) -> None:
        first = environment("app").build_local(ws, useDocker=False)
        assert first.lock_path is None
        newer(tiny_channel)
        again = Environment.get(ws, "train").build_local(useDocker=False, prefix="again")
        assert again.key == first.key
        assert (work / "again" / "bin" / "app").exists()
        assert [version.version for version in Environment.versions(ws, "train")] == [1]
        assert not (work / "lockfiles").exists()

    def test_locked_wants_one_that_is_there(self, ws: Workspace) -> None:
        registered = environment("app").register(ws)
        with pytest.raises(DriftError, match="train:1 is not locked for"):
            registered.build_local(useDocker=False, locked=True)
        registered.lock()
        assert registered.build_local(useDocker=False, locked=True).changed

    def test_what_fails_keeps_nothing(self, ws: Workspace, work: Path) -> None:
        registered = environment("left", "right").register(ws)
        (work / "mine.lock.json").write_text("kept")
        with pytest.raises(Exception, match="left"):
            registered.lock()
        assert Environment.versions(ws, "train")[0].lock == ""
        assert not (work / "lockfiles").exists()

    def test_processes_that_lock_at_once_have_one_lock(self, ws: Workspace, work: Path, tmp_path: Path) -> None:
        """Each sees another channel, and all get the lock of the fastest."""
        environment("app").register(ws)
        ws.write_config()
        running = []
        for number in range(4):
            mine = tmp_path / f"channel-{number}"
            hand.write_package(mine, "app", f"{number + 1}.0", files={"bin/app": "#!/bin/sh\n"})
            hand.index(mine)
            code = (
                "from hermetic import Environment, Workspace\n"
                f"Environment.get(Workspace.from_config(), 'train').lock('{number}.lock.json')\n"
            )
            environ = {"HERMETIC_CHANNELS": f"conda-forge={mine}", "HERMETIC_STORE": str(tmp_path / "store")}
            running.append(subprocess.Popen([sys.executable, "-c", code], env={**_environ(), **environ}))
        assert [process.wait() for process in running] == [0, 0, 0, 0]
        assert len({(work / f"{number}.lock.json").read_bytes() for number in range(4)}) == 1


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)


class TestDifferences:
    def test_of_definitions_and_locks(self, ws: Workspace, tiny_channel: Path) -> None:
        environment("app<2").register(ws).lock()
        made = environment("app>=2")
        made.environment_variables["A"] = "b"
        made.docker.shm_size = "8g"
        made.register(ws).lock()
        found = Environment.diff(ws, "train", 1)
        told = {item.what: (item.old, item.new) for item in found.definition}
        assert told == {
            "conda app": ("app<2", "app>=2"),
            "variable A": ("", "b"),
            "docker.shmSize": ('"2g"', '"8g"'),
        }
        assert found.lock
        assert {change.name for part in found.lock.platforms for change in part.changes} == {"app", "base"}
        assert not Environment.diff(ws, "train", 2)
        assert Environment.diff(ws, "train", 1, 2).to_dict() == found.to_dict()

    def test_without_locks(self, ws: Workspace) -> None:
        environment("app").register(ws)
        environment("base", name="other").register(ws)
        found = Environment.diff(ws, "train", 1, other="other")
        assert (found.old, found.new, found.lock) == ("train:1", "other:1", None)
        assert {item.what for item in found.definition} == {"conda app", "conda base"}


class TestWheels:
    def test_are_uploaded_once_and_have_a_stable_url(self, ws: Workspace, tmp_path: Path) -> None:
        wheel = make_wheel(tmp_path / "dist", "mine", "1.0")
        url = Environment.add_private_pip_wheel(workspace=ws, file_path=str(wheel))
        assert url.startswith("hermetic://team/wheels/")
        assert url.endswith("/mine-1.0-py3-none-any.whl")
        assert Environment.add_private_pip_wheel(ws, wheel) == url
        made = environment("app")
        made.python.conda_dependencies.add_pip_package(url)
        assert url in str(Environment.get(ws, made.register(ws).name or "").to_spec().pip)

    def test_other_bytes_stand_beside(self, ws: Workspace, tmp_path: Path) -> None:
        first = Environment.add_private_pip_wheel(ws, make_wheel(tmp_path / "one", "mine", "1.0"))
        other = make_wheel(tmp_path / "two", "mine", "1.0", requires=["tabulate"])
        with pytest.raises(FileExistsError):
            Environment.add_private_pip_wheel(ws, other)
        assert Environment.add_private_pip_wheel(ws, other, exist_ok=True) != first


class TestImages:
    def test_there_is_none_yet(self, ws: Workspace) -> None:
        registered = environment("app").register(ws)
        found = registered.get_image_details(ws)
        assert (found["imageExistsInRegistry"], found["dockerImage"]) == (False, None)

    def test_one_that_was_built_is_told_of(self, ws: Workspace) -> None:
        from hermetic.workspace.model import ImageRecord

        registered = environment("app").register(ws)
        reference = "registry.example.org:5000/team/hermetic/env_1"
        ws._room.environments.add_image(
            ImageRecord("train", 1, "linux-64", reference, "sha256:" + "0" * 64, True, "", "")
        )
        for made in (registered, environment("app")):
            found = made.get_image_details(ws)
            assert found["imageExistsInRegistry"]
            assert found["dockerImage"] == {
                "name": "team/hermetic/env_1",
                "registry": {"address": "registry.example.org:5000"},
            }
        with pytest.raises(MissingError, match="no version of train has this definition"):
            environment("base").get_image_details(ws)
