"""``CondaDependencies``: the conda and pip requirements of an environment, as Python code changes them.

The names are the Azure ML v1 SDK's. What differs, and why: docs/migration.md.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from hermetic.errors import SpecError, UsageError
from hermetic.files import write_whole
from hermetic.sdk.attributes import Strict, text_argument
from hermetic.sdk.conda_arguments import demand_option, path_argument, refuse_option, texts_argument
from hermetic.sdk.conda_document import (
    FILE_NAME,
    Document,
    Entry,
    conda_entry,
    document_of,
    document_spec,
    document_text,
    document_values,
    pip_entry,
    pip_lines,
    read_document,
    rebased,
)
from hermetic.sdk.errors import ArgumentError, HermeticWarning, MissingError
from hermetic.spec.matchspec import canonical_match, channel_name
from hermetic.spec.model import PipOptions, PipRequirement, Spec
from hermetic.spec.requirements_txt import Requirements, logical_lines, read_requirements
from hermetic.spec.serialize import conda_text, option_lines
from hermetic.spec.text import quoted, read_text

DEFAULT_NAME = "project_environment"
DEFAULT_CHANNEL = "conda-forge"
PYTHON = "python"


class CondaDependencies(Strict):
    """Channels, conda packages, pip packages and pip options: what an ``environment.yml`` says.

    A new one holds the default channel and ``python`` without a version, which the lock then fixes. Adding a
    package takes the place of an earlier requirement of the same name. Every method reads what it is given at
    once, and raises SpecError (a ValueError) for a text that is no requirement and ArgumentError (a TypeError)
    for a value that is no text. Local paths start from the folder of the file that was read, else from the
    working folder at the time when the object was made.
    """

    _elsewhere = {  # noqa: RUF012
        "add_tensorflow_pip_package": "write add_pip_package('tensorflow'), with a version if need be",
        "add_tensorflow_conda_package": "write add_conda_package('tensorflow'), with a version if need be",
        "add_cntk_package": "CNTK is no longer made; remove the line",
        "sdk_origin_url": "hermetic has no packages of its own to fetch; remove the line",
        "get_default_number_of_packages": "a new one holds python alone; remove the line",
    }

    def __init__(self, conda_dependencies_file_path: str | os.PathLike[str] | None = None) -> None:
        self._root = Path.cwd()
        self._file: Path | None = None
        self._document = Document(DEFAULT_NAME, [DEFAULT_CHANNEL], [Entry(PYTHON)])
        if conda_dependencies_file_path is not None:
            path = path_argument("CondaDependencies", "conda_dependencies_file_path", conda_dependencies_file_path)
            if not path.is_file():
                raise MissingError(f"there is no file {path}", remedy="check the path of the conda specification")
            self._file = path.absolute()
            self._root = self._file.parent
            self._document, notes = read_document(read_text(path), self._file)
            _warn(notes)

    @staticmethod
    def create(
        pip_indexurl: str | None = None,
        pip_packages: Iterable[str] | str | None = None,
        conda_packages: Iterable[str] | str | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,
    ) -> CondaDependencies:
        """Make one from lists of packages. ``pin_sdk_version`` is taken for the sake of old calls and does nothing."""
        del pin_sdk_version
        made = CondaDependencies()
        if python_version is not None:
            made.set_python_version(python_version)
        for package in texts_argument("create", "conda_packages", conda_packages):
            made.add_conda_package(package)
        if pip_indexurl is not None:
            made.set_pip_index_url(pip_indexurl)
        for package in texts_argument("create", "pip_packages", pip_packages):
            made.add_pip_package(package)
        return made

    @classmethod
    def from_text(cls, text: str, root: str | os.PathLike[str] | None = None) -> Self:
        """Read the text of an ``environment.yml``; its relative paths start from ``root`` (default: working folder)."""
        made = cls()
        made._root = (path_argument("from_text", "root", root) if root is not None else Path.cwd()).absolute()
        made._document, notes = read_document(text, made._root / FILE_NAME)
        _warn(notes)
        return made

    @classmethod
    def from_requirements(cls, file_path: str | os.PathLike[str]) -> Self:
        """Make one from a pip requirements file, read as pip reads it: ``-r``, ``-c``, digests and options included."""
        made = cls()
        path = path_argument("from_requirements", "file_path", file_path).absolute()
        if not path.is_file():
            raise MissingError(f"there is no file {path}", remedy="check the path of the requirements file")
        made._root = path.parent
        found = read_requirements(path)
        made._take(found)
        return made

    @classmethod
    def from_spec(cls, spec: Spec, root: str | os.PathLike[str] | None = None) -> Self:
        """Make one that says what a Spec says of channels, requirements and variables."""
        made = cls()
        made._root = (path_argument("from_spec", "root", root) if root is not None else Path.cwd()).absolute()
        made._document = document_of(spec, DEFAULT_NAME)
        return made

    # Channels

    @property
    def conda_channels(self) -> Iterator[str]:
        """The channels, in order of priority."""
        return iter(list(self._document.channels))

    def add_channel(self, channel: str) -> None:
        """Add a channel, by name or URL, behind those that are there; one that is there keeps its place."""
        name = channel_name(text_argument("add_channel", "channel", channel))
        if name not in self._document.channels:
            self._document.channels.append(name)

    def remove_channel(self, channel: str) -> None:
        """Remove a channel, if it is there."""
        name = channel_name(text_argument("remove_channel", "channel", channel))
        self._document.channels = [item for item in self._document.channels if item != name]

    # Conda packages

    @property
    def conda_packages(self) -> Iterator[str]:
        """The conda requirements, as they were written."""
        return iter([entry.text for entry in self._document.conda])

    def add_conda_package(self, conda_package: str) -> None:
        """Add a conda requirement in any spelling of conda's; it takes the place of others of the same package."""
        name, entry = conda_entry(text_argument("add_conda_package", "conda_package", conda_package))
        self._document.conda = _put(self._document.conda, entry, lambda other: conda_entry(other.text)[0] == name)

    def remove_conda_package(self, conda_package: str) -> None:
        """Remove a conda package by its name (a version, if given, does not count), if it is there."""
        name, _ = conda_entry(text_argument("remove_conda_package", "conda_package", conda_package))
        self._document.conda = [other for other in self._document.conda if conda_entry(other.text)[0] != name]

    def get_python_version(self) -> str | None:
        """Give the version that is asked of Python: ``3.11``, a range such as ``>=3.9,<3.13``, or None for any."""
        for entry in self._document.conda:
            found = canonical_match(entry.text)
            if found.name == PYTHON:
                text = conda_text(replace(found, channel="", match=" ".join(found.match.split(" ")[:2])))
                return text.removeprefix(PYTHON).strip().lstrip("=") or None
        return None

    def set_python_version(self, version: str) -> None:
        """Ask for a version of Python: ``3.11`` (any 3.11), ``==3.11.4``, or a range such as ``>=3.9,<3.13``."""
        if isinstance(version, float | int) and not isinstance(version, bool):
            raise ArgumentError(
                f"set_python_version: {version} is a number, and 3.10 would be read as 3.1",
                remedy='put the version in quotation marks: "3.10"',
            )
        text = text_argument("set_python_version", "version", version)
        compact = re.sub(r"\s*([<>=!~,|])\s*", r"\1", text.strip())
        if not re.match(r"(?:[<>=!~]=?)?\d\S*\Z", compact):
            raise SpecError(
                f"set_python_version: {quoted(text)} is no version of Python",
                remedy='write "3.11", "==3.11.4" or ">=3.9,<3.13"',
            )
        self.add_conda_package(f"{PYTHON}={compact}" if compact[0].isdigit() else f"{PYTHON}{compact}")

    # Pip packages

    @property
    def pip_packages(self) -> Iterator[str]:
        """The pip requirements, as they were written."""
        return iter([entry.text for entry in self._document.pip])

    def add_pip_package(self, pip_package: str) -> None:
        """Add a pip requirement: PEP 508, a URL, a path, ``-e`` with a path or VCS URL.

        It takes the place of requirements of the same project, whatever the spelling of its name; those with
        another environment marker stay.
        """
        text = text_argument("add_pip_package", "pip_package", pip_package)
        refuse_option("add_pip_package", text)
        found = self._read(text)
        if len(found.pip) != 1 or found.options != PipOptions() or found.constraints:
            raise UsageError(
                f"add_pip_package: {text[:80]!r} is no single requirement",
                remedy="read whole files with Environment.from_pip_requirements",
            )
        requirement = found.pip[0]
        entry = pip_entry(requirement, "" if text.startswith("-") else text)
        self._document.pip = _put(self._document.pip, entry, lambda other: self._replaced(other, requirement))

    def remove_pip_package(self, pip_package: str) -> None:
        """Remove a project's requirements by its name (a version, if given, does not count), if it is there."""
        text = text_argument("remove_pip_package", "pip_package", pip_package)
        refuse_option("remove_pip_package", text)
        found = self._read(text).pip
        names = {item.name or item.url for item in found}
        self._document.pip = [
            entry
            for entry in self._document.pip
            if not names & {item.name or item.url for item in self._read(entry.text).pip}
        ]

    def set_pip_requirements(self, pip_requirements: Iterable[str] | str) -> None:
        """Put the lines of a requirements file in the place of all pip packages and options."""
        lines = texts_argument("set_pip_requirements", "pip_requirements", pip_requirements, lines=True)
        found = pip_lines((line for _, line in logical_lines("\n".join(lines))), self._root)
        self._document.pip, self._document.constraints = [], []
        self._document.options = PipOptions()
        self._take(found)

    @property
    def pip_options(self) -> Iterator[str]:
        """The options of pip, one a line: ``--index-url URL``, ``--extra-index-url URL``, ``--pre`` ..."""
        return iter(list(option_lines(self._document.options)))

    @property
    def pip_constraints(self) -> Iterator[str]:
        """Limits on versions that require nothing by themselves, as in ``pip -c``."""
        return iter([entry.text for entry in self._document.constraints])

    def set_pip_option(self, pip_option: str) -> None:
        """Set an option of requirements files; those that pip takes several times are added to."""
        text = text_argument("set_pip_option", "pip_option", pip_option)
        demand_option("set_pip_option", text)
        found = self._read(text)
        _warn(found.warnings)
        kept = replace(self._document.options, index="") if found.options.index else self._document.options
        self._document.options = pip_lines([*option_lines(kept), text], self._root).options

    def remove_pip_option(self, pip_option: str) -> None:
        """Remove an option by its name; with a value, only that value of it."""
        text = text_argument("remove_pip_option", "pip_option", pip_option)
        demand_option("remove_pip_option", text)
        name, _, value = text.replace("=", " ", 1).partition(" ")
        lines = [f"{name} {value.strip()}".strip()] if value.strip() else []
        doomed = set(option_lines(self._read(lines[0]).options)) if lines else set()
        rest = [
            line
            for line in option_lines(self._document.options)
            if not (line in doomed if doomed else line.partition(" ")[0] == name)
        ]
        self._document.options = pip_lines(rest, self._root).options

    def set_pip_index_url(self, index_url: str) -> None:
        """Set the index that pip packages come from, as a URL or as ``--index-url URL``."""
        text = text_argument("set_pip_index_url", "index_url", index_url)
        self.set_pip_option(text if text.startswith("-") else f"--index-url {text}")

    @staticmethod
    def merge_requirements(requirements: Iterable[str]) -> list[str]:
        """Give a list of pip requirements with all that concerns one project in one line, in canonical text.

        Specifiers and extras are joined; requirements with different markers, or of URLs, stay apart.
        """
        merged: dict[tuple[str, str, str], PipRequirement] = {}
        for line in texts_argument("merge_requirements", "requirements", requirements):
            for item in pip_lines([line], Path.cwd()).pip:
                key = (item.name, item.marker, item.url)
                one = merged.get(key, item)
                terms = {term for term in (*one.specifier.split(","), *item.specifier.split(",")) if term}
                merged[key] = replace(
                    one,
                    extras=tuple(sorted({*one.extras, *item.extras})),
                    specifier=",".join(sorted(terms)),
                    hashes=tuple(sorted({*one.hashes, *item.hashes})),
                )
        return [pip_entry(item).text for item in merged.values()]

    # Files and values

    def save(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the dependencies to a file (default: the one that they were read from); give its path."""
        if path is None and self._file is None:
            raise UsageError("save: these dependencies were read from no file", remedy="give save a path")
        target = path_argument("save", "path", path) if path is not None else self._file
        assert target is not None
        if target.is_dir():
            raise UsageError(f"save: {target} is a folder", remedy=f"give the file's path: {target / FILE_NAME}")
        write_whole(target, self.text_for(target.absolute().parent))
        return str(target)

    def save_to_file(
        self, base_directory: str | os.PathLike[str], conda_file_path: str | os.PathLike[str] | None = None
    ) -> str:
        """Write the dependencies to ``conda_file_path`` in a folder; give that path."""
        relative = path_argument(
            "save_to_file", "conda_file_path", FILE_NAME if conda_file_path is None else conda_file_path
        )
        self.save(path_argument("save_to_file", "base_directory", base_directory) / relative)
        return str(relative)

    def serialize_to_string(self) -> str:
        """Give the dependencies as the text of an ``environment.yml``, which conda and hermetic read."""
        return document_text(self._document)

    def as_dict(self) -> dict[str, Any]:
        """Give the dependencies as the plain values that reading their YAML gives."""
        return document_values(self._document)

    def to_spec(self) -> Spec:
        """Give the dependencies as a Spec; its relative paths start from ``root``."""
        return document_spec(self._document, self._root)

    @property
    def root(self) -> Path:
        """The folder that relative paths in requirements start from."""
        return self._root

    def text_for(self, folder: Path) -> str:
        """Give the text as it must stand in a folder, with relative paths that start from there."""
        return document_text(rebased(self._document, self._root, folder.absolute()))

    def __repr__(self) -> str:
        packages = ", ".join([*self.conda_packages, *self.pip_packages])
        return f"CondaDependencies({packages})"

    def _read(self, text: str) -> Requirements:
        return pip_lines([text], self._root)

    def _take(self, found: Requirements) -> None:
        """Add what requirements files say to an object that has no pip side yet."""
        _warn(found.warnings)
        self._document.pip = list(dict.fromkeys(pip_entry(item) for item in found.pip))
        self._document.constraints = list(dict.fromkeys(Entry(item.text, item.platforms) for item in found.constraints))
        self._document.options = found.options

    def _replaced(self, entry: Entry, by: PipRequirement) -> bool:
        """Tell whether a new requirement takes the place of one that is there."""
        other = self._read(entry.text).pip[0]
        if (other.name or other.url) != (by.name or by.url):
            return False
        return not by.marker or not other.marker or other.marker == by.marker


def _put(entries: list[Entry], entry: Entry, same: Callable[[Entry], bool]) -> list[Entry]:
    """Put an entry in the place of the first that is the same, and drop the others; at the end if none is."""
    found: list[Entry] = []
    placed = False
    for other in entries:
        if not same(other):
            found.append(other)
        elif not placed:
            found.append(entry)
            placed = True
    return found if placed else [*found, entry]


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note, HermeticWarning, stacklevel=3)
