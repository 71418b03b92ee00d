"""The curated environments, read from ``catalogue.toml``, with their locks in ``locks/``.

A version's number is its place in the catalogue; a lock is named ``NAME.VERSION.lock.json``. Both come with the
package, so that a workspace without a network lists them and their versions mean the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hermetic.errors import UsageError
from hermetic.spec.azureml import CONDA_NAME, JSON_NAME, OURS, default_values, json_text

FOLDER = Path(__file__).parent
LOCKS = FOLDER / "locks"


@dataclass(frozen=True)
class Curated:
    """One version of a curated environment.

    ``files`` are those of an Azure ML directory, by name, as in ``workspace.model.Definition``. ``lock`` is the file of
    its lock; None while it has none. ``same_as`` is the curated environment that it is another name of.
    """

    name: str
    version: int
    summary: str
    files: Mapping[str, str]
    lock: Path | None = None
    same_as: str = ""


def catalogue() -> Mapping[str, Curated]:
    """Give the latest version of every curated environment, by name, in the catalogue's order."""
    return {name: versions[-1] for name, versions in _catalogue().items()}


def curated_versions(name: str) -> tuple[Curated, ...]:
    """Give all versions of a curated environment, the first one first; none if there is no such environment."""
    return _catalogue().get(name, ())


def curated(name: str, version: int | str | None = None) -> Curated | None:
    """Give a version (default: the latest) of a curated environment; None if there is no environment of that name.

    Raises UsageError, with the versions there are, for one that there is not.
    """
    versions = curated_versions(name)
    if not versions or version is None:
        return versions[-1] if versions else None
    found = next((item for item in versions if str(item.version) == str(version)), None)
    if found is None:
        raise UsageError(
            f"the curated environment {name} has no version {str(version)[:40]!r}",
            remedy=f"there are: {', '.join(str(item.version) for item in versions)}",
        )
    return found


@cache
def _catalogue() -> Mapping[str, tuple[Curated, ...]]:
    import tomllib

    tables: dict[str, list[dict[str, Any]]] = tomllib.loads((FOLDER / "catalogue.toml").read_text(encoding="utf-8"))
    found: dict[str, tuple[Curated, ...]] = {}
    for name, versions in tables.items():
        found[name] = tuple(_curated(tables, name, number, table) for number, table in enumerate(versions, 1))
    return MappingProxyType(found)


def _curated(tables: Mapping[str, list[dict[str, Any]]], name: str, number: int, table: Mapping[str, Any]) -> Curated:
    source = table.get("same-as", name)
    if source != name:
        table = tables[source][number - 1]
    values = {**default_values(), "name": name}
    if "accelerator" in table:
        values[OURS] = {"accelerator": table["accelerator"], "system": {}, "sourceBuilds": []}
    lock = LOCKS / f"{source}.{number}.lock.json"
    files = {JSON_NAME: json_text(values), CONDA_NAME: table["conda"].replace(f"name: {source}", f"name: {name}", 1)}
    return Curated(
        name,
        number,
        table["summary"],
        MappingProxyType(files),
        lock if lock.is_file() else None,
        source if source != name else "",
    )
