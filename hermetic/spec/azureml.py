"""Azure ML environment directories: ``azureml_environment.json`` beside ``conda_dependencies.yml``.

The format is the v1 SDK's ``Environment.save_to_directory``. Files of every age are read: older ones lack
fields (``buildContext``, ``assetId`` and more), and those take their defaults. What the file says of Docker,
Spark and the like is kept in ``values`` for whoever writes the directory again; the Spec holds what decides
the environment's content: requirements, variables and the base image. Registry passwords enter neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hermetic.errors import Place, SpecError, UsageError
from hermetic.platforms import Accelerator, check_system
from hermetic.spec.environment_yml import EnvironmentFile, parse_environment_yml
from hermetic.spec.images import base_reference
from hermetic.spec.model import Spec
from hermetic.spec.passwords import check_dockerfile, check_variable
from hermetic.spec.pep508 import normal_name
from hermetic.spec.text import read_text
from hermetic.spec.urls import is_promise

JSON_NAME = "azureml_environment.json"
CONDA_NAME = "conda_dependencies.yml"
DOCKERFILE_NAME = "BaseDockerfile"
OURS = "hermetic"
"""A field that the v1 SDK does not know, and so ignores: what the environment is locked for."""

# The fields of the current format, in its order, with what they are where a file lacks them.
_DEFAULTS: Mapping[str, Any] = {
    "name": None,
    "version": None,
    "environmentVariables": {},
    "python": {
        "userManagedDependencies": False,
        "interpreterPath": "python",
        "condaDependenciesFile": None,
        "baseCondaEnvironment": None,
    },
    "docker": {
        "enabled": False,
        "baseImage": None,
        "baseDockerfile": None,
        "buildContext": None,
        "sharedVolumes": True,
        "shmSize": None,
        "arguments": [],
        "baseImageRegistry": {"address": None, "username": None, "password": None, "registryIdentity": None},
        "platform": {"os": "Linux", "architecture": "amd64"},
    },
    "spark": {"repositories": [], "packages": [], "precachePackages": True},
    "databricks": {
        "mavenLibraries": [],
        "pypiLibraries": [],
        "rcranLibraries": [],
        "jarLibraries": [],
        "eggLibraries": [],
    },
    "r": None,
    "inferencingStackVersion": None,
    "assetId": None,
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_REMEDY = "name a folder that Environment.save_to_directory wrote"


@dataclass(frozen=True)
class AzureEnvironment:
    """An Azure ML environment directory: its Spec, and all that its files say.

    ``values`` is the JSON file with every missing field at its default (a registry's password left out unless it
    is ``${VARIABLE}``); ``conda`` and ``dockerfile`` are the texts of the two other files, empty where there is none.
    """

    spec: Spec
    name: str = ""
    version: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    conda: str = ""
    dockerfile: str = ""
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def default_values() -> dict[str, Any]:
    """Give the content of a new ``azureml_environment.json``, in the format's order."""
    return deepcopy(dict(_DEFAULTS))


def json_text(values: Mapping[str, Any]) -> str:
    """Give ``azureml_environment.json`` as the v1 SDK writes it: its order, four spaces."""
    return json.dumps(values, indent=4, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Files:
    """The files of a directory: on disk, or texts by name that stand nowhere, for which ``folder`` is only a name."""

    folder: Path
    texts: Mapping[str, str] | None = None

    def __contains__(self, name: str) -> bool:
        return (self.folder / name).is_file() if self.texts is None else name in self.texts

    def text(self, name: str) -> str:
        """Give a file's text. Raises SpecError for one that cannot be read."""
        return read_text(self.folder / name) if self.texts is None else self.texts[name]


def read_azureml(folder: Path | Files, *, root: Path | None = None, conda: bool = True) -> AzureEnvironment:
    """Read an Azure ML environment directory. Raises SpecError with file, line and remedy.

    Without ``conda`` the conda side is given as it is written, unread, and the Spec is without it.
    """
    held = folder if isinstance(folder, Files) else Files(folder)
    folder = held.folder
    path = folder / JSON_NAME
    if JSON_NAME not in held:
        raise SpecError(f"there is no {JSON_NAME} here", place=Place(str(folder)), remedy=_REMEDY)
    document = _parse(held.text(JSON_NAME), path)
    values = _complete(_with_registry(document), _DEFAULTS, str(path), "")
    registry = values["docker"]["baseImageRegistry"]
    notes = []
    if isinstance(registry["password"], str) and not is_promise(registry["password"]):
        registry["password"] = None
        notes.append(f"{path}: the registry's password is not used; write ${{secret:NAME}} in its place")
    if values["docker"]["buildContext"]:
        notes.append(
            f"{path}: docker.buildContext is kept and not used; write its Dockerfile's text into {DOCKERFILE_NAME}"
        )
    files = [path]
    dockerfile = _dockerfile(held, values, files)
    if conda:
        side, text = _conda(held, values, document, root or folder, files)
    else:
        side, text = EnvironmentFile(Spec()), held.text(CONDA_NAME) if CONDA_NAME in held else ""
    variables = _variables(values["environmentVariables"], path, held.text(JSON_NAME))
    for name, value in side.spec.variables:
        variables.setdefault(name, value)
    spec = replace(
        side.spec,
        variables=tuple(variables.items()),
        base="" if dockerfile else _base(values),
        base_dockerfile=dockerfile,
        **_target(values.get(OURS), path),
    )
    name = values["name"] if isinstance(values["name"], str) else ""
    version = "" if values["version"] is None else str(values["version"])
    return AzureEnvironment(
        spec, name or side.name, version, values, text, dockerfile, tuple(files), (*notes, *side.warnings)
    )


def _parse(text: str, path: Path) -> Mapping[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise SpecError(f"the key {twice[:60]!r} stands twice", place=Place(str(path)), remedy="remove one")
        return table

    try:
        document = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise SpecError(
            f"malformed JSON: {error.msg}", place=Place(str(path), error.lineno), remedy="mend this line"
        ) from None
    except SpecError:  # a ValueError too
        raise
    except (RecursionError, ValueError):
        raise SpecError("malformed JSON", place=Place(str(path)), remedy=_REMEDY) from None
    if not isinstance(document, dict):
        raise SpecError("an environment is a JSON object", place=Place(str(path)), remedy=_REMEDY)
    return document


def _with_registry(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a registry that stands as an address alone the form of an object."""
    docker = document.get("docker")
    if not isinstance(docker, Mapping) or not isinstance(docker.get("baseImageRegistry"), str):
        return document
    return {**document, "docker": {**docker, "baseImageRegistry": {"address": docker["baseImageRegistry"]}}}


def _target(found: Any, path: Path) -> dict[str, Any]:
    """Give the Spec's fields of the object ``hermetic``: accelerator, system and source builds."""
    if found is None:
        return {}
    place = Place(str(path))
    if not isinstance(found, Mapping) or set(found) - {"accelerator", "system", "sourceBuilds"}:
        raise SpecError(
            f"{OURS} is an object of accelerator, system and sourceBuilds",
            place=place,
            remedy="remove what else is in it",
        )
    system, names = found.get("system") or {}, found.get("sourceBuilds") or []
    if not isinstance(system, Mapping) or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise SpecError(
            f"{OURS}.system is an object, {OURS}.sourceBuilds a list",
            place=place,
            remedy='write {"glibc": "2.28"}, ["name"]',
        )
    try:
        return {
            "accelerator": Accelerator.parse(str(found.get("accelerator") or "cpu")),
            "system": tuple(check_system(str(name), version) for name, version in system.items()),
            "source_builds": tuple(name if name == ":all:" else normal_name(name) for name in names),
        }
    except UsageError as error:
        raise SpecError(error.message, place=place, remedy=error.remedy) from None


def _complete(found: Mapping[str, Any], defaults: Mapping[str, Any], file: str, above: str) -> dict[str, Any]:
    """Fill in what an older file lacks; keep what a newer one adds."""
    values = {**deepcopy(dict(defaults)), **found}
    for name, default in defaults.items():
        here, value = f"{above}{name}", values[name]
        if isinstance(default, Mapping):
            if value is None:
                values[name] = deepcopy(dict(default))
            elif not isinstance(value, Mapping):
                raise SpecError(f"{here} is an object", place=Place(file), remedy=f'write "{name}": {{...}}')
            elif default:
                values[name] = _complete(value, default, file, f"{here}.")
    return values


def _variables(found: Mapping[str, Any], path: Path, text: str) -> dict[str, str]:
    for name, value in found.items():
        if not _VARIABLE.match(name) or not isinstance(value, str) or "\n" in value or "\0" in value:
            raise SpecError(
                f"the environment variable {name[:60]!r} is no text of one line",
                place=Place(str(path)),
                remedy=f'write "{name[:60]}": "value"',
            )
        line = next((number for number, line in enumerate(text.split("\n"), 1) if f"{json.dumps(name)}:" in line), None)
        check_variable(name, value, Place(str(path), line))
    return dict(found)


def _dockerfile(held: Files, values: dict[str, Any], files: list[Path]) -> str:
    """Give the base Dockerfile's text: older files hold it in the JSON, newer ones beside it."""
    folder = held.folder
    if DOCKERFILE_NAME in held:
        files.append(folder / DOCKERFILE_NAME)
        text = held.text(DOCKERFILE_NAME)
        check_dockerfile(text, Place(str(folder / DOCKERFILE_NAME)))
        return text
    inline = values["docker"]["baseDockerfile"]
    if inline is None:
        return ""
    if not isinstance(inline, str):
        raise SpecError("docker.baseDockerfile is a text", place=Place(str(folder / JSON_NAME)), remedy="write a text")
    if inline == DOCKERFILE_NAME:
        raise SpecError(f"there is no {DOCKERFILE_NAME} here", place=Place(str(folder)), remedy=_REMEDY)
    check_dockerfile(inline)
    return inline


def _conda(
    held: Files, values: Mapping[str, Any], document: Mapping[str, Any], root: Path, files: list[Path]
) -> tuple[EnvironmentFile, str]:
    """Give the conda side: the file beside the JSON, or the object that the oldest files hold in it."""
    folder, python = held.folder, values["python"]
    if python["userManagedDependencies"]:
        return EnvironmentFile(Spec()), ""
    named = python["condaDependenciesFile"]
    if named is not None and not isinstance(named, str):
        raise SpecError(
            "python.condaDependenciesFile is a file's name", place=Place(str(folder / JSON_NAME)), remedy=_REMEDY
        )
    name = CONDA_NAME
    if name not in held and named:
        name = named.replace("\\", "/").rpartition("/")[2]  # the SDK notes the path on its machine
    if name in held:
        text, path = held.text(name), folder / name
        found = parse_environment_yml(text, path, root=root)
        files += found.files
        return found, text
    inline = document.get("python", {}).get("condaDependencies") if isinstance(document.get("python"), dict) else None
    if inline:
        text = json.dumps(inline, indent=2)  # JSON is YAML
        return parse_environment_yml(text, folder / JSON_NAME, root=root), text
    if values["docker"]["buildContext"]:  # the image that it makes is the whole environment
        return EnvironmentFile(Spec()), ""
    raise SpecError(
        f"there is no {CONDA_NAME} here, and the environment is not user-managed",
        place=Place(str(folder)),
        remedy=f"add {CONDA_NAME}, or set python.userManagedDependencies to true",
    )


def _base(values: Mapping[str, Any]) -> str:
    image, address = values["docker"]["baseImage"], values["docker"]["baseImageRegistry"]["address"]
    return base_reference(image if isinstance(image, str) else "", address if isinstance(address, str) else None)
