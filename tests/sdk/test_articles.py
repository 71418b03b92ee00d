"""The Environment articles of the Azure ML v1 SDK: what their readers do, on real parts, with the import line changed.

Each test is a code block or a few of one of the two articles, in words of our own: names and files are others, the
calls are the same. The last one runs the articles' own blocks, where they are at hand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engine import Engine
from support.images import small_base
from support.needs import suits
from support.registries import Registry, registry
from support.servers import simple_index
from support.wheels import make_wheel

import hermetic
from hermetic import CondaDependencies, ContainerRegistry, Environment, Keyvault, Workspace
from hermetic.config import Config
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.bases import default_base
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.push import push
from hermetic.outputs.oci.reference import parse_reference
from hermetic.platforms import Accelerator
from hermetic.store import Store

SHARED = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[3] / "shared"))
ARTICLES = SHARED / "articles"
PASSWORD = "open sesame"
CLOUD = {"subscription_id": "8f2c-41", "resource_group": "research", "workspace_name": "forecasts"}
"""What the portal lets people download: nothing in it tells of hermetic."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, channel: Path) -> Path:
    """What all readers share: the channel, but for machines as old as hermetic takes them to be, wheels, a store."""
    folder = tmp_path_factory.mktemp("articles")
    for package in channel.glob("*/*"):
        copy = folder / "channel" / package.relative_to(channel)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if package.name == "repodata.json":
            copy.write_text(re.sub(r"__glibc >=[\d.]+", "__glibc >=2.17", package.read_text()))
        else:
            copy.symlink_to(package)
    for name, version in (("tabulate", "0.9.0"), ("pillow", "10.0.0")):
        make_wheel(folder / "wheels", name, version)
    return folder


@pytest.fixture
def desk(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the v1 SDK's config.json, a channel and an index behind the default names, and nothing else."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CLOUD))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HERMETIC_CONFIG", "")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HERMETIC_STORE", str(shop / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={shop / 'channel'}")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with simple_index(shop / "wheels") as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{index.url}/simple/")
        yield folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A private registry: hermetic's own base is in it under its name, and two bases of ours."""
    with registry(tmp_path, user="ada", password=PASSWORD) as found:
        store = Store.open(tmp_path / "elsewhere")
        base = build_image(PlatformLock("linux-64", ()), (), small_base(store), store=store, config=Config())
        ours = parse_reference(default_base(Accelerator()))
        login = f"http://ada:{PASSWORD.replace(' ', '%20')}@{found.host}"
        for name in (f"{ours.repository}:{ours.tag}", "my/private/img:tag", "base:1"):
            push([base], f"{found.host}/{name}", store=store, config=Config(registries={found.host: login}))
        monkeypatch.setenv("HERMETIC_REGISTRIES", f"{ours.registry}={login}")
        yield found


@pytest.fixture
def docker(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    return engine


def run(python: Path, code: str, variables: dict[str, str]) -> str:
    return subprocess.run([python, "-c", code], env=variables, capture_output=True, text=True, check=True).stdout


class TestFirstArticle:
    """Creating, registering, getting and building environments."""

    def test_a_curated_one_is_got(self, desk: Path) -> None:
        ws = Workspace.from_config()
        env = Environment.get(workspace=ws, name="AzureML-Minimal")
        assert ws.name == "forecasts"
        assert (env.name, env.version) == ("AzureML-Minimal", "1")
        assert env.python.conda_dependencies.get_python_version() == "3.12"

    def test_curated_ones_are_listed_with_their_packages(self, desk: Path) -> None:
        ws = Workspace.from_config()
        found = Environment.list(workspace=ws)
        packages = {
            name: found[name].python.conda_dependencies.serialize_to_string()
            for name in found
            if name.startswith("AzureML")
        }
        assert list(packages) == ["AzureML-Minimal", "AzureML-Tutorial"]
        assert all(name in packages["AzureML-Tutorial"] for name in ("scikit-learn", "pandas", "matplotlib"))

    def test_one_is_made_by_its_name_alone(self, desk: Path) -> None:
        assert Environment(name="forecast").name == "forecast"

    def test_from_specifications(self, desk: Path) -> None:
        (desk / "conda.yml").write_text("dependencies:\n  - python=3.11\n  - numpy\n")
        (desk / "needs.txt").write_text("tabulate\n")
        env = Environment.from_conda_specification(name="forecast", file_path="conda.yml")
        assert list(env.python.conda_dependencies.conda_packages) == ["python=3.11", "numpy"]
        env = Environment.from_pip_requirements(name="forecast", file_path="needs.txt")
        assert list(env.python.conda_dependencies.pip_packages) == ["tabulate"]

    def test_from_an_existing_conda_environment(self, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hermetic.build(hermetic.declare(["python=3.11", "numpy"]), desk / "envs" / "interactive")
        monkeypatch.setenv("CONDA_ENVS_PATH", str(desk / "envs"))
        env = Environment.from_existing_conda_environment(name="forecast", conda_environment_name="interactive")
        assert env.python.conda_dependencies.get_python_version() == "3.11.7"
        registered = env.register(workspace=Workspace.from_config())
        built = registered.build_local(Workspace.from_config(), useDocker=False)
        assert run(built.python, "import numpy; print(numpy.zeros(2).sum())", {}) == "0.0\n"

    def test_packages_are_added(self, desk: Path) -> None:
        env = Environment(name="forecast")
        needs = CondaDependencies()
        needs.add_conda_package("scikit-learn==0.21.3")
        needs.add_pip_package("pillow")
        env.python.conda_dependencies = needs
        assert list(env.python.conda_dependencies.conda_packages) == ["python", "scikit-learn==0.21.3"]
        assert list(env.python.conda_dependencies.pip_packages) == ["pillow"]

    def test_a_private_wheel_is_added_registered_got_and_built(self, desk: Path, tmp_path: Path) -> None:
        ws = Workspace.from_config()
        wheel = make_wheel(tmp_path / "mine", "my-custom", "2.0")
        url = Environment.add_private_pip_wheel(workspace=ws, file_path=str(wheel))
        env = Environment(name="forecast")
        needs = CondaDependencies()
        needs.add_pip_package(url)
        env.python.conda_dependencies = needs
        env.register(workspace=ws)
        wheel.unlink()

        restored = Environment.get(workspace=ws, name="forecast", version="1")
        built = restored.build_local(ws, useDocker=False)
        assert run(built.python, "import my_custom; print(my_custom.VERSION)", {}) == "2.0\n"
        assert "?" not in url
        assert url in json.dumps(restored.python.conda_dependencies.as_dict())

    def test_a_change_is_a_new_version(self, desk: Path) -> None:
        ws = Workspace.from_config()
        env = Environment("forecast")
        assert [env.register(ws).version, env.register(ws).version] == ["1", "1"]
        env.python.conda_dependencies.add_conda_package("numpy")
        assert env.register(ws).version == "2"
        assert Environment.get(ws, "forecast").version == "2"
        assert list(Environment.get(ws, "forecast", version=1).python.conda_dependencies.conda_packages) == ["python"]

    def test_an_image_is_built_and_its_log_watched(
        self, desk: Path, hub: Registry, docker: Engine, capfd: pytest.CaptureFixture[str]
    ) -> None:
        ws = Workspace.from_config()
        env = Environment("forecast")
        env.docker.enabled = True
        build = env.build(workspace=ws)
        build.wait_for_completion(show_output=True)
        assert build.status == "succeeded"
        shown = capfd.readouterr().out
        assert shown
        assert PASSWORD not in shown + build.get_log()
        details = env.get_image_details(ws)
        assert docker.run(str(details.image), "python", "-c", "print('here')") == "here\n"
        assert (details.repository, details.registry, details.image_exist) == (details.image, None, False)
        assert env.clone("unbuilt").register(ws).get_image_details(ws).image is None

    def test_a_base_and_its_registry_are_named(self, desk: Path) -> None:
        (desk / "Dockerfile").write_text("FROM registry.example.org/team/base:1\n")
        env = Environment("forecast")
        env.docker.base_image = "team/base:1"
        env.docker.base_image_registry = "registry.example.org"
        assert env.to_spec().base == "registry.example.org/team/base:1"
        with open("Dockerfile", "r") as f:  # noqa: PTH123, UP015  as people write it
            text = f.read()
        env.docker.base_dockerfile = text
        assert env.docker.base_image is None

    def test_the_command_line_makes_and_keeps_them(self, desk: Path) -> None:
        def call(*words: str) -> str:
            made = subprocess.run(
                [sys.executable, "-m", "hermetic", "environment", *words], capture_output=True, text=True, check=False
            )
            assert made.returncode == 0, made.stderr
            return made.stdout

        call("scaffold", "-n", "forecast", "-d", "forecast-files")
        call("register", "-d", "forecast-files")
        assert "forecast" in call("list")
        call("download", "-n", "forecast", "-d", "downloaded")
        made, got = (Environment.load_from_directory(name) for name in ("forecast-files", "downloaded"))
        assert made.to_spec() == got.to_spec()
        assert (got.name, got.version) == ("forecast", "1")


class TestSecondArticle:
    """Environments on images of one's own, secrets, and everything else of the day."""

    def test_from_a_requirements_file(self, desk: Path) -> None:
        (desk / "needs.txt").write_text("tabulate==0.9.0\n")
        env = Environment.from_pip_requirements("batch", "needs.txt")
        env.register(Workspace.from_config())
        built = env.build_local(useDocker=False)
        assert run(built.python, "import tabulate; print(tabulate.VERSION)", {}) == "0.9.0\n"

    def test_from_a_conda_file(self, desk: Path) -> None:
        (desk / "env.yml").write_text("channels: [conda-forge]\ndependencies: [python=3.11, pandas]\n")
        env = Environment.from_conda_specification("batch", "env.yml")
        built = env.build_local(useDocker=False)
        assert run(built.python, "import pandas; print(pandas.Series([1, 2]).sum())", {}) == "3\n"

    def test_from_code(self, desk: Path) -> None:
        needs = CondaDependencies()
        needs.add_channel("pytorch")
        needs.add_conda_package("python=3.7")
        needs.add_conda_package("pytorch")
        needs.add_conda_package("torchvision")
        for name in ("pyyaml", "mpi4py", "deepspeed"):
            needs.add_pip_package(name)
        env = Environment("torch")
        env.python.conda_dependencies = needs
        assert env.python.conda_dependencies.as_dict() == {
            "name": "project_environment",
            "channels": ["conda-forge", "pytorch"],
            "dependencies": [
                "python=3.7", "pytorch", "torchvision", {"pip": ["pyyaml", "mpi4py", "deepspeed"]},
            ],
        }  # fmt: skip
        registered = env.register(Workspace.from_config())
        assert registered.to_spec() == env.to_spec()

    def test_on_an_image_of_a_private_registry(
        self, desk: Path, hub: Registry, docker: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONTAINER_PASSWORD", PASSWORD)
        env = Environment("served")
        env.docker.base_image = "my/private/img:tag"
        env.docker.base_image_registry.address = hub.host
        env.docker.base_image_registry.username = "ada"
        env.docker.base_image_registry.password = os.environ.get("CONTAINER_PASSWORD")
        env.python.user_managed_dependencies = True
        env.python.interpreter_path = "/opt/miniconda/envs/example/bin/python"
        registered = env.register(Workspace.from_config())
        assert registered.python.interpreter_path == "/opt/miniconda/envs/example/bin/python"
        built = env.build_local(useDocker=True)
        assert docker.run(built.reference, "sh", "-c", "echo it runs") == "it runs\n"
        assert not any(PASSWORD.encode() in path.read_bytes() for path in desk.rglob("*") if path.is_file())

    def test_on_what_a_dockerfile_makes(self, desk: Path, hub: Registry, docker: Engine) -> None:
        docker.docker("login", "-u", "ada", "-p", PASSWORD, hub.host)
        (desk / "Dockerfile").write_text(f"FROM {hub.host}/base:1\nENV MADE_BY=dockerfile-{desk.parent.name}\n")
        env = Environment("served")
        env.docker.base_dockerfile = "./Dockerfile"
        env.python.user_managed_dependencies = True
        built = env.build_local(useDocker=True)
        assert "MADE_BY=dockerfile" in docker.run(built.reference, "env")

        (desk / "needs.txt").write_text("tabulate\n")
        env = Environment.from_pip_requirements("served", "needs.txt")
        env.docker.base_dockerfile = "./Dockerfile"
        built = env.build_local(useDocker=True)
        code = "import tabulate, os; print(tabulate.VERSION, os.environ['MADE_BY'][:10])"
        assert docker.run(built.reference, "python", "-c", code) == "0.9.0 dockerfile\n"

    def test_with_credentials_of_the_key_vault(self, desk: Path, hub: Registry, docker: Engine) -> None:
        ws = Workspace.from_config()
        ws.get_default_keyvault().set_secrets({"username": "ada", "password": PASSWORD})
        env = Environment("served")
        with pytest.raises(TypeError, match="a comma stands behind the value"):
            env.docker.base_image = ("/my/private/img:tag",)  # type: ignore[assignment]  # as the article has it
        env.docker.base_image = "/my/private/img:tag"
        env.docker.base_image_registry.address = hub.host
        env.docker.base_image_registry.username = ws.get_default_keyvault().get_secret("username")
        env.docker.base_image_registry.password = ws.get_default_keyvault().get_secret("password")
        env.python.conda_dependencies = CondaDependencies.create(conda_packages=["numpy"])
        again = env.register(ws)
        built = again.build_local(ws, useDocker=True)
        assert docker.run(built.reference, "python", "-c", "import numpy; print(numpy.ones(2).sum())") == "2.0\n"
        env.save_to_directory("saved")
        assert "${secret:password}" in (desk / "saved" / "azureml_environment.json").read_text()
        assert not any(PASSWORD.encode() in path.read_bytes() for path in desk.rglob("*") if path.is_file())

    def test_a_registry_is_an_object_too(self, desk: Path) -> None:
        private = ContainerRegistry()
        private.address, private.username, private.password = "registry.example.org", "ada", "${CONTAINER_PASSWORD}"
        env = Environment.from_docker_image("served", "team/base:1", container_registry=private)
        assert env.register(Workspace.from_config()).docker.base_image_registry.password == "${CONTAINER_PASSWORD}"

    def test_registered_ones_are_in_a_dictionary(self, desk: Path) -> None:
        ws = Workspace.from_config()
        (desk / "needs.txt").write_text("tabulate\n")
        env = Environment.from_pip_requirements("batch", "needs.txt")
        env.register(ws)
        envs: dict[str, Environment] = ws.environments  # type: ignore[assignment]  # as people write it
        assert envs["batch"].version == "1"
        assert "Hermetic-Tutorial" in envs
        for number in range(2, 7):
            env.environment_variables["TRIAL"] = str(number)
            env.register(ws)
        assert Environment.get(ws, "batch", version=6).environment_variables == {"TRIAL": "6"}

    def test_saved_and_loaded(self, desk: Path) -> None:
        env = Environment("batch")
        env.save_to_directory("here", overwrite=True)
        env.save_to_directory("here", overwrite=True)
        assert sorted(path.name for path in (desk / "here").iterdir()) == [
            "azureml_environment.json",
            "conda_dependencies.yml",
        ]
        assert Environment.load_from_directory("here").to_spec() == env.to_spec()

    def test_variables_reach_the_process(self, desk: Path) -> None:
        env = Environment("batch")
        env.environment_variables["SEASON"] = "winter"
        built = env.build_local(useDocker=False)
        code = "import os; print(os.environ['SEASON'])"
        assert run(built.python, code, built.environment_variables({})) == "winter\n"

    def test_an_image_is_built_here_and_pushed(
        self, desk: Path, hub: Registry, docker: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = f"{os.environ['HERMETIC_REGISTRIES']} {hub.host}=http://ada:open%20sesame@{hub.host}"
        monkeypatch.setenv("HERMETIC_REGISTRIES", both)
        monkeypatch.setenv("HERMETIC_REGISTRY", hub.host)
        ws = Workspace.from_config()
        env = Environment(name="batch")
        registered = env.register(ws)
        built = registered.build_local(ws, useDocker=True, pushImageToWorkspaceAcr=True)
        assert built.pushed
        assert hub.inspect(built.reference.removeprefix(f"{hub.host}/"))["Digest"] == built.digest
        assert docker.run(built.reference, "python", "-c", "print('here')") == "here\n"
        details = registered.get_image_details(ws)
        assert (details.registry, details.image, details.image_exist) == (hub.host, built.reference, True)
        assert str(details.repository).startswith("hermetic/env_")

    def test_secrets_are_kept_and_reach_only_the_process(self, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_SECRET", "b1rds sing")
        ws = Workspace.from_config()
        vault = ws.get_default_keyvault()
        assert isinstance(vault, Keyvault)
        vault.set_secret(name="feed-token", value=os.environ.get("MY_SECRET"))  # type: ignore[arg-type]
        secret = vault.get_secret(name="feed-token")
        assert secret == "b1rds sing"
        assert vault.list_secrets() == [{"name": "feed-token"}]

        env = Environment("batch")
        env.environment_variables["POWERFUL_SECRET"] = secret
        built = env.register(ws).build_local(ws, useDocker=False)
        code = "import os; print(os.environ['POWERFUL_SECRET'])"
        assert run(built.python, code, built.environment_variables({})) == "b1rds sing\n"
        kept = [path for folder in (desk, built.prefix) for path in folder.rglob("*") if path.is_file()]
        assert not any(b"b1rds sing" in path.read_bytes() for path in kept)


def blocks(number: str) -> list[str]:
    """Give an article's code blocks, with hermetic's name in their imports and commands."""
    suits(ARTICLES.is_dir(), "the articles are not here")
    text = next(ARTICLES.glob(f"{number}_*")).read_text()
    found = re.findall(r"^``` ?\S[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\bazureml\.core(\.\w+)?(?= import)", "hermetic", block) for block in found]


def say(block: str, **words: str) -> str:
    """Put names of here where a block has names to be filled in; each must be there."""
    for old, new in words.items():
        assert old in block
        block = block.replace(old, new)
    return block


class TestTheirOwnBlocks:
    """The articles' own code, as it stands there: what is replaced is a blank that readers fill in, or a slip."""

    def test_the_first(
        self, desk: Path, hub: Registry, docker: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        block = blocks("000")
        here: dict[str, Any] = {}
        (desk / "path-to-conda-specification-file").write_text("dependencies: [python=3.11]\n")
        (desk / "path-to-pip-requirements-file").write_text("tabulate\n")
        (desk / "docker_file_of_your_base_image").write_text("FROM registry.example.org/base\n")
        make_wheel(desk, "my-custom")
        hermetic.build(hermetic.declare(["python=3.11"]), desk / "envs" / "mycondaenv")
        monkeypatch.setenv("CONDA_ENVS_PATH", str(desk / "envs"))
        for number in (0, 1, 2):
            exec(block[number], here)
        assert "scikit-learn" in capfd.readouterr().out
        exec(say(block[3], **{'"myenv"\n': '"myenv",\n'}), here)  # a comma is missing there
        for number in (4, 6):
            exec(block[number], here)
        exec(say(block[7], **{"my-custom.whl": "my_custom-1.0-py3-none-any.whl"}), here)
        for number in (8, 9):
            exec(block[number], here)
        restored = here["restored_environment"]
        assert restored.version == "1"
        assert here["whl_url"] in str(restored.python.conda_dependencies.as_dict())
        for number in (12, 13):
            exec(block[number], here)
        assert here["myenv"].docker.base_dockerfile == "FROM registry.example.org/base\n"
        here["env"] = Environment("small")  # there it is whatever the loop above ended with
        exec(say(block[11], **{"from hermetic import Image\n": ""}), here)  # it is not used
        assert here["build"].status == "succeeded"
        for number in (17, 18, 19, 20):
            words = say(block[number], **{"az ml": f"{sys.executable} -m hermetic"}).split()
            subprocess.run(words, check=True, capture_output=True)
        assert Environment.load_from_directory("downloaddir").name == "myenv"

    def test_the_second(self, desk: Path, hub: Registry, docker: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        block = blocks("001")
        ws = Workspace.from_config()
        here: dict[str, Any] = {"ws": ws, "os": os, "Dict": dict}
        name = {"<env-name>": "theirs"}
        (desk / "requirements.txt").write_text("tabulate\n")
        (desk / "env.yml").write_text("dependencies: [python=3.11]\n")
        (desk / "Dockerfile").write_text("FROM registry.example.org/base\n")
        exec(say(block[0], **name, **{"<path/to/requirements.txt>": "requirements.txt"}), here)
        exec(say(block[1], **name, **{"<path/to/env.yml>": "env.yml"}), here)
        exec(block[2], here)
        assert list(here["env"].python.conda_dependencies.pip_packages) == ["pyyaml", "mpi4py", "deepspeed"]
        monkeypatch.setenv("CONTAINER_PASSWORD", PASSWORD)
        filled = {"<image-name>": "base:1", "<container-registry-address>": hub.host, "<acr-username>": "ada"}
        exec(say(block[3], **name, **filled), here)
        here["env"].build_local(useDocker=True)
        exec(say(block[4], **name), here)
        assert here["env"].docker.base_dockerfile == "FROM registry.example.org/base\n"
        exec(say(block[5], **name, **{"<path/to/requirements.txt>": "requirements.txt"}), here)
        ws.get_default_keyvault().set_secrets({"username": "ada", "password": PASSWORD})
        with pytest.raises(TypeError, match="a comma stands behind the value"):
            exec(say(block[7], **name), here)
        exec(say(block[7], **name, **{'tag",': 'tag"', "myprivateacr.azurecr.io": hub.host}), here)
        exec(block[8], here)
        here["env"].build_local(ws, useDocker=True)
        exec(block[9], here)
        assert here["envs"]["theirs"].to_spec() == here["env"].to_spec()
        for trial in range(1, 6):
            older = Environment("my-env")
            older.environment_variables["TRIAL"] = str(trial)
            older.register(ws)
        exec(block[10], here)
        assert here["env"].version == "6"
        folder = {"<path/to/local/directory>": "saved"}
        exec(say(block[11], **folder), here)
        exec(say(block[12], **folder), here)
        exec(block[13], here)
        both = f"{os.environ['HERMETIC_REGISTRIES']} {hub.host}=http://ada:open%20sesame@{hub.host}"
        monkeypatch.setenv("HERMETIC_REGISTRIES", both)
        monkeypatch.setenv("HERMETIC_REGISTRY", hub.host)
        exec(say(block[14], **name), here)
        exec(block[18], here)
        monkeypatch.setenv("MY_SECRET", "b1rds sing")
        without_runs = block[19].partition("# equivalently")[0].replace("<my-secret>", "my-secret")
        exec(without_runs, here)
        assert here["secret"] == "b1rds sing"
