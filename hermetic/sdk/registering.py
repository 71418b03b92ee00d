"""Environments as a workspace keeps them: an Environment becomes a Definition, and a version an Environment again.

Nothing is lost on the way. A definition is known by its digest: the sha256 over what it means, without its name and
version, so the order of requirements, comments and spelling do not count. What means something on one machine only,
and what is secret, is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.digest import key
from hermetic.errors import UsageError
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.directory import written_password
from hermetic.sdk.environment import Environment
from hermetic.spec.azureml import JSON_NAME, Files, default_values
from hermetic.spec.serialize import conda_text, pip_line
from hermetic.workspace.model import Definition, EnvironmentVersion

if TYPE_CHECKING:
    from hermetic.spec.model import Spec

_DIGEST = "environment-definition/1"
_UNMEANT = ("name", "version", "assetId", "environmentVariables", "hermetic")
"""What a definition's JSON says that is no part of its meaning, or that its Spec says."""
_LOCAL = re.compile(r"(\.|/|~|[A-Za-z]:[\\/]|(?i:file):)")


def definition_of(environment: Environment) -> Definition:
    """Give what is registered of an environment.

    Raises UsageError, with the way out, for one without a name, with paths of this machine, or with a typed password.
    """
    if environment.name is None:
        raise UsageError("the environment has no name", remedy="set its name before it is registered")
    _refuse_password(environment)
    spec = environment.to_spec()
    dependencies = environment.python.conda_dependencies
    for what, text, remedy in _local(spec):
        raise UsageError(f"{environment.name}: {what} {text!r} is known on this machine only", remedy=remedy)
    texts = environment._texts(dependencies.root, version=False)  # noqa: SLF001  of one package
    return Definition(
        environment.name,
        key(_DIGEST, _meaning(json.loads(texts[JSON_NAME]), spec, dependencies)),
        texts,
        spec.digest(),
        tuple(dict.fromkeys([*map(conda_text, spec.conda), *map(pip_line, spec.pip)])),
        environment._source or (dependencies._file.name if dependencies._file else ""),  # noqa: SLF001
    )


def environment_of(version: EnvironmentVersion) -> Environment:
    """Give a version as the Environment that was registered. Raises SpecError for what a newer hermetic wrote."""
    return environment_from(version.name, version.version, version.definition.files)


def environment_from(name: str, version: int, files: Mapping[str, str]) -> Environment:
    """Give an Environment whose files are at hand as texts, under a name and a version."""
    environment = Environment(None)
    environment._read(Files(Path(f"{name}:{version}"), files), Path.cwd(), deferred=True)  # noqa: SLF001
    environment.name, environment.version = name, str(version)
    return environment


def _meaning(document: Mapping[str, Any], spec: Spec, dependencies: CondaDependencies) -> dict[str, Any]:
    """Give what an environment means as canonical values; what has its default is left out: new fields may come."""
    python = dict(document["python"])
    if not python["userManagedDependencies"]:
        python.pop("interpreterPath", None)  # it counts only then
    python.pop("condaDependenciesFile", None)
    docker = {name: value for name, value in document["docker"].items() if name not in {"baseImage", "baseDockerfile"}}
    settings = {
        **{name: value for name, value in document.items() if name not in _UNMEANT}, "python": python, "docker": docker,
    }  # fmt: skip
    meaning = {"spec": spec.to_dict(), "settings": _exact(_beyond(settings, default_values()))}
    if python["userManagedDependencies"]:  # the Spec has none then, but they are part of what was written
        kept = dependencies.to_spec()
        if kept != CondaDependencies().to_spec():
            meaning["unused"] = kept.to_dict()
    return meaning


def _beyond(found: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Give what differs from the defaults."""
    values = {}
    for name, value in found.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            if inner := _beyond(value, default):
                values[name] = inner
        elif value != default:
            values[name] = value
    return values


def _exact(value: Any) -> Any:
    """Give JSON values without floats, whose text is not unique; a file of another program may hold some."""
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, Mapping):
        return {name: _exact(item) for name, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value


def _local(spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Give what is known on one machine only, each with the way out."""
    add = "upload it with Environment.add_private_pip_wheel(workspace, file_path), and add the URL that it gives"
    for item in (*spec.pip, *spec.constraints):
        if item.editable:
            build = f"build a wheel of it ('pip wheel --no-deps {item.url}'), and {add}"
            yield "the editable requirement", item.url or item.text, build
        elif item.url and "://" not in item.url:
            wheel = item.url.partition("#")[0].endswith(".whl")
            yield "the pip package", item.url, add if wheel else f"build a wheel of it, and {add}"
    named = "give it an address that all machines reach, or a name that 'channels' in hermetic.toml gives an address"
    for channel in dict.fromkeys([*spec.channels, *(package.channel for package in spec.conda)]):
        if channel.startswith((".", "~")):
            yield "the channel", channel, named
    for package in spec.conda:
        if re.search(r"url=['\"]?(file:|[./~])", package.match):
            yield "the conda package", package.text, "take it from a channel"
    links = spec.options.find_links
    for text in (*links, spec.options.index, *spec.options.extra_indexes):
        if _LOCAL.match(text):
            what = "the folder of --find-links" if text in links else "the index"
            yield what, text, f"{add}; or take packages from an index with an https:// address"


def _refuse_password(environment: Environment) -> None:
    if environment.docker.base_image_registry.password is None:
        return
    if written_password(environment.docker.base_image_registry.password) is None:
        raise UsageError(
            f"{environment.name}: the password of docker.base_image_registry is typed in, and what is registered is "
            "read by others",
            remedy="keep it in workspace.get_default_keyvault(), with set_secret(name, value), and set what "
            "get_secret(name) gives; or set '${NAME}', which stands for the environment variable NAME",
        )
