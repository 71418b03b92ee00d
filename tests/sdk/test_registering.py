"""An Environment as a workspace keeps it: nothing is lost, only meaning counts, what others cannot use is refused."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hermetic import ContainerRegistry, DockerSection, Environment
from hermetic.errors import UsageError
from hermetic.sdk.registering import definition_of, environment_of
from hermetic.spec.azureml import CONDA_NAME, DOCKERFILE_NAME, JSON_NAME
from hermetic.workspace.model import Definition, EnvironmentVersion


def kept(definition: Definition, version: int = 1) -> Environment:
    return environment_of(EnvironmentVersion(definition.name, version, definition, "", ""))


def again(environment: Environment) -> Environment:
    return kept(definition_of(environment))


def digest(environment: Environment) -> str:
    return definition_of(environment).digest


def conda(text: str, tmp_path: Path) -> Environment:
    (tmp_path / "environment.yml").write_text(text)
    return Environment.from_conda_specification("example", tmp_path / "environment.yml")


words = st.from_regex(r"[A-Za-z0-9 ._=:/-]{0,12}", fullmatch=True)


@st.composite
def environments(draw: st.DrawFn) -> Environment:
    """Any environment that can be registered."""
    made = Environment(draw(st.from_regex(r"[a-z][a-z0-9._-]{0,8}", fullmatch=True)))
    dependencies = made.python.conda_dependencies
    for name in draw(st.lists(st.sampled_from(["numpy", "pandas>=2", "mine::scipy=1.11", "openssl"]), unique=True)):
        dependencies.add_conda_package(name)
    for name in draw(
        st.lists(
            st.sampled_from(
                [
                    "requests>=2",
                    "tabulate; python_version < '3.12'",
                    "own @ https://example.org/own-1.0-py3-none-any.whl",
                    "hermetic://team/wheels/" + "ab" * 32 + "/mine-1.0-py3-none-any.whl",
                ]
            ),
            unique=True,
        )
    ):
        dependencies.add_pip_package(name)
    if draw(st.booleans()):
        dependencies.set_pip_option("--extra-index-url https://example.org/simple")
    made.environment_variables = draw(
        st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,6}", fullmatch=True).filter(_plain), words, max_size=3)
    )
    made.python.user_managed_dependencies = draw(st.booleans())
    made.python.interpreter_path = draw(st.sampled_from(["python", "/opt/python"]))
    docker = made.docker
    docker.arguments = draw(st.lists(words, max_size=2))
    docker.shm_size = draw(st.sampled_from(["2g", "8g", None]))
    docker.enabled, docker.shared_volumes = draw(st.booleans()), draw(st.booleans())
    chosen = draw(st.sampled_from(["none", "image", "dockerfile"]))
    if chosen == "image":
        docker.base_image = "example.org/team/base:1"
        docker.base_image_registry.username = draw(st.sampled_from([None, "me"]))
        docker.base_image_registry.password = draw(st.sampled_from([None, "${PASSWORD}", "${secret:registry}"]))
    elif chosen == "dockerfile":
        docker.base_dockerfile = draw(st.sampled_from(["FROM example.org/base\n", "FROM example.org/base\r\nRUN true"]))
    made.inferencing_stack_version = draw(st.sampled_from([None, "latest"]))
    made.accelerator = draw(st.sampled_from(["cpu", "cuda-12.4"]))
    made.system = draw(st.sampled_from([{}, {"glibc": "2.35"}]))
    made.source_builds = draw(st.sampled_from([[], ["own"], [":all:"]]))
    return made


def _plain(name: str) -> bool:
    return not name.endswith(("PASSWORD", "TOKEN", "SECRET", "KEY"))


class TestTheWayAndBack:
    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(environments())
    def test_loses_nothing(self, environment: Environment) -> None:
        definition = definition_of(environment)
        found = kept(definition, 7)
        assert (found.name, found.version) == (environment.name, "7")
        assert found.to_spec() == environment.to_spec()
        again = definition_of(found)
        assert again == definition
        assert again.files == definition.files
        assert list(found.python.conda_dependencies.pip_packages) == list(
            environment.python.conda_dependencies.pip_packages
        )
        assert vars(found.docker.base_image_registry) == vars(environment.docker.base_image_registry)
        assert found.docker.base_dockerfile == environment.docker.base_dockerfile
        assert pickle.loads(pickle.dumps(found)).to_spec() == copy.deepcopy(found).to_spec() == found.to_spec()

    def test_keeps_fields_of_newer_sdks(self, tmp_path: Path) -> None:
        folder = tmp_path / "newer"
        Environment("example").save_to_directory(folder)
        values = json.loads((folder / JSON_NAME).read_text())
        values |= {"later": {"level": 1.5, "more": [None, True]}, "assetId": "azureml://somewhere"}
        (folder / JSON_NAME).write_text(json.dumps(values))
        loaded = Environment.load_from_directory(folder)
        again(loaded).save_to_directory(tmp_path / "copy")
        copied = json.loads((tmp_path / "copy" / JSON_NAME).read_text())
        assert copied["later"] == values["later"]
        assert digest(loaded) != digest(Environment("example"))

    def test_files_are_those_of_a_directory(self, tmp_path: Path) -> None:
        made = Environment.from_dockerfile("example", "FROM example.org/base\n", pip_requirements=_file(tmp_path))
        definition = definition_of(made)
        assert sorted(definition.files) == [DOCKERFILE_NAME, JSON_NAME, CONDA_NAME]
        assert definition.packages == ("python", "tabulate")
        assert definition.spec == made.to_spec().digest()
        assert definition.origin == "requirements.txt"
        assert json.loads(definition.files[JSON_NAME])["version"] is None

    def test_nothing_of_this_machine_is_in_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made = conda("dependencies: [python, pip: [requests]]\n", tmp_path)
        first = definition_of(made)
        other = tmp_path / "elsewhere"
        other.mkdir()
        monkeypatch.chdir(other)
        assert definition_of(made).files == first.files
        assert str(tmp_path) not in str(first.files)


def _file(folder: Path) -> Path:
    (folder / "requirements.txt").write_text("tabulate  # tables\n")
    return folder / "requirements.txt"


CHANGES: list[Callable[[Environment], object]] = [
    lambda e: e.python.conda_dependencies.add_conda_package("numpy"),
    lambda e: e.python.conda_dependencies.add_pip_package("tabulate"),
    lambda e: e.python.conda_dependencies.add_channel("mine"),
    lambda e: e.python.conda_dependencies.set_pip_option("--pre"),
    lambda e: e.environment_variables.update(A="b"),
    lambda e: setattr(e, "accelerator", "cuda-12.4"),
    lambda e: setattr(e, "system", {"glibc": "2.35"}),
    lambda e: setattr(e, "source_builds", [":all:"]),
    lambda e: setattr(e, "inferencing_stack_version", "latest"),
    lambda e: setattr(e.docker, "base_image", "example.org/base:1"),
    lambda e: setattr(e.docker, "base_dockerfile", "FROM example.org/base:1\n"),
    lambda e: setattr(e.docker, "shm_size", "8g"),
    lambda e: setattr(e.docker, "arguments", ["--ipc=host"]),
    lambda e: setattr(e.docker.base_image_registry, "username", "me"),
    lambda e: setattr(e.docker.base_image_registry, "password", "${PASSWORD}"),
    lambda e: setattr(e.docker.platform, "architecture", "arm64"),
    lambda e: setattr(e.python, "user_managed_dependencies", True),
]


class TestMeaning:
    @pytest.mark.parametrize("change", CHANGES)
    def test_every_change_counts(self, change: Callable[[Environment], object]) -> None:
        made = Environment("example")
        before = digest(made)
        change(made)
        assert digest(made) != before
        assert digest(again(made)) == digest(made)

    def test_names_versions_and_words_do_not(self, tmp_path: Path) -> None:
        first = conda(
            "# ours\nname: one\nchannels: [a, b]\ndependencies:\n  - python =3.11\n  - numpy\n  - pip: [Z-x, y]\n",
            tmp_path,
        )
        second = conda(
            "name: two\nchannels:\n- a\n- b\ndependencies: ['numpy', 'python=3.11', {pip: [y, 'z_X']}]\n", tmp_path
        )
        second.name, second.version = "other", "9"
        assert digest(first) == digest(second)

    def test_the_order_of_channels_does(self, tmp_path: Path) -> None:
        first = conda("channels: [a, b]\ndependencies: [python]\n", tmp_path)
        assert digest(first) != digest(conda("channels: [b, a]\ndependencies: [python]\n", tmp_path))

    def test_an_interpreter_counts_where_it_is_used(self) -> None:
        made = Environment("example")
        before = digest(made)
        made.python.interpreter_path = "/opt/python"
        assert digest(made) == before
        made.python.user_managed_dependencies = True
        managed = digest(made)
        made.python.interpreter_path = "python"
        assert digest(made) != managed

    def test_an_old_file_means_what_a_new_one_does(self, tmp_path: Path) -> None:
        folder = tmp_path / "old"
        Environment("example").save_to_directory(folder)
        values = json.loads((folder / JSON_NAME).read_text())
        for name in ("assetId", "inferencingStackVersion", "r", "databricks", "spark"):
            del values[name]
        del values["docker"]["buildContext"]
        (folder / JSON_NAME).write_text(json.dumps(values))
        assert digest(Environment.load_from_directory(folder)) == digest(Environment("example"))

    def test_what_it_is_does_not_depend_on_this_version_of_hermetic(self) -> None:
        made = Environment("example")
        made.python.conda_dependencies.add_pip_package("tabulate>=0.9")
        made.docker.arguments = ["--ipc=host"]
        assert digest(made) == "86c0a5105b4f80b3fff52b67aea477f43599f92af95703ca4deb70d363f8439e"


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "what", "way"),
        [
            (lambda d: d.add_pip_package("./dist/mine-1.0-py3-none-any.whl"), "./dist/mine", "add_private_pip_wheel"),
            (
                lambda d: d.add_pip_package("file:///tmp/mine-1.0-py3-none-any.whl"),
                "/tmp/mine",
                "add_private_pip_wheel",
            ),
            (lambda d: d.add_pip_package("./source"), "./source", "build a wheel of it"),
            (lambda d: d.add_pip_package("-e ."), "editable", "pip wheel --no-deps"),
            (lambda d: d.set_pip_option("--find-links ./wheels"), "--find-links", "add_private_pip_wheel"),
            (lambda d: d.set_pip_option("--find-links /srv/wheels"), "--find-links", "https://"),
            (lambda d: d.add_channel("./channel"), "the channel './channel'", "hermetic.toml"),
            (lambda d: d.add_conda_package("./channel::numpy"), "the channel './channel'", "hermetic.toml"),
        ],
    )
    def test_what_only_this_machine_has(self, change: Callable[[object], None], what: str, way: str) -> None:
        made = Environment("example")
        change(made.python.conda_dependencies)
        with pytest.raises(UsageError, match="known on this machine only") as caught:
            definition_of(made)
        assert what in caught.value.message
        assert way in str(caught.value.remedy)

    def test_no_name(self) -> None:
        with pytest.raises(UsageError, match="has no name"):
            definition_of(Environment(None))


class TestPasswords:
    def environment(self, password: str) -> Environment:
        registry = ContainerRegistry()
        registry.address, registry.username, registry.password = "example.org", "me", password
        return Environment.from_docker_image("example", "team/base:1", registry)

    def test_a_typed_one_is_refused_and_not_told(self) -> None:
        with pytest.raises(UsageError, match="typed in") as caught:
            definition_of(self.environment("hunter2-and-more"))
        assert "set_secret" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    def test_one_from_a_variable_becomes_its_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AAA_LEVEL", "hunter2-and-more")
        monkeypatch.setenv("CONTAINER_PASSWORD", "hunter2-and-more")
        made = self.environment("hunter2-and-more")
        assert again(made).docker.base_image_registry.password == "${CONTAINER_PASSWORD}"
        assert "hunter2" not in str(definition_of(made))

    def test_a_short_one_may_equal_a_variable_by_accident(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LEVEL", "1")
        with pytest.raises(UsageError, match="typed in"):
            definition_of(self.environment("1"))

    @pytest.mark.parametrize("reference", ["${CONTAINER_PASSWORD}", "${secret:registry}"])
    def test_a_reference_stays(self, reference: str) -> None:
        assert again(self.environment(reference)).docker.base_image_registry.password == reference


def test_threads_that_look_first_see_one_thing() -> None:
    """What is made when it is first looked at is made once, or what one thread has changed would be lost."""
    for _ in range(50):
        made = again(Environment("example"))
        section = DockerSection()
        begin = threading.Barrier(4)
        seen: list[object] = []

        def look(
            made: Environment = made, section: DockerSection = section, begin: threading.Barrier = begin,
            seen: list[object] = seen,
        ) -> None:  # fmt: skip
            begin.wait()
            seen.extend((made.python.conda_dependencies, section.platform))

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(item) for item in seen}) == 2
