"""pip requirements files, with everything in them that says what to install.

Format: pip's "Requirements File Format". ``-r`` and ``-c`` are relative to the file that names them, and so
are local paths here (pip takes those relative to the working folder, which is no property of a spec).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hermetic.errors import Place, SpecError
from hermetic.spec.model import PipOptions, PipRequirement
from hermetic.spec.passwords import spec_url
from hermetic.spec.pep508 import Origin, local_path, normal_name, path_prefix, pip_requirement
from hermetic.spec.private_urls import is_private
from hermetic.spec.text import quoted, read_text
from hermetic.spec.urls import carries_secret, is_url

_COMMENT = re.compile(r"(?:^|\s)#")
_OPTION_TAIL = re.compile(r"\s--?[A-Za-z]")
_MAX_DEPTH = 40

_SHORT = {"-i": "--index-url", "-f": "--find-links", "-r": "--requirement", "-c": "--constraint", "-e": "--editable"}
_WITH_VALUE = {
    "--index-url", "--pypi-url", "--extra-index-url", "--find-links", "--no-binary", "--only-binary", "--requirement",
    "--constraint", "--editable", "--trusted-host", "--use-feature",
}  # fmt: skip
_FLAGS = {"--no-index", "--pre", "--prefer-binary", "--require-hashes"}
_OF_THE_MACHINE = {"--trusted-host": "trust in a host", "--use-feature": "pip's features"}


@dataclass
class Requirements:
    """What the lines of requirements files add up to."""

    pip: list[PipRequirement] = field(default_factory=list)
    constraints: list[PipRequirement] = field(default_factory=list)
    options: PipOptions = PipOptions()
    index_place: Place | None = None
    files: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    require_hashes: bool = False


def read_requirements(path: Path, *, root: Path | None = None) -> Requirements:
    """Read a requirements file and those it includes. Local paths become relative to ``root`` (its folder).

    Raises SpecError with file, line and remedy for what pip would refuse too, and for what is not its file's
    business: options of one installation (``--no-deps``) or of the build of one sdist (``--global-option``).
    """
    found = Requirements()
    reader = _Reader(found, root or path.parent)
    reader.file(path, constraint=False, above=())
    reader.finish()
    return found


def read_lines(lines: Iterator[tuple[str, Origin]], file: Path, root: Path) -> Requirements:
    """Read requirement lines that stand in another file, as in ``- pip:`` of an ``environment.yml``."""
    found = Requirements()
    reader = _Reader(found, root)
    for text, origin in lines:
        reader.line(_uncommented(text), origin, file, constraint=False, above=(file,))
    reader.finish()
    return found


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give a requirements file's lines, continuations joined and comments removed, with their 1-based numbers."""
    pending: list[str] = []
    first = 0
    for number, raw in enumerate(text.split("\n"), 1):
        first = first if pending else number
        is_comment = raw.lstrip().startswith("#")  # it ends a continuation, whatever it ends in itself
        if raw.endswith("\\") and not is_comment:
            pending.append(raw.strip("\\"))
            continue
        line = _uncommented("".join([*pending, " " if is_comment else "", raw]))
        pending = []
        if line:
            yield first, line
    if line := _uncommented("".join(pending)):
        yield first, line


def _uncommented(line: str) -> str:
    found = _COMMENT.search(line)
    return (line[: found.start()] if found else line).strip()


class _Reader:
    """Reads lines into ``Requirements``; holds what one reading needs and nothing longer."""

    def __init__(self, found: Requirements, root: Path) -> None:
        self.found = found
        self.root = root

    def file(self, path: Path, *, constraint: bool, above: tuple[Path, ...], by: Place | None = None) -> None:
        if os.path.realpath(path) in {os.path.realpath(other) for other in above}:
            names = " -> ".join(str(other) for other in (*above, path))
            raise SpecError(f"the files include each other: {names}", place=by, remedy="remove one -r or -c")
        if len(above) > _MAX_DEPTH:
            raise SpecError("too many files include each other", place=by, remedy="put them into one file")
        text = read_text(path)
        self.found.files.append(path)
        prefix = path_prefix(path, self.root)
        for number, line in logical_lines(text):
            origin = Origin(Place(str(path), number), prefix)
            self.line(line, origin, path, constraint=constraint, above=(*above, path))

    def line(self, line: str, origin: Origin, file: Path, *, constraint: bool, above: tuple[Path, ...]) -> None:
        """Read one logical line: options, or a requirement with its own options."""
        if not line:
            return
        if not line.startswith("-"):
            self.requirement(line, origin, editable=False, constraint=constraint)
            return
        for option, value in self.options(line, origin.place):
            if option == "--editable":
                self.requirement(value, origin, editable=True, constraint=constraint)
            elif option in {"--requirement", "--constraint"}:
                self.include(value, origin, file, constraint=constraint or option == "--constraint", above=above)
            else:
                self.option(option, value, origin)

    def options(self, line: str, place: Place | None) -> Iterator[tuple[str, str]]:
        if line.startswith(("-e", "--editable")):  # its value may hold spaces and markers
            text = re.sub(r"\A(--editable|-e)[\s=]*", "", line)
            inside = re.fullmatch(r"""(['"])(.*)\1""", text.strip())
            yield "--editable", inside[2] if inside else text.strip()
            return
        try:
            words = shlex.split(line)
        except ValueError:
            raise SpecError("a quotation mark is missing", place=place, remedy="close it") from None
        while words:
            word = words.pop(0)
            option, equals, value = word.partition("=")
            if word[:2] in _SHORT and not word.startswith("--") and len(word) > 2:
                option, equals, value = word[:2], "=", word[2:].removeprefix("=")
            option = _SHORT.get(option, option)
            if option in _FLAGS:
                yield option, ""
                continue
            if option not in _WITH_VALUE:
                raise SpecError(
                    f"{quoted(option)} has no place in a spec"
                    if option.startswith("-")
                    else f"unexpected {quoted(word)}",
                    place=place,
                    remedy="a spec says what to install; remove what says how",
                )
            if not equals:
                if not words:
                    raise SpecError(f"{option} needs a value", place=place, remedy=f"write {option} VALUE")
                value = words.pop(0)
            yield option, value

    def include(self, value: str, origin: Origin, file: Path, *, constraint: bool, above: tuple[Path, ...]) -> None:
        if is_url(value):
            raise SpecError(
                "a requirements file at a URL would make the spec depend on the network",
                place=origin.place,
                remedy="download it, commit it next to this file, and name it by its path",
            )
        if "${" in value:
            raise SpecError("a variable in a path", place=origin.place, remedy="write the path itself")
        path = file.parent / value
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            remedy = "paths after -r and -c start at this file"
            raise SpecError(f"there is no file {quoted(value)}", place=origin.place, remedy=remedy)
        before = len(self.found.pip), len(self.found.constraints)
        self.file(path, constraint=constraint, above=above, by=origin.place)
        for kind, start in ((self.found.pip, before[0]), (self.found.constraints, before[1])):
            kind[start:] = [
                replace(item, platforms=origin.platforms, category=origin.category) for item in kind[start:]
            ]

    def option(self, option: str, value: str, origin: Origin) -> None:
        options = self.found.options
        if option in {"--index-url", "--pypi-url"}:
            url = self.url(value, origin)
            if options.index and options.index != url:
                raise SpecError(
                    f"a second --index-url; the first is at {self.found.index_place}",
                    place=origin.place,
                    remedy="keep one, and name others with --extra-index-url",
                )
            options, self.found.index_place = replace(options, index=url), origin.place
        elif option == "--extra-index-url":
            options = replace(options, extra_indexes=_append(options.extra_indexes, self.url(value, origin)))
        elif option == "--find-links":
            options = replace(options, find_links=_append(options.find_links, self.find_links(value, origin)))
        elif option in {"--no-binary", "--only-binary"}:
            options = _binary(options, option, value)
        elif option == "--no-index":
            options = replace(options, no_index=True)
        elif option == "--pre":
            options = replace(options, pre=True)
        elif option == "--require-hashes":
            self.found.require_hashes = True
        elif option in _OF_THE_MACHINE:
            self.warn(f"{option} is not used: {_OF_THE_MACHINE[option]} is the machine's configuration", origin)
        # --prefer-binary needs nothing: wheels are what hermetic installs.
        self.found.options = options

    def warn(self, message: str, origin: Origin) -> None:
        self.found.warnings.append(f"{origin.place}: {message}" if origin.place else message)

    def url(self, value: str, origin: Origin) -> str:
        if not is_url(value) and not value.startswith("${"):
            raise SpecError("an index needs a URL", place=origin.place, remedy="write https://host/simple")
        if carries_secret(value):
            self.warn("the password in the URL is not kept; write ${VARIABLE} in its place", origin)
        if value.startswith("${"):
            return value.rstrip("/")
        return spec_url(value, origin.place, fragment=False).rstrip("/")

    def find_links(self, value: str, origin: Origin) -> str:
        if is_url(value) and not value.lower().startswith("file:"):
            return self.url(value, origin)
        return local_path(value, origin)

    def requirement(self, line: str, origin: Origin, *, editable: bool, constraint: bool) -> None:
        text, hashes = self.own_options(line, origin.place)
        requirement = pip_requirement(text, origin, editable=editable, hashes=hashes)
        if carries_secret(re.sub(r"\A[^:/]*@\s*", "", text)):
            self.warn("the password in the URL is not kept; write ${VARIABLE} in its place", origin)
        if constraint:
            if requirement.extras or not requirement.name or editable:
                raise SpecError(
                    "a constraint limits the version of a named package; it has no extras and no path",
                    place=origin.place,
                    remedy="write name>=1,<2",
                )
            self.found.constraints.append(requirement)
        else:
            self.found.pip.append(requirement)

    def own_options(self, line: str, place: Place | None) -> tuple[str, tuple[str, ...]]:
        """Split a requirement from the options behind it; only digests have a place in a spec."""
        found = _OPTION_TAIL.search(line)
        if not found:
            return line, ()
        text, words = line[: found.start()], line[found.start() :].split()
        hashes = []
        while words:
            option, equals, value = words.pop(0).partition("=")
            if option != "--hash":
                raise SpecError(
                    f"{quoted(option)} after a requirement has no place in a spec",
                    place=place,
                    remedy="only --hash=sha256:... stands there",
                )
            if not equals:
                if not words:
                    raise SpecError("--hash needs a value", place=place, remedy="write --hash=sha256:...")
                value = words.pop(0)
            hashes.append(value)
        return text, tuple(hashes)

    def finish(self) -> None:
        if not self.found.require_hashes:
            return
        for requirement in self.found.pip:
            if not requirement.hashes and not is_private(requirement.url):
                raise SpecError(
                    f"--require-hashes is given, and {requirement.text} has no --hash",
                    place=requirement.place,
                    remedy="add --hash=sha256:..., or remove --require-hashes: a lock holds every digest anyway",
                )


def _append(values: tuple[str, ...], value: str) -> tuple[str, ...]:
    return values if value in values else (*values, value)


def _binary(options: PipOptions, option: str, value: str) -> PipOptions:
    """Apply ``--no-binary`` or ``--only-binary`` as pip does: the later word on a project wins."""
    mine = set(options.no_binary if option == "--no-binary" else options.only_binary)
    other = set(options.only_binary if option == "--no-binary" else options.no_binary)
    for item in (part.strip() for part in value.split(",")):
        if item == ":all:":
            mine, other = {":all:"}, set()
        elif item == ":none:":
            mine = set()
        elif item:
            mine.add(normal_name(item))
            other.discard(normal_name(item))
    pair = tuple(sorted(mine)), tuple(sorted(other))
    no_binary, only_binary = pair if option == "--no-binary" else pair[::-1]
    return replace(options, no_binary=no_binary, only_binary=only_binary)
