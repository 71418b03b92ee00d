"""Spec files to one Spec: looks at each file's name and content, reads it, merges what several say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hermetic.errors import Place, SpecError
from hermetic.platforms import Accelerator, check_platform
from hermetic.spec.model import MAIN, PipOptions, Spec

_T = TypeVar("_T")


@dataclass(frozen=True)
class LoadedSpec:
    """A Spec, what its file calls it (may be empty), every file that was read for it, and what to tell the user."""

    spec: Spec
    name: str = ""
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


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
    if path.is_dir():
        raise SpecError("this is a folder", place=Place(str(path)), remedy="name a spec file in it")
    name = path.name.lower()
    if name == "pyproject.toml":
        raise SpecError(f"not yet {extras} {groups}", place=Place(str(path)))
    if name.endswith((".yml", ".yaml")):
        from hermetic.spec.environment_yml import read_environment_yml

        found = read_environment_yml(path, root=root)
        return LoadedSpec(found.spec, found.name, tuple(found.files), tuple(found.warnings))
    from hermetic.spec.requirements_txt import read_requirements

    requirements = read_requirements(path, root=root)
    spec = Spec(pip=tuple(requirements.pip), constraints=tuple(requirements.constraints), options=requirements.options)
    return LoadedSpec(spec, "", tuple(requirements.files), tuple(requirements.warnings))


def merge(loaded: Sequence[LoadedSpec]) -> LoadedSpec:
    """Merge Specs: lists are joined in order without duplicates; two different answers to one question are an error."""
    if len(loaded) == 1:
        return loaded[0]
    specs = [(item.spec, str(item.files[0]) if item.files else "a spec") for item in loaded]
    variables: dict[str, tuple[str, str]] = {}
    system: dict[str, tuple[str, str]] = {}
    accelerator: tuple[Accelerator, str] | None = None
    base: tuple[str, str] | None = None
    for spec, file in specs:
        for what, table, pairs in (
            ("the variable", variables, spec.variables),
            ("the system property", system, spec.system),
        ):
            for name, value in pairs:
                _agree(f"{what} {name}", table.get(name), (value, file))
                table[name] = (value, file)
        if spec.accelerator != Accelerator():
            _agree("the accelerator", accelerator, (spec.accelerator, file))
            accelerator = (spec.accelerator, file)
        if spec.base:
            _agree("the base", base, (spec.base, file))
            base = (spec.base, file)
    return LoadedSpec(
        Spec(
            channels=_joined(spec.channels for spec, _ in specs),
            conda=_joined(spec.conda for spec, _ in specs),
            pip=_joined(spec.pip for spec, _ in specs),
            constraints=_joined(spec.constraints for spec, _ in specs),
            options=_merge_options([(spec.options, file) for spec, file in specs]),
            exact=_joined(spec.exact for spec, _ in specs),
            variables=tuple((name, value) for name, (value, _) in variables.items()),
            platforms=_joined(spec.platforms for spec, _ in specs),
            accelerator=accelerator[0] if accelerator else Accelerator(),
            system=tuple((name, value) for name, (value, _) in system.items()),
            base=base[0] if base else "",
            source_builds=_joined(spec.source_builds for spec, _ in specs),
        ),
        next((item.name for item in loaded if item.name), ""),
        _joined(item.files for item in loaded),
        _joined(item.warnings for item in loaded),
    )


def _agree(what: str, old: tuple[object, str] | None, new: tuple[object, str]) -> None:
    if old and old[0] != new[0]:
        raise SpecError(
            f"{what} is {str(new[0])!r} here and {str(old[0])!r} in {old[1]}", place=Place(new[1]), remedy="keep one"
        )


def _joined(lists: Iterable[Iterable[_T]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def _merge_options(found: Sequence[tuple[PipOptions, str]]) -> PipOptions:
    index: tuple[str, str] | None = None
    for options, file in found:
        if options.index:
            _agree("the package index", index, (options.index, file))
            index = (options.index, file)
    only, no = _joined(o.only_binary for o, _ in found), _joined(o.no_binary for o, _ in found)
    return PipOptions(
        index=index[0] if index else "",
        extra_indexes=_joined(options.extra_indexes for options, _ in found),
        find_links=_joined(options.find_links for options, _ in found),
        no_index=any(options.no_index for options, _ in found),
        only_binary=(":all:",) if ":all:" in only else tuple(sorted(only)),
        no_binary=(":all:",) if ":all:" in no else tuple(sorted(no)),
        pre=any(options.pre for options, _ in found),
    )
