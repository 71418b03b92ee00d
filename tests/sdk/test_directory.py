"""Environments as directories, in the v1 SDK's format."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermetic import Environment, HermeticWarning
from hermetic.errors import MachineError, SpecError
from hermetic.spec import load_spec

JSON = "azureml_environment.json"
FIELDS = [
    "name",
    "version",
    "environmentVariables",
    "python.userManagedDependencies",
    "python.interpreterPath",
    "python.condaDependenciesFile",
    "python.baseCondaEnvironment",
    "docker.enabled",
    "docker.baseImage",
    "docker.baseDockerfile",
    "docker.buildContext",
    "docker.sharedVolumes",
    "docker.shmSize",
    "docker.arguments",
    "docker.baseImageRegistry.address",
    "docker.baseImageRegistry.username",
    "docker.baseImageRegistry.password",
    "docker.baseImageRegistry.registryIdentity",
    "docker.platform.os",
    "docker.platform.architecture",
    "spark.repositories",
    "spark.packages",
    "spark.precachePackages",
    "databricks.mavenLibraries",
    "databricks.pypiLibraries",
    "databricks.rcranLibraries",
    "databricks.jarLibraries",
    "databricks.eggLibraries",
    "r",
    "inferencingStackVersion",
    "assetId",
]


def fields(values: Any, above: str = "") -> list[str]:
    if not isinstance(values, dict) or not values:
        return [above.removesuffix(".")]
    return [field for name, value in values.items() for field in fields(value, f"{above}{name}.")]


def full() -> Environment:
    environment = Environment("example")
    environment.version = "4"
    environment.environment_variables = {"OMP_NUM_THREADS": "1"}
    dependencies = environment.python.conda_dependencies
    dependencies.set_python_version(">=3.9")
    dependencies.add_channel("pytorch")
    dependencies.add_conda_package("numpy=1.26")
    dependencies.add_pip_package("requests[socks]>=2")
    dependencies.set_pip_option("--extra-index-url https://example.org/simple")
    docker = environment.docker
    docker.enabled = True
    docker.base_image = "team/base:1"
    docker.base_image_registry.address = "example.org"
    docker.base_image_registry.username = "me"
    docker.base_image_registry.password = "${CONTAINER_PASSWORD}"
    docker.shm_size, docker.arguments = "8g", ["--network=none"]
    docker.platform.architecture = "arm64"
    environment.inferencing_stack_version = "latest"
    environment.accelerator = "cuda-12.4"
    environment.system = {"glibc": "2.35"}
    environment.source_builds = ["annoy"]
    return environment


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


class TestFormat:
    def test_order_and_indentation(self, tmp_path: Path) -> None:
        Environment("example").save_to_directory(tmp_path / "env")
        text = (tmp_path / "env" / JSON).read_text()
        values = json.loads(text)
        assert fields(values) == FIELDS
        assert text == json.dumps(values, indent=4) + "\n"
        assert sorted(texts(tmp_path / "env")) == [JSON, "conda_dependencies.yml"]

    def test_a_dockerfile_stands_beside(self, tmp_path: Path) -> None:
        environment = Environment("example")
        environment.docker.base_dockerfile = "FROM scratch\n"
        environment.save_to_directory(tmp_path / "env")
        assert (tmp_path / "env" / "BaseDockerfile").read_text() == "FROM scratch\n"
        assert "baseDockerfile" not in json.loads((tmp_path / "env" / JSON).read_text())["docker"]

    def test_the_same_definition_gives_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            full().save_to_directory(tmp_path / name)
        assert texts(tmp_path / "one") == texts(tmp_path / "two")


class TestRoundTrip:
    def test_everything_comes_back(self, tmp_path: Path) -> None:
        full().save_to_directory(tmp_path / "one")
        loaded = Environment.load_from_directory(tmp_path / "one")
        loaded.save_to_directory(tmp_path / "two")
        assert texts(tmp_path / "one") == texts(tmp_path / "two")
        assert loaded.to_spec() == full().to_spec()
        docker = loaded.docker
        assert (docker.enabled, docker.shm_size, docker.arguments) == (True, "8g", ["--network=none"])
        assert docker.base_image_registry.password == "${CONTAINER_PASSWORD}"
        assert loaded.version == "4"

    def test_the_directory_is_a_spec_for_the_command_line_too(self, tmp_path: Path) -> None:
        full().save_to_directory(tmp_path / "env")
        assert load_spec([tmp_path / "env"]) == full().to_spec()

    def test_a_user_managed_one_keeps_its_dependencies(self, tmp_path: Path) -> None:
        environment = full()
        environment.python.user_managed_dependencies = True
        environment.python.interpreter_path = "/opt/python/bin/python"
        environment.save_to_directory(tmp_path / "env")
        loaded = Environment.load_from_directory(tmp_path / "env")
        assert loaded.python.interpreter_path == "/opt/python/bin/python"
        assert loaded.to_spec().conda == ()
        assert "numpy=1.26" in list(loaded.python.conda_dependencies.conda_packages)

    def test_local_wheels_stay_reachable(self, tmp_path: Path) -> None:
        (tmp_path / "project").mkdir()
        (tmp_path / "project" / "r.txt").write_text("./dist/mine-1.0-py3-none-any.whl\n--find-links ./wheels\n")
        environment = Environment.from_pip_requirements("example", tmp_path / "project" / "r.txt")
        environment.save_to_directory(tmp_path / "env")
        loaded = Environment.load_from_directory(tmp_path / "env")
        assert list(loaded.python.conda_dependencies.pip_packages) == ["../project/dist/mine-1.0-py3-none-any.whl"]
        assert list(loaded.python.conda_dependencies.pip_options) == ["--find-links ../project/wheels"]

    @settings(max_examples=25, deadline=None)
    @given(
        st.dictionaries(
            st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True),
            st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\u2028\u2029"), max_size=20),
            max_size=4,
        ),
        st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\u2028\u2029"), max_size=20),
    )
    def test_any_text_comes_back(self, tmp_path_factory: Any, variables: dict[str, str], line: str) -> None:
        folder = tmp_path_factory.mktemp("any") / "env"
        environment = Environment("example")
        environment.environment_variables = variables
        environment.docker.base_dockerfile = f"FROM scratch\n# {line}\n"
        environment.save_to_directory(folder)
        loaded = Environment.load_from_directory(folder)
        assert loaded.environment_variables == variables
        assert loaded.docker.base_dockerfile == environment.docker.base_dockerfile


class TestOtherAges:
    def write(self, folder: Path, values: Any, conda: str | None = "dependencies: [python=3.8]\n") -> Path:
        folder.mkdir(exist_ok=True)
        (folder / JSON).write_text(values if isinstance(values, str) else json.dumps(values))
        if conda is not None:
            (folder / "conda_dependencies.yml").write_text(conda)
        return folder

    def test_an_old_file_lacks_fields(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path / "old", {"name": "old", "version": "Autosave_2020-12-23T17:02:24Z_66463d46"})
        loaded = Environment.load_from_directory(folder)
        assert (loaded.name, loaded.version) == ("old", "Autosave_2020-12-23T17:02:24Z_66463d46")
        assert (loaded.docker.enabled, loaded.docker.base_image) == (False, None)
        loaded.save_to_directory(folder, overwrite=True)
        assert fields(json.loads((folder / JSON).read_text())) == FIELDS

    def test_a_new_file_has_more_of_them_and_they_are_kept(self, tmp_path: Path) -> None:
        values = {
            "name": "new",
            "python": {"interpreterPath": "python3", "solver": "fast"},
            "docker": {
                "baseImage": "base:1",
                "gpus": 2,
                "baseImageRegistry": {"token": None},
                "platform": {"variant": "v8"},
            },
            "spark": {"packages": ["a"]},
            "r": {"rVersion": "4"},
            "assetId": "there/1",
            "sidecars": [{"name": "log"}],
        }
        folder = self.write(tmp_path / "new", values)
        loaded = Environment.load_from_directory(folder)
        loaded.docker.shm_size = "4g"
        loaded.save_to_directory(tmp_path / "again")
        again = json.loads((tmp_path / "again" / JSON).read_text())
        assert again["python"]["solver"] == "fast"
        assert (again["docker"]["gpus"], again["docker"]["shmSize"]) == (2, "4g")
        assert again["docker"]["baseImageRegistry"]["token"] is None
        assert again["docker"]["platform"] == {"os": "Linux", "architecture": "amd64", "variant": "v8"}
        assert again["spark"] == {"repositories": [], "packages": ["a"], "precachePackages": True}
        assert (again["r"], again["assetId"], again["sidecars"]) == ({"rVersion": "4"}, "there/1", [{"name": "log"}])

    def test_dependencies_may_stand_in_the_json(self, tmp_path: Path) -> None:
        inline = {"channels": ["conda-forge"], "dependencies": ["python=3.8", {"pip": ["requests"]}], "name": "x"}
        folder = self.write(tmp_path / "old", {"name": "old", "python": {"condaDependencies": inline}}, conda=None)
        loaded = Environment.load_from_directory(folder)
        assert loaded.python.conda_dependencies.as_dict() == inline
        loaded.save_to_directory(folder, overwrite=True)
        assert "condaDependencies" not in json.loads((folder / JSON).read_text())["python"]
        assert Environment.load_from_directory(folder).to_spec() == loaded.to_spec()

    def test_a_dockerfile_may_stand_in_the_json_and_a_registry_be_a_text(self, tmp_path: Path) -> None:
        docker = {"baseDockerfile": "FROM scratch", "baseImageRegistry": "example.org"}
        loaded = Environment.load_from_directory(self.write(tmp_path / "old", {"name": "old", "docker": docker}))
        assert loaded.docker.base_dockerfile == "FROM scratch\n"
        assert loaded.docker.base_image_registry.address == "example.org"

    @pytest.mark.parametrize(
        ("text", "message", "line"),
        [
            ("{\n", "malformed JSON", 2),
            ("[]", "an environment is a JSON object", None),
            ('{\n  "name": "a b"\n}', "it holds ' '", 2),
            ('{\n "name": "x",\n "docker": {"enabled": "yes"}\n}', "enabled is True or False", 3),
            ('{\n "docker": {"platform":\n  {"os": 5}}\n}', "os is a text", 3),
            ('{"environmentVariables": {"A": 1}}', "'A' is no text", None),
            ('{"python": []}', "python is an object", None),
            ('{"hermetic": {"accelerator": "tpu"}}', "no accelerator", None),
            ('{"hermetic": {"speed": 1}}', "hermetic is an object of", None),
        ],
    )
    def test_a_wrong_file_is_refused_with_the_place(self, tmp_path: Path, text: str, message: str, line: int) -> None:
        folder = self.write(tmp_path / "bad", text)
        with pytest.raises(SpecError, match=message) as caught:
            Environment.load_from_directory(folder)
        assert caught.value.place is not None
        assert caught.value.place.file == str(folder / JSON)
        assert caught.value.place.line == line

    def test_a_wrong_specification_has_its_own_place(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path / "bad", {"name": "x"}, conda="dependencies:\n- numpy>=>1\n")
        with pytest.raises(SpecError) as caught:
            Environment.load_from_directory(folder)
        assert str(caught.value.place) == f"{folder / 'conda_dependencies.yml'}:2"

    def test_a_missing_folder_is_a_file_not_found_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*nothing"):
            Environment.load_from_directory(tmp_path / "nothing")


class TestSecrets:
    def test_a_password_is_not_written_and_that_is_said(self, tmp_path: Path) -> None:
        environment = full()
        environment.docker.base_image_registry.password = "hunter2"
        with pytest.warns(HermeticWarning, match=r"\$\{NAME\}"):
            environment.save_to_directory(tmp_path / "env")
        assert not any("hunter2" in text for text in texts(tmp_path / "env").values())
        assert environment.docker.base_image_registry.password == "hunter2"

    def test_a_password_in_an_old_file_is_not_used(self, tmp_path: Path) -> None:
        folder = tmp_path / "env"
        full().save_to_directory(folder)
        text = (folder / JSON).read_text().replace("${CONTAINER_PASSWORD}", "hunter2")
        (folder / JSON).write_text(text)
        with pytest.warns(HermeticWarning, match="password is not used") as caught:
            loaded = Environment.load_from_directory(folder)
        assert not any("hunter2" in str(warning.message) for warning in caught)
        assert loaded.docker.base_image_registry.password is None
        assert loaded.docker.base_image_registry.username == "me"


class TestOverwriting:
    def test_an_existing_folder_is_a_file_exists_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileExistsError, match="overwrite=True"):
            full().save_to_directory(tmp_path)
        (tmp_path / "file").write_text("x")
        with pytest.raises(FileExistsError):
            full().save_to_directory(tmp_path / "file", overwrite=True)
        assert (tmp_path / "file").read_text() == "x"

    def test_replaces_its_own_files_and_keeps_others(self, tmp_path: Path) -> None:
        folder = tmp_path / "env"
        environment = Environment("example")
        environment.docker.base_dockerfile = "FROM scratch\n"
        environment.save_to_directory(folder)
        (folder / "notes.md").write_text("mine")
        environment.docker.base_image = "base:1"
        environment.save_to_directory(str(folder), overwrite=True)
        assert sorted(texts(folder)) == [JSON, "conda_dependencies.yml", "notes.md"]
        loaded = Environment.load_from_directory(folder)
        assert (loaded.docker.base_image, loaded.docker.base_dockerfile) == ("base:1", None)

    def test_a_failure_changes_nothing(self, tmp_path: Path) -> None:
        folder = tmp_path / "env"
        full().save_to_directory(folder)
        before = (folder / JSON).read_text()
        (folder / "conda_dependencies.yml").unlink()
        (folder / "conda_dependencies.yml").mkdir()  # what no file can take the place of
        other = full()
        other.name = "other"
        with pytest.raises(MachineError, match="cannot write"):
            other.save_to_directory(folder, overwrite=True)
        assert (folder / JSON).read_text() == before
        assert sorted(path.name for path in folder.iterdir()) == [JSON, "conda_dependencies.yml"]

    def test_a_failure_leaves_no_half_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(MachineError):
            full().save_to_directory(tmp_path / "file" / "env")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_many_at_once(self, tmp_path: Path) -> None:
        environments = [full().clone(f"example-{number}") for number in range(8)]

        def save(environment: Environment) -> bool:
            try:
                environment.save_to_directory(tmp_path / "env")
            except FileExistsError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(save, environments)) == 1
            list(pool.map(lambda each: each.save_to_directory(tmp_path / "env", overwrite=True), environments))
        assert Environment.load_from_directory(tmp_path / "env").to_spec() == full().to_spec()
        assert [path.name for path in tmp_path.iterdir()] == ["env"]

    def test_files_have_the_usual_mode(self, tmp_path: Path) -> None:
        full().save_to_directory(tmp_path / "env")
        usual = tmp_path / "usual"
        usual.mkdir()
        (usual / "file").touch()
        assert (tmp_path / "env").stat().st_mode == usual.stat().st_mode
        assert (tmp_path / "env" / JSON).stat().st_mode == (usual / "file").stat().st_mode


def test_loading_and_saving_say_nothing_needless(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        full().save_to_directory(tmp_path / "env")
        Environment.load_from_directory(tmp_path / "env")
    assert capfd.readouterr() == ("", "")
