"""Environments made from what is there, and what they declare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hermetic import CondaDependencies, Environment, declare
from hermetic.errors import SpecError, UsageError
from hermetic.platforms import Accelerator
from hermetic.spec import load_spec


class TestNames:
    @pytest.mark.parametrize("name", ["a", "my-env", "train_2.1", "3d", "AzureML-Minimal", "x" * 255])
    def test_are_words(self, name: str) -> None:
        assert Environment(name).name == name
        assert Environment(name=name).name == name

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("", "the name is empty"),
            ("a b/", "it holds ' ', '/'"),
            ("..", "it begins with '.'"),
            ("-rf", "it begins with '-'"),
            ("é", "it holds 'é'"),
            ("x" * 256, "longer than 255"),
        ],
    )
    def test_others_are_refused_with_the_reason(self, name: str, reason: str) -> None:
        with pytest.raises(ValueError, match="no name of an environment") as caught:
            Environment(name)
        assert reason in str(caught.value)
        with pytest.raises(ValueError, match="no name of an environment"):
            Environment("good").name = name

    def test_a_name_is_a_text_or_none(self) -> None:
        assert Environment(None).name is None
        with pytest.raises(TypeError, match="a text or None, not int"):
            Environment(5)  # type: ignore[arg-type]


class TestFromFiles:
    def test_from_a_conda_specification(self, tmp_path: Path) -> None:
        path = tmp_path / "env.yml"
        path.write_text("channels: [mine]\ndependencies: [python>=3.9, numpy]\nvariables: {A: file, B: file}\n")
        environment = Environment.from_conda_specification("example", path)
        assert environment.name == "example"
        assert environment.to_spec() == load_spec([path])
        environment.environment_variables["A"] = "code"
        assert dict(environment.to_spec().variables) == {"A": "code", "B": "file"}

    def test_from_pip_requirements(self, tmp_path: Path) -> None:
        path = tmp_path / "requirements.txt"
        path.write_text("# ours\nZ==1\n-r more/base.txt\n--index-url https://example.org/simple\n")
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "base.txt").write_text(
            "requests>=2  # http\n-c limits.txt\n./local-1.0-py3-none-any.whl\n"
        )
        (tmp_path / "more" / "limits.txt").write_text("urllib3<3\n")
        environment = Environment.from_pip_requirements("example", str(path))
        found = load_spec([path])
        spec = environment.to_spec()
        assert (spec.pip, spec.constraints, spec.options) == (found.pip, found.constraints, found.options)
        assert list(environment.python.conda_dependencies.pip_packages) == [
            "z==1",
            "requests>=2",
            "./more/local-1.0-py3-none-any.whl",
        ]

    def test_pip_itself_on_demand(self, tmp_path: Path) -> None:
        path = tmp_path / "requirements.txt"
        path.write_text("a\n")
        environment = Environment.from_pip_requirements("example", path, pip_version="24.0")
        assert list(environment.python.conda_dependencies.conda_packages) == ["python", "pip=24.0"]

    @pytest.mark.parametrize("make", [Environment.from_conda_specification, Environment.from_pip_requirements])
    def test_a_missing_file_is_a_file_not_found_error(self, make: object, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="nothing"):
            make("example", tmp_path / "nothing")  # type: ignore[operator]
        with pytest.raises(TypeError, match="a text, not None"):
            make("example", None)  # type: ignore[operator]


def write_prefix(prefix: Path) -> None:
    """A conda environment as conda leaves it: two records, and a wheel that pip added."""
    meta = prefix / "conda-meta"
    meta.mkdir(parents=True)
    for name, version in (("python", "3.11.4"), ("numpy", "1.26.4")):
        record = {
            "name": name,
            "version": version,
            "build": "h0_0",
            "channel": "mine",
            "subdir": "linux-64",
            "files": [],
        }
        (meta / f"{name}-{version}-h0_0.json").write_text(json.dumps(record))
    info = prefix / "lib" / "python3.11" / "site-packages" / "requests-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: requests\nVersion: 2.0\n")


class TestFromExisting:
    def test_by_folder(self, tmp_path: Path) -> None:
        write_prefix(tmp_path / "envs" / "old")
        environment = Environment.from_existing_conda_environment("example", tmp_path / "envs" / "old")
        dependencies = environment.python.conda_dependencies
        assert sorted(dependencies.conda_packages) == ["numpy==1.26.4", "python==3.11.4"]
        assert list(dependencies.pip_packages) == ["requests==2.0"]
        assert list(dependencies.conda_channels) == ["mine"]

    def test_by_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_prefix(tmp_path / "envs" / "old")
        monkeypatch.setenv("CONDA_ENVS_PATH", str(tmp_path / "envs"))
        environment = Environment.from_existing_conda_environment("example", conda_environment_name="old")
        assert environment.python.conda_dependencies.get_python_version() == "3.11.4"

    def test_a_missing_one_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(FileNotFoundError, match="no conda environment is called 'never-made'"):
            Environment.from_existing_conda_environment("example", "never-made")
        with pytest.raises(FileNotFoundError):
            Environment.from_existing_conda_environment("example", tmp_path / "never-made")


class TestFromImages:
    def test_an_image_alone_brings_its_own_python(self) -> None:
        environment = Environment.from_docker_image("example", "example.org/base:1", container_registry="example.org")
        assert environment.docker.base_image == "example.org/base:1"
        assert environment.docker.base_image_registry.address == "example.org"
        assert environment.python.user_managed_dependencies
        assert environment.to_spec().conda == ()
        assert environment.to_spec().base == "example.org/base:1"  # the registry's address is there already

    def test_with_requirements_the_packages_are_ours(self, tmp_path: Path) -> None:
        (tmp_path / "r.txt").write_text("requests\n")
        environment = Environment.from_docker_image("example", "base:1", pip_requirements=tmp_path / "r.txt")
        assert not environment.python.user_managed_dependencies
        assert environment.to_spec().base == "base:1"
        assert [requirement.name for requirement in environment.to_spec().pip] == ["requests"]

    def test_a_dockerfile_is_a_definition_without_a_build(self, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text("FROM scratch\n")
        (tmp_path / "env.yml").write_text("dependencies: [python]\n")
        environment = Environment.from_dockerfile(
            "example", tmp_path / "Dockerfile", conda_specification=tmp_path / "env.yml"
        )
        assert environment.docker.base_dockerfile == "FROM scratch\n"
        assert environment.to_spec().base == ""

    def test_a_dockerfile_gets_into_the_spec_and_takes_the_place_of_an_image(self) -> None:
        environment = Environment("x")
        environment.docker.base_image = "base:1"
        environment.docker.base_dockerfile = "FROM debian:12-slim\nRUN true\n"
        spec = environment.to_spec()
        assert (spec.base, spec.base_dockerfile) == ("", "FROM debian:12-slim\nRUN true\n")
        environment.docker.base_dockerfile = "FROM debian:12-slim\nRUN false\n"
        assert environment.to_spec().digest() != spec.digest()

    def test_two_specifications_are_one_too_many(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="both given"):
            Environment.from_docker_image("e", "base", conda_specification="a.yml", pip_requirements="r.txt")
        with pytest.raises(UsageError, match="dockerfile is empty"):
            Environment.from_dockerfile("e", "")


def test_a_clone_is_independent() -> None:
    one = Environment("one")
    one.version = "3"
    one.python.conda_dependencies.add_conda_package("numpy")
    one.docker.base_image_registry.password = "hunter2"
    other = one.clone("other")
    other.python.conda_dependencies.add_conda_package("scipy")
    other.environment_variables["A"] = "1"
    other.docker.base_image = "base"
    assert (other.name, other.version) == ("other", None)
    assert other.docker.base_image_registry.password == "hunter2"
    assert list(one.python.conda_dependencies.conda_packages) == ["python", "numpy"]
    assert (one.docker.base_image, one.environment_variables) == (None, {})
    with pytest.raises(ValueError, match="no name"):
        one.clone("a b")


class TestTarget:
    def test_what_it_is_locked_for(self) -> None:
        environment = Environment("example")
        environment.accelerator = "CUDA 12.4"
        environment.system = {"glibc": "2.35"}
        environment.source_builds = ["Flask_Login"]
        spec = environment.to_spec()
        assert environment.accelerator == "cuda-12.4"
        assert spec.accelerator == Accelerator("cuda", "12.4")
        assert spec.system == (("__glibc", "2.35"),)
        assert spec.source_builds == ("flask-login",)

    def test_is_checked(self) -> None:
        environment = Environment("example")
        with pytest.raises(UsageError, match="no accelerator"):
            environment.accelerator = "tpu"
        with pytest.raises(UsageError, match="'glibc' is a text, not float") as caught:
            environment.system = {"glibc": 2.40}  # type: ignore[dict-item]
        assert "put it in quotation marks" in (caught.value.remedy or "")
        with pytest.raises(UsageError, match="'glibc' is a text"):
            declare([], system={"glibc": 2.40})  # type: ignore[dict-item]
        with pytest.raises(UsageError, match="unknown system property"):
            environment.system = {"libc": "2"}
        with pytest.raises(TypeError):
            environment.source_builds = "all"  # type: ignore[assignment]


def test_the_spec_does_not_depend_on_names_and_order() -> None:
    one, other = Environment("one"), Environment("other")
    one.version = "7"
    for environment, order in ((one, ("numpy", "scipy")), (other, ("scipy", "numpy"))):
        for name in order:
            environment.python.conda_dependencies.add_conda_package(name)
    assert one.to_spec().digest() == other.to_spec().digest()
    other.environment_variables["A"] = "1"
    assert one.to_spec().digest() != other.to_spec().digest()


def test_a_broken_specification_leaves_no_half_environment(tmp_path: Path) -> None:
    environment = Environment("example")
    environment.python.conda_dependencies.add_conda_package("numpy")
    (tmp_path / "bad.yml").write_text("dependencies:\n- numpy>=>1\n")
    with pytest.raises(SpecError):
        environment.python.conda_dependencies = CondaDependencies(tmp_path / "bad.yml")
    assert list(environment.python.conda_dependencies.conda_packages) == ["python", "numpy"]
