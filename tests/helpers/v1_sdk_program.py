"""Runs in an interpreter that has the Azure ML v1 SDK: writes folders, reads folders, tells what methods do.

python v1_sdk_program.py write FOLDER           environments of many kinds, each in a folder of its own
python v1_sdk_program.py pass SOURCE TARGET     loads every folder of SOURCE and saves it in TARGET
python v1_sdk_program.py calls                  reads calls of CondaDependencies as JSON, prints what came of each
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from azureml.core.conda_dependencies import CondaDependencies  # type: ignore[import-not-found]  # noqa: E402
from azureml.core.environment import (  # type: ignore[import-not-found]  # noqa: E402
    DockerBuildContext,
    Environment,
    RSection,
    SparkPackage,
)


def write(folder: Path) -> None:
    made = {name: Environment(name) for name in "plain image dockerfile user packages spark asset r".split()}
    docker = made["image"].docker
    docker.base_image, docker.base_image_registry.address = "team/base:1", "registry.example.org"
    docker.base_image_registry.username, docker.base_image_registry.password = "ada", "${CONTAINER_PASSWORD}"
    made["image"].version = "3"
    docker = made["dockerfile"].docker
    docker.base_dockerfile = "FROM registry.example.org/base\nLABEL name=é\n"
    docker.enabled, docker.shm_size, docker.arguments, docker.shared_volumes = True, None, ["--network", "host"], False
    made["dockerfile"].environment_variables = {"GREETING": "grüß Gott"}
    made["user"].python.user_managed_dependencies = True
    made["user"].python.interpreter_path = "/opt/bin/python"
    needs = CondaDependencies.create(
        ["https://example.org/wheels"][0], ["numpy==1.2", "azureml-defaults"], ["pandas>=1"]
    )
    needs.set_pip_option("--pre")
    made["packages"].python.conda_dependencies = needs
    made["spark"].spark.packages = [SparkPackage("group", "artifact", "1")]
    made["asset"].asset_id, made["asset"].inferencing_stack_version = "azureml://x", "latest"
    made["r"].r = RSection()
    context = DockerBuildContext(DockerBuildContext.LocationType.Git, "https://example.org/x.git")
    made["context"] = Environment.from_docker_build_context("context", context)
    made["nameless"] = Environment(None)
    for name, environment in made.items():
        environment.save_to_directory(str(folder / name))


def carry(source: Path, target: Path) -> None:
    for folder in sorted(source.iterdir()):
        Environment.load_from_directory(str(folder)).save_to_directory(str(target / folder.name))


def outcome(calls: list[list[str]]) -> object:
    needs = CondaDependencies()
    for name in list(needs.pip_packages):
        needs.remove_pip_package(name)
    needs.set_python_version("3.11")
    needs.remove_channel("anaconda")
    try:
        for method, *arguments in calls:
            getattr(needs, method)(*arguments)
    except Exception as error:  # noqa: BLE001  whatever it raises
        return f"refused: {type(error).__name__}"
    names = ("conda_channels", "conda_packages", "pip_packages", "pip_options")
    return [*(list(getattr(needs, name)) for name in names), needs.get_python_version()]


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]))
    elif sys.argv[1] == "pass":
        carry(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps([outcome(calls) for calls in json.load(sys.stdin)]))
