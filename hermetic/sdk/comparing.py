"""What differs between two versions of environments: what was written, and what was locked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import HermeticError, UsageError
from hermetic.sdk.environments import get_version, lock_of_version, parse_reference
from hermetic.spec.azureml import CONDA_NAME, DOCKERFILE_NAME, OURS, Files, read_azureml
from hermetic.spec.serialize import conda_text, pip_line

if TYPE_CHECKING:
    from hermetic.lock.diff import LockDiff
    from hermetic.sdk.workspace import Workspace
    from hermetic.spec.model import Spec
    from hermetic.workspace.model import EnvironmentVersion

_SPEC = {"name", "version", "assetId", "environmentVariables", OURS, "docker.baseImage", "docker.baseDockerfile"}
"""What the Spec says, or no definition does."""


def refuse_versions(start: str | None, old: str, new: str) -> None:
    """Refuse what reads as two images, ``train:1``, and is two environments of the workspace in a folder.

    One that the Docker Engine has under this name, or that is called ``registry:train:1``, is an image.
    Raises UsageError, which names the verb that compares environments.
    """
    from hermetic.workspace_config import find_workspace

    texts = (old, new)
    kinds = ("layout:", "engine:", "registry:")
    if any("/" in text or text.startswith(kinds) for text in texts):
        return
    try:
        address = find_workspace(Path(start or ".").absolute())
        if (
            address is None or not (address.folder / "workspace.sqlite").is_file()
        ):  # nothing is made, and no server asked
            return
        from hermetic.sdk.workspace import workspace_at

        workspace = workspace_at(start)
        for text in texts:
            get_version(workspace, *parse_reference(text))
    except HermeticError:
        return
    if any(_in_engine(text) for text in texts):
        return
    raise UsageError(
        f"{old} and {new} are environments of the workspace {address.name}, and no images of the Docker Engine here",
        remedy=f"compare them with 'hermetic environment diff {old} {new}'; images of a registry are "
        f"registry:{old} and registry:{new}",
    )


def _in_engine(text: str) -> bool:
    from hermetic.outputs.oci.finding import engine_image

    try:
        engine_image(text)
    except HermeticError:  # also where there is no engine
        return False
    return True


@dataclass(frozen=True)
class Difference:
    """One thing that differs: what it is (``conda numpy``, ``docker.shmSize``), and its texts, empty where none is."""

    what: str
    old: str
    new: str

    def to_dict(self) -> dict[str, str]:
        """Give it as JSON values."""
        return {"what": self.what, "old": self.old, "new": self.new}


@dataclass(frozen=True)
class EnvironmentDiff:
    """How two versions differ: ``definition`` in what was written, ``lock`` in packages, None unless both have one."""

    old: str
    new: str
    definition: tuple[Difference, ...]
    lock: LockDiff | None = field(default=None)

    def __bool__(self) -> bool:
        return bool(self.definition or self.lock)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "old": self.old,
            "new": self.new,
            "definition": [item.to_dict() for item in self.definition],
            "lock": self.lock.to_dict() if self.lock is not None else None,
        }


def compare(workspace: Workspace, old: EnvironmentVersion, new: EnvironmentVersion) -> EnvironmentDiff:
    """Tell how two versions differ."""
    from hermetic.lock.diff import diff

    locks = [lock_of_version(workspace, version) for version in (old, new)]
    return EnvironmentDiff(
        f"{old.name}:{old.version}",
        f"{new.name}:{new.version}",
        tuple(_definition(old, new)),
        diff(locks[0], locks[1]) if locks[0] is not None and locks[1] is not None else None,
    )


def _definition(old: EnvironmentVersion, new: EnvironmentVersion) -> Iterator[Difference]:
    before, after = (
        read_azureml(Files(Path(f"{version.name}:{version.version}"), version.definition.files))
        for version in (old, new)
    )
    yield from _specs(before.spec, after.spec)
    had, has = _settings(before.values), _settings(after.values)
    for name in sorted(had.keys() | has.keys()):
        if had.get(name) != has.get(name):
            yield Difference(name, had.get(name, ""), has.get(name, ""))
    if before.dockerfile != after.dockerfile:
        yield Difference(DOCKERFILE_NAME, before.dockerfile, after.dockerfile)
    unused = any(found.values["python"]["userManagedDependencies"] for found in (before, after))
    texts = [version.definition.files.get(CONDA_NAME, "") for version in (old, new)]
    if unused and texts[0] != texts[1]:
        yield Difference(CONDA_NAME, *texts)


def _specs(old: Spec, new: Spec) -> Iterator[Difference]:
    if old.channels != new.channels:
        yield Difference("channels", ", ".join(old.channels), ", ".join(new.channels))
    for kind in ("conda", "pip", "constraints"):
        had, has = _requirements(old, kind), _requirements(new, kind)
        for name in sorted(had.keys() | has.keys()):
            if had.get(name) != has.get(name):
                yield Difference(f"{kind} {name}".strip(), had.get(name, ""), has.get(name, ""))
    before, after = dict(old.variables), dict(new.variables)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference(f"variable {name}", before.get(name, ""), after.get(name, ""))
    for name in ("accelerator", "system", "platforms", "source_builds", "exact", "base", "options", "exclude_newer"):
        had_text, has_text = _shown(getattr(old, name)), _shown(getattr(new, name))
        if had_text != has_text:
            yield Difference(name.replace("_", " "), had_text, has_text)


def _requirements(spec: Spec, kind: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for item in getattr(spec, kind):
        text = conda_text(item) if kind == "conda" else pip_line(item)
        only = f" ({', '.join(item.platforms)})" if item.platforms else ""
        found.setdefault(item.name, []).append(text + only)
    return {name: ", ".join(texts) for name, texts in found.items()}


def _shown(value: Any) -> str:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={item}" for name, item in sorted(value.items()))
    if isinstance(value, tuple):
        return ", ".join("=".join(item) if isinstance(item, tuple) else str(item) for item in value)
    return str(value)


def _settings(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Give what a definition's JSON says beside the Spec, by dotted name, as JSON texts."""
    found: dict[str, str] = {}
    for name, value in values.items():
        here = f"{above}{name}"
        if here in _SPEC:
            continue
        if isinstance(value, Mapping) and value:
            found |= _settings(value, f"{here}.")
        else:
            found[here] = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return found
