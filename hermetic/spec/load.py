"""Spec files to one Spec: looks at each file's name and content, reads it, merges what several say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from hermetic.digest import sha256_bytes
from hermetic.errors import Place, SpecError
from hermetic.platforms import Accelerator, check_platform
from hermetic.spec.explicit import is_explicit
from hermetic.spec.model import MAIN, PipOptions, Spec
from hermetic.spec.text import read_text

_T = TypeVar("_T")

_YAML = re.compile(r"^(?:dependencies|channels)\s*:", re.MULTILINE)
_LOCK = re.compile(r"^(?:package|packages|environments)\s*:", re.MULTILINE)
_REFUSED = {
    "pipfile": "write its requirements with 'pipenv requirements > requirements.txt'",
    "setup.py": "list the dependencies in pyproject.toml, [project]",
    "setup.cfg": "list the dependencies in pyproject.toml, [project]",
    "poetry.lock": "write a requirements file with 'poetry export'",
    "uv.lock": "write a requirements file with 'uv export'",
    "meta.yaml": "list the requirements in an environment.yml",
    "hermetic.toml": "it is the manifest: run hermetic in its folder, or name it with -C",
}


@dataclass(frozen=True)
class LoadedSpec:
    """A Spec, what its file calls it (may be empty), every file that was read for it, and what to tell the user."""

    spec: Spec
    name: str = ""
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    """Where each variable stands (by ``variable NAME``) and the package index (``index``), for messages."""


def load_spec(
    files: Sequence[Path | str],
    *,
    platforms: Sequence[str] = (),
    extras: Sequence[str] = (),
    groups: Sequence[str] = (),
    categories: Sequence[str] = (),
    root: Path | None = None,
) -> Spec:
    """Read spec files into one Spec; see ``load``."""
    return load(files, platforms=platforms, extras=extras, groups=groups, categories=categories, root=root).spec


def load(
    files: Sequence[Path | str],
    *,
    platforms: Sequence[str] = (),
    extras: Sequence[str] = (),
    groups: Sequence[str] = (),
    categories: Sequence[str] = (),
    root: Path | None = None,
) -> LoadedSpec:
    """Read spec files of any mix into one Spec.

    ``platforms`` take the place of the files' own. ``extras`` and ``groups`` choose among those of a
    ``pyproject.toml``. ``categories`` keeps only requirements of these categories (and of ``main``); none given
    keeps all. Local paths in the Spec are relative to ``root``, by default the first file's folder.
    Raises SpecError for what cannot be understood or merged.
    """
    if not files:
        raise SpecError("no spec file", remedy="name an environment.yml, requirements.txt or pyproject.toml")
    paths = [Path(file) for file in files]
    if (extras or groups) and not any(path.suffix == ".toml" for path in paths):
        raise SpecError(
            "extras and groups choose among those of a pyproject.toml, and none is named",
            place=Place(str(paths[0])),
            remedy="name pyproject.toml as a spec file, or leave them out",
        )
    root = root or _folder(paths[0])
    loaded = [_read(path, root, tuple(extras), tuple(groups)) for path in paths]
    merged = merge(loaded)
    spec = merged.spec
    if platforms:
        spec = replace(spec, platforms=tuple(check_platform(platform) for platform in platforms))
    if categories:
        kept = {MAIN, *categories, *extras, *groups}
        spec = replace(
            spec,
            conda=tuple(item for item in spec.conda if item.category in kept),
            pip=tuple(item for item in spec.pip if item.category in kept),
        )
    return replace(merged, spec=spec)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _read(path: Path, root: Path, extras: tuple[str, ...], groups: tuple[str, ...]) -> LoadedSpec:
    """Read one file as what it is: its name decides, else its content."""
    name = path.name.lower()
    if path.is_dir() or name == "azureml_environment.json":
        return _read_folder(path if path.is_dir() else path.parent, root)
    if name in _REFUSED:
        raise SpecError(f"{path.name} is no spec that hermetic reads", place=Place(str(path)), remedy=_REFUSED[name])
    if name.endswith(".toml"):
        from hermetic.spec.pep508 import path_prefix
        from hermetic.spec.pyproject import read_pyproject

        project = read_pyproject(path, extras=extras, groups=groups, prefix=path_prefix(path, root))
        return LoadedSpec(project.spec, project.name, (path,), project.warnings)
    text = read_text(path)
    if name.endswith((".yml", ".yaml")) or (not name.endswith((".txt", ".in")) and _YAML.search(text)):
        if _LOCK.search(text):
            raise SpecError("this is a lock, not a spec", place=Place(str(path)), remedy="use 'hermetic import'")
        from hermetic.spec.environment_yml import parse_environment_yml

        found = parse_environment_yml(text, path, root=root)
        return LoadedSpec(found.spec, found.name, tuple(found.files), tuple(found.warnings), found.places)
    if name.endswith(".json"):
        raise SpecError("a JSON file is no spec", place=Place(str(path)), remedy="a lock is read by 'hermetic import'")
    if is_explicit(text):
        from hermetic.spec.explicit import parse_explicit

        return LoadedSpec(parse_explicit(text, path, root=root), "", (path,))
    from hermetic.spec.requirements_txt import read_requirements

    requirements = read_requirements(path, root=root)
    spec = Spec(pip=tuple(requirements.pip), constraints=tuple(requirements.constraints), options=requirements.options)
    places = {"index": requirements.index_place} if requirements.index_place else {}
    return LoadedSpec(spec, "", tuple(requirements.files), tuple(requirements.warnings), places)


def _read_folder(path: Path, root: Path) -> LoadedSpec:
    """Read a folder that is a spec: an Azure ML environment directory, or an existing conda environment."""
    if (path / "azureml_environment.json").is_file():
        from hermetic.spec.azureml import read_azureml

        azure = read_azureml(path, root=root)
        return LoadedSpec(azure.spec, azure.name, azure.files, azure.warnings)
    if (path / "conda-meta").is_dir():
        from hermetic.spec.existing import read_prefix

        existing = read_prefix(path)
        return LoadedSpec(existing.spec, existing.name, existing.files, existing.warnings)
    raise SpecError(
        "this folder is neither an Azure ML environment nor a conda environment",
        place=Place(str(path)),
        remedy="name a spec file: environment.yml, requirements.txt or pyproject.toml",
    )


def merge(loaded: Sequence[LoadedSpec]) -> LoadedSpec:
    """Merge Specs: lists are joined in order without duplicates; two different answers to one question are an error."""
    if len(loaded) == 1:
        return loaded[0]
    specs = [item.spec for item in loaded]
    variables, system, single = _Answers(), _Answers(), _Answers()
    for item in loaded:
        place = Place(str(item.files[0])) if item.files else None
        for name, value in item.spec.variables:
            variables.add(name, value, f"the variable {name}", item.places.get(f"variable {name}", place))
        for name, value in item.spec.system:
            system.add(name, value, f"the system property {name}", item.places.get(f"system {name}", place))
        if item.spec.accelerator != Accelerator():
            single.add("accelerator", str(item.spec.accelerator), "the accelerator", place)
        if item.spec.base:
            single.add("base", item.spec.base, "the base", place)
        if text := item.spec.base_dockerfile:
            single.add("base", f"a Dockerfile of sha256 {sha256_bytes(text.encode())[:12]}", "the base", place)
        if item.spec.options.index:
            single.add("index", item.spec.options.index, "the package index", item.places.get("index", place))
    exact = [item for item in loaded if item.spec.exact]
    if exact and (len(exact) > 1 or any(spec.conda for spec in specs)):
        raise SpecError(
            "an explicit list is complete: nothing can be added to its conda side",
            place=Place(str(exact[-1].files[0])) if exact[-1].files else None,
            remedy="use the list alone (pip requirements may join it), or the spec that it was made from",
        )
    only, no = _joined(s.options.only_binary for s in specs), _joined(s.options.no_binary for s in specs)
    spec = Spec(
        channels=_joined(spec.channels for spec in specs),
        conda=_joined(spec.conda for spec in specs),
        pip=_joined(spec.pip for spec in specs),
        constraints=_joined(spec.constraints for spec in specs),
        options=PipOptions(
            index=single.values.get("index", ""),
            extra_indexes=_joined(spec.options.extra_indexes for spec in specs),
            find_links=_joined(spec.options.find_links for spec in specs),
            no_index=any(spec.options.no_index for spec in specs),
            only_binary=(":all:",) if ":all:" in only else tuple(sorted(only)),
            no_binary=(":all:",) if ":all:" in no else tuple(sorted(no)),
            pre=any(spec.options.pre for spec in specs),
        ),
        exact=_joined(spec.exact for spec in specs),
        variables=tuple(variables.values.items()),
        platforms=_joined(spec.platforms for spec in specs),
        accelerator=Accelerator.parse(single.values.get("accelerator", "cpu")),
        system=tuple(system.values.items()),
        base=next((spec.base for spec in specs if spec.base), ""),
        base_dockerfile=next((spec.base_dockerfile for spec in specs if spec.base_dockerfile), ""),
        source_builds=_joined(spec.source_builds for spec in specs),
        exclude_newer=next((spec.exclude_newer for spec in specs if spec.exclude_newer), ""),
    )
    return LoadedSpec(
        spec,
        next((item.name for item in loaded if item.name), ""),
        _joined(item.files for item in loaded),
        _joined(item.warnings for item in loaded),
        {key: place for item in reversed(loaded) for key, place in item.places.items()},
    )


class _Answers:
    """Answers to questions that have one answer, with the place of each for the message when two differ."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.places: dict[str, Place | None] = {}

    def add(self, question: str, answer: str, what: str, place: Place | None) -> None:
        if self.values.setdefault(question, answer) != answer:
            first = self.places[question]
            raise SpecError(
                f"{what} is {answer!r} here and {self.values[question]!r} in {first or 'another spec'}",
                place=place,
                remedy="keep one",
            )
        self.places.setdefault(question, place)


def _joined(lists: Iterable[Iterable[_T]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))
