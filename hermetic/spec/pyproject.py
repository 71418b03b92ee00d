"""``pyproject.toml``: PEP 621 dependencies and extras, PEP 735 groups, and conda-lock's own table.

``requires-python`` becomes a conda requirement of python: PEP 440 and MatchSpec agree on every operator but
``===``. conda-lock would turn pip names into conda names; here a dependency of a Python project stays a pip
requirement, and what should come from conda is named in ``[tool.conda-lock.dependencies]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hermetic.errors import SpecError, UsageError
from hermetic.platforms import check_platform
from hermetic.spec.matchspec import canonical_match, channel_name
from hermetic.spec.model import MAIN, CondaRequirement, PipOptions, PipRequirement, Spec
from hermetic.spec.passwords import spec_url
from hermetic.spec.pep508 import Origin, normal_name, pip_requirement
from hermetic.spec.text import quoted
from hermetic.spec.toml_file import TomlFile, read_toml
from hermetic.spec.urls import is_url

_CONDA_LOCK = ("channels", "platforms", "dependencies", "pip-repositories", "allow-pypi-requests")
_NO_EFFECT = "default-non-conda-source"


@dataclass(frozen=True)
class Project:
    """What a ``pyproject.toml`` says for the chosen extras and groups."""

    spec: Spec
    name: str = ""
    warnings: tuple[str, ...] = ()


def read_pyproject(path: Path, *, extras: Sequence[str] = (), groups: Sequence[str] = (), prefix: str = ".") -> Project:
    """Read a ``pyproject.toml``. ``prefix`` leads from the spec's root to its folder.

    Raises SpecError with file, line and remedy: for dependencies that are dynamic or only Poetry's too.
    """
    reader = _Reader(read_toml(path), prefix)
    return reader.read(extras, groups)


class _Reader:
    def __init__(self, file: TomlFile, prefix: str) -> None:
        self.file = file
        self.prefix = prefix
        self.name = ""
        self.warnings: list[str] = []

    def read(self, extras: Sequence[str], groups: Sequence[str]) -> Project:
        file = self.file
        self.check_source()
        self.name = file.text_at("project", "name")
        pip = [
            self.requirement(text, MAIN, "project", "dependencies") for text in self.texts("project", "dependencies")
        ]
        for extra in extras:
            pip += self.of_extra(extra)
        for group in groups:
            pip += self.of_group(group, (), group)
        table = self.conda_lock()
        constraints: list[PipRequirement] = []
        spec = Spec(
            channels=self.channels(),
            conda=(*self.python(), *self.conda(pip, constraints)),
            pip=tuple(pip),
            constraints=tuple(constraints),
            options=self.options(table),
            platforms=self.platforms(),
        )
        return Project(spec, self.name, tuple(self.warnings))

    def check_source(self) -> None:
        """Refuse files whose dependencies stand nowhere that a reader without their build tool could see."""
        file = self.file
        project, poetry = file.table("project"), file.table("tool", "poetry")
        dynamic = self.texts("project", "dynamic")
        if "dependencies" in dynamic:
            source = file.values.get("tool", {}).get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
            files = source.get("file") if isinstance(source, Mapping) else None
            named = files if isinstance(files, str) else (files[0] if isinstance(files, list) and files else None)
            remedy = "list them in [project] dependencies, or name a requirements file as the spec"
            raise file.error(
                "the project's dependencies are dynamic: only its build tool knows them",
                f"name {named} as the spec file" if isinstance(named, str) else remedy,
                "project",
                "dynamic",
            )
        if poetry.get("dependencies") and "dependencies" not in project:
            raise file.error(
                "the dependencies are in Poetry's own table, in Poetry's own syntax",
                "move them to [project] dependencies (PEP 621, which Poetry 2 reads), or name what "
                "'poetry export' writes as the spec file",
                "tool", "poetry", "dependencies",
            )  # fmt: skip
        if not project and not file.table("dependency-groups") and not file.table("tool", "conda-lock"):
            raise file.error("no [project] table: nothing is declared here", "add [project] with dependencies = [...]")

    def texts(self, *keys: str) -> Sequence[str]:
        return self.file.texts_at(*keys)

    def requirement(self, text: str, category: str, *keys: str) -> PipRequirement:
        origin = Origin(self.file.item_place(text, *keys), self.prefix, (), category)
        found = pip_requirement(text, origin)
        if not found.name:
            raise SpecError(
                f"{quoted(text)} has no name", place=origin.place, remedy="write it as PEP 508 does: name @ URL"
            )
        return found

    def of_extra(self, extra: str) -> list[PipRequirement]:
        """Give an extra's requirements; an extra that names its own project's extras includes them."""
        keys = ("project", "optional-dependencies")
        table = self.names(*keys)
        found: list[PipRequirement] = []
        seen: set[str] = set()
        todo = [normal_name(extra)]
        if todo[0] not in table:
            self.unknown("extra", extra, table, *keys)
        while todo:
            name = todo.pop(0)
            if name in seen:
                continue
            seen.add(name)
            if name not in table:
                self.unknown("extra", name, table, *keys)
            for text in self.texts(*keys, table[name]):
                item = self.requirement(text, extra, *keys, table[name])
                if item.name == normal_name(self.name) and self.name and not item.url:
                    todo += item.extras
                else:
                    found.append(item)
        return found

    def of_group(self, group: str, above: tuple[str, ...], category: str) -> list[PipRequirement]:
        """Give a dependency group's requirements, the groups that it includes among them (PEP 735)."""
        table = self.names("dependency-groups")
        name = normal_name(group)
        if name not in table:
            self.unknown("dependency group", group, table, "dependency-groups")
        key = table[name]
        if name in above:
            raise self.file.error(
                f"the groups include each other: {' -> '.join((*above, name))}",
                "remove one include-group", "dependency-groups", key,
            )  # fmt: skip
        entries = self.file.table("dependency-groups")[key]
        if not isinstance(entries, list):
            raise self.file.error("a dependency group is a list", f'write {key} = ["..."]', "dependency-groups", key)
        found: list[PipRequirement] = []
        for entry in entries:
            if isinstance(entry, str):
                found.append(self.requirement(entry, category, "dependency-groups", key))
            elif (
                isinstance(entry, Mapping)
                and set(entry) == {"include-group"}
                and isinstance(entry["include-group"], str)
            ):
                found += self.of_group(entry["include-group"], (*above, name), category)
            else:
                raise self.file.error(
                    f"the dependency group {key} has an entry that is neither a requirement nor an include",
                    'write "name>=1" or {include-group = "other"}', "dependency-groups", key,
                )  # fmt: skip
        return found

    def names(self, *keys: str) -> dict[str, str]:
        """Give a table's keys by their normalised names; two keys of one name are an error."""
        found: dict[str, str] = {}
        for key in self.file.table(*keys):
            name = normal_name(key)
            if name in found:
                raise self.file.error(f"{quoted(found[name])} and {quoted(key)} are one name", "merge them", *keys, key)
            found[name] = key
        return found

    def unknown(self, what: str, name: str, known: Iterable[str], *keys: str) -> None:
        names = sorted(known)
        close = get_close_matches(normal_name(name), names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names) or 'none'}"
        raise self.file.error(f"no {what} {quoted(name)}", hint, *keys)

    def python(self) -> list[CondaRequirement]:
        """Give ``requires-python`` as a conda requirement."""
        keys = ("project", "requires-python")
        text = self.file.text_at(*keys).strip()
        if not text:
            return []
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        remedy = 'write requires-python = ">=3.11"'
        try:
            specifiers = SpecifierSet(text)
        except InvalidSpecifier:
            raise self.file.error(f"{quoted(text)} is no version specifier (PEP 440)", remedy, *keys) from None
        if any(item.operator == "===" for item in specifiers):
            raise self.file.error("=== has no meaning for conda", remedy, *keys)
        return [canonical_match(f"python {','.join(sorted(map(str, specifiers)))}", self.file.place(*keys))]

    def conda_lock(self) -> Mapping[str, Any]:
        table = self.file.table("tool", "conda-lock")
        self.file.only((*_CONDA_LOCK, _NO_EFFECT), "tool", "conda-lock")
        if table.get(_NO_EFFECT, "pip") != "pip":
            place = self.file.place("tool", "conda-lock", _NO_EFFECT)
            self.warnings.append(
                f"{place}: {_NO_EFFECT} is not used: [project] dependencies stay pip's; "
                "name those that conda should give in [tool.conda-lock.dependencies]"
            )
        return table

    def conda(self, pip: list[PipRequirement], constraints: list[PipRequirement]) -> list[CondaRequirement]:
        """Give what ``[tool.conda-lock.dependencies]`` asks of conda.

        Such a package leaves the pip side; what is asked of its version there still holds, as a constraint.
        """
        keys = ("tool", "conda-lock", "dependencies")
        found = []
        for name, value in self.file.table(*keys).items():
            if isinstance(value, Mapping) and value.get("source") == "pypi" and set(value) <= {"source"}:
                continue  # pip's already
            if isinstance(value, Mapping) and set(value) <= {"version", "channel", "build", "source"}:
                fields = {key: str(value[key]) for key in ("version", "channel", "build") if key in value}
                inside = ", ".join(f'{key}="{text}"' for key, text in fields.items())
                text = f"{name}[{inside}]" if inside else name
            elif isinstance(value, str):
                text = f"{name} {value}".strip()
            else:
                raise self.file.error(f"{quoted(name)} has no version", f'write {name} = ">=1.2"', *keys, name)
            found.append(canonical_match(text, self.file.place(*keys, name)))
        conda = {item.name for item in found}
        constraints += [replace(item, extras=()) for item in pip if item.name in conda and item.specifier]
        pip[:] = [item for item in pip if item.name not in conda or item.url or item.extras]
        return found

    def channels(self) -> tuple[str, ...]:
        keys = ("tool", "conda-lock", "channels")
        names = [channel_name(text, self.file.item_place(text, *keys)) for text in self.texts(*keys)]
        return tuple(dict.fromkeys(name for name in names if name and name != "nodefaults"))

    def platforms(self) -> tuple[str, ...]:
        keys = ("tool", "conda-lock", "platforms")
        found = []
        for text in self.texts(*keys):
            try:
                found.append(check_platform(text))
            except UsageError as error:
                raise SpecError(error.message, place=self.file.item_place(text, *keys), remedy=error.remedy) from None
        return tuple(found)

    def options(self, table: Mapping[str, Any]) -> PipOptions:
        keys = ("tool", "conda-lock", "pip-repositories")
        urls = []
        for text in self.texts(*keys):
            place = self.file.item_place(text, *keys)
            if not is_url(text):
                raise SpecError("a repository is a URL", place=place, remedy="write https://host/simple")
            urls.append(spec_url(text, place, fragment=False).rstrip("/"))
        allow = table.get("allow-pypi-requests", True)
        if not isinstance(allow, bool):
            raise self.file.error(
                "allow-pypi-requests is true or false", "write true or false", *keys[:2], "allow-pypi-requests"
            )
        if allow:
            return PipOptions(extra_indexes=tuple(dict.fromkeys(urls)))
        return (
            PipOptions(index=urls[0], extra_indexes=tuple(dict.fromkeys(urls[1:])))
            if urls
            else PipOptions(no_index=True)
        )
