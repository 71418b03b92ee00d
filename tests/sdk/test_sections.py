"""The sections of an Environment: defaults, what resets what, and what is refused where it is written."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hermetic import CondaDependencies, ContainerRegistry, DockerSection, Environment, HermeticWarning, PythonSection
from hermetic.errors import HermeticError, SpecError, UsageError


@pytest.fixture
def environment() -> Environment:
    return Environment("example")


def test_defaults() -> None:
    python, docker = PythonSection(), DockerSection()
    assert (python.user_managed_dependencies, python.interpreter_path) == (False, "python")
    assert python.conda_dependencies_file is None
    assert (docker.enabled, docker.shared_volumes, docker.shm_size, docker.arguments) == (False, True, "2g", [])
    assert (docker.base_image, docker.base_dockerfile, docker.build_context) == (None, None, None)
    assert (docker.platform.os, docker.platform.architecture) == ("Linux", "amd64")
    registry = docker.base_image_registry
    assert (registry.address, registry.username, registry.password, registry.registry_identity) == (None,) * 4


def test_two_environments_share_nothing() -> None:
    one, other = Environment("one"), Environment("other")
    one.docker.arguments.append("--network=none")
    one.python.conda_dependencies.add_conda_package("numpy")
    one.environment_variables["A"] = "1"
    assert other.docker.arguments == []
    assert list(other.python.conda_dependencies.conda_packages) == ["python"]
    assert other.environment_variables == {}


class TestBase:
    def test_image_and_dockerfile_reset_each_other(self, environment: Environment) -> None:
        docker = environment.docker
        docker.base_dockerfile = "FROM scratch\n"
        docker.base_image = "example.org/base:1"
        assert docker.base_dockerfile is None
        docker.base_dockerfile = "FROM scratch\n"
        assert docker.base_image is None

    def test_a_build_context_resets_and_is_reset_too(self, environment: Environment) -> None:
        docker = environment.docker
        for name, value in (("base_image", "base"), ("base_dockerfile", "FROM scratch\n")):
            setattr(docker, name, value)
            docker.build_context = {"location": "https://example.org/repo.git"}
            assert (docker.base_image, docker.base_dockerfile) == (None, None)
            setattr(docker, name, value)
            assert docker.build_context is None
        docker.build_context = None
        assert docker.base_dockerfile == "FROM scratch\n"

    def test_a_build_context_is_kept_but_not_built(self, environment: Environment, tmp_path: Path) -> None:
        context = {"locationType": "git", "location": "https://example.org/repo.git", "dockerfilePath": "Dockerfile"}
        environment.docker.build_context = context
        with pytest.raises(UsageError, match="not used here") as caught:
            environment.to_spec()
        assert "base-context" in caught.value.remedy
        environment.save_to_directory(tmp_path / "saved")
        assert [path.name for path in (tmp_path / "saved").iterdir()] == ["azureml_environment.json"]
        with pytest.warns(HermeticWarning, match="buildContext"):
            assert Environment.load_from_directory(tmp_path / "saved").docker.build_context == context

    def test_nothing_resets_nothing(self, environment: Environment) -> None:
        environment.docker.base_dockerfile = "FROM scratch\n"
        environment.docker.base_image = None
        assert environment.docker.base_dockerfile == "FROM scratch\n"
        environment.docker.base_image = "base"
        environment.docker.base_dockerfile = None
        assert environment.docker.base_image == "base"

    def test_a_dockerfile_is_a_path_a_text_or_a_file(
        self, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = "# syntax\nFROM example.org/base\nRUN true\n"
        (tmp_path / "Dockerfile").write_text(text)
        monkeypatch.chdir(tmp_path)
        given = [
            text,
            "./Dockerfile",
            "Dockerfile",
            tmp_path / "Dockerfile",
            io.StringIO(text),
            io.BytesIO(text.encode()),
        ]
        for value in given:
            environment.docker.base_dockerfile = None
            environment.docker.base_dockerfile = value  # type: ignore[assignment]
            assert environment.docker.base_dockerfile == text
        environment.docker.base_dockerfile = "FROM example.org/base"
        assert environment.docker.base_dockerfile == "FROM example.org/base"

    def test_a_path_to_nothing_is_no_dockerfile(self, environment: Environment) -> None:
        environment.docker.base_image = "base"
        with pytest.raises(FileNotFoundError, match=r"no file '\./missing'"):
            environment.docker.base_dockerfile = "./missing"
        assert environment.docker.base_image == "base"

    def test_what_is_no_dockerfile_at_all(self, environment: Environment, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_bytes(b"FROM x\n\xff\xfe\x00")
        with pytest.raises(SpecError, match="not UTF-8"):
            environment.docker.base_dockerfile = tmp_path / "Dockerfile"  # type: ignore[assignment]
        with pytest.raises(TypeError, match="base_dockerfile is a text or None, not int"):
            environment.docker.base_dockerfile = 5  # type: ignore[assignment]

    def test_a_comma_at_the_end_of_the_line_is_explained(self, environment: Environment) -> None:
        with pytest.raises(TypeError, match="a tuple: a comma stands behind the value") as caught:
            environment.docker.base_image = ("/my/private/img:tag",)  # type: ignore[assignment]
        assert isinstance(caught.value, HermeticError)
        assert "remove the comma at the end of base_image" in str(caught.value)

    @pytest.mark.parametrize("image", ["", "  ", "two words"])
    def test_what_is_no_image_is_refused(self, environment: Environment, image: str) -> None:
        with pytest.raises(ValueError, match="no image"):
            environment.docker.base_image = image


class TestRegistry:
    def test_is_an_address_or_an_object(self, environment: Environment) -> None:
        environment.docker.base_image_registry = "example.org"  # type: ignore[assignment]
        assert environment.docker.base_image_registry.address == "example.org"
        registry = ContainerRegistry()
        registry.address, registry.username, registry.password = "example.org:5000", "me", None
        environment.docker.base_image_registry = registry
        assert environment.docker.base_image_registry is registry
        with pytest.raises(TypeError, match="a ContainerRegistry, not int"):
            environment.docker.base_image_registry = 5  # type: ignore[assignment]

    def test_shows_no_password(self) -> None:
        registry = ContainerRegistry()
        registry.password = "hunter2"
        assert "hunter2" not in repr(registry)
        registry.password = "${CONTAINER_PASSWORD}"
        assert "${CONTAINER_PASSWORD}" in repr(registry)


class TestPython:
    def test_a_file_of_dependencies_is_read_at_once(self, environment: Environment, tmp_path: Path) -> None:
        path = tmp_path / "environment.yml"
        path.write_text("dependencies: [python=3.11, numpy]\n")
        environment.python.conda_dependencies_file = path  # type: ignore[assignment]
        assert environment.python.conda_dependencies_file == str(path)
        assert list(environment.python.conda_dependencies.conda_packages) == ["python=3.11", "numpy"]
        environment.python.conda_dependencies = CondaDependencies()
        assert environment.python.conda_dependencies_file is None

    def test_types_are_checked(self, environment: Environment) -> None:
        with pytest.raises(TypeError, match="a CondaDependencies, not str"):
            environment.python.conda_dependencies = "environment.yml"  # type: ignore[assignment]
        with pytest.raises(TypeError, match="True or False, not str"):
            environment.python.user_managed_dependencies = "yes"  # type: ignore[assignment]
        with pytest.raises(TypeError, match="a PythonSection"):
            environment.python = "python"  # type: ignore[assignment]


class TestContainers:
    def test_arguments_are_texts_in_a_list(self, environment: Environment) -> None:
        docker = environment.docker
        given = ["--network", "host"]
        docker.arguments = given
        docker.arguments.append("--ipc=host")
        assert docker.arguments == ["--network", "host", "--ipc=host"]
        assert given == ["--network", "host"]
        for wrong in ("--network host", ("--network",), ["--cpus", 2]):
            with pytest.raises(TypeError):
                docker.arguments = wrong  # type: ignore[assignment]
        assert docker.arguments == ["--network", "host", "--ipc=host"]

    def test_the_rest_is_checked_and_may_be_reset(self, environment: Environment) -> None:
        docker = environment.docker
        docker.enabled, docker.shared_volumes, docker.shm_size = True, False, "8g"
        docker.shm_size = None
        assert (docker.enabled, docker.shared_volumes, docker.shm_size) == (True, False, None)
        docker.platform.architecture = "arm64"
        assert docker.platform.architecture == "arm64"
        for name, wrong in (("enabled", "yes"), ("shm_size", 2), ("platform", "linux-64")):
            with pytest.raises(TypeError):
                setattr(docker, name, wrong)

    def test_a_gpu_is_asked_for_elsewhere(self, environment: Environment) -> None:
        with pytest.raises(AttributeError) as caught:
            environment.docker.gpu_support = True
        way = str(caught.value).split(": ")[-1]
        assert way == "environment.accelerator = 'cuda-12.4'"
        exec(way)
        assert environment.accelerator == "cuda-12.4"


class TestUnknownAttributes:
    @pytest.mark.parametrize(
        ("section", "name", "hint"),
        [
            ("docker", "base_imge", "did you mean 'base_image'"),
            ("docker", "zzz", "it has: arguments, base_dockerfile"),
            ("python", "conda_dependency", "did you mean 'conda_dependencies'"),
        ],
    )
    def test_are_refused_with_the_nearest(self, environment: Environment, section: str, name: str, hint: str) -> None:
        part = getattr(environment, section)
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'") as caught:
            setattr(part, name, "x")
        assert hint in str(caught.value)
        with pytest.raises(AttributeError):
            getattr(part, name)
        assert not hasattr(part, name)

    @pytest.mark.parametrize(
        ("name", "reason"), [("asset_id", "changes nothing here"), ("spark", "changes nothing here")]
    )
    def test_what_the_v1_sdk_has_is_told_apart(self, environment: Environment, name: str, reason: str) -> None:
        with pytest.raises(AttributeError, match=reason):
            getattr(environment, name)
        with pytest.raises(AttributeError, match=reason):
            setattr(environment, name, None)

    def test_a_method_is_not_overwritten(self, environment: Environment) -> None:
        with pytest.raises(AttributeError, match="clone cannot be set"):
            environment.clone = None  # type: ignore[method-assign,assignment]

    def test_are_refused_on_the_class_too(self) -> None:
        with pytest.raises(AttributeError, match="changes nothing here"):
            Environment.spark  # noqa: B018
        with pytest.raises(AttributeError, match="did you mean 'from_conda_specification'"):
            Environment.from_conda_specificaton("example", "environment.yml")
        assert not hasattr(Environment, "databricks")


class TestVariables:
    def test_are_a_dictionary_of_texts(self, environment: Environment) -> None:
        environment.environment_variables = {"A": "1"}
        environment.environment_variables["B"] = "2"
        environment.environment_variables.update(C="3")
        environment.environment_variables |= {"D": "4"}
        environment.environment_variables.setdefault("E", "5")
        assert environment.environment_variables == {"A": "1", "B": "2", "C": "3", "D": "4", "E": "5"}

    @pytest.mark.parametrize(("name", "value"), [("A", 1), ("A", None), ("A", True)])
    def test_a_value_that_is_no_text_is_a_type_error(self, environment: Environment, name: str, value: object) -> None:
        with pytest.raises(TypeError, match="is a text"):
            environment.environment_variables[name] = value  # type: ignore[assignment]
        with pytest.raises(TypeError):
            environment.environment_variables = {"X": "1", name: value}  # type: ignore[dict-item]
        with pytest.raises(TypeError):
            environment.environment_variables.update({"X": "1", name: value})
        assert environment.environment_variables == {}

    @pytest.mark.parametrize(("name", "value"), [("A B", "1"), ("1A", "1"), ("", "1"), ("A=B", "1"), ("A", "1\n2")])
    def test_what_no_process_can_be_given_is_refused(self, environment: Environment, name: str, value: str) -> None:
        with pytest.raises(ValueError, match="environment variable"):
            environment.environment_variables[name] = value
