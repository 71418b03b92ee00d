"""Editing what a project declares: a new manifest, and requirements added to and removed from spec files.

A spec is changed only together with its lock: requirements that cannot be met leave both as they were.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import HermeticError, Place, SpecError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.files import write_whole
from hermetic.platforms import Accelerator, check_platform, check_system
from hermetic.project.layout import MANIFEST
from hermetic.secrets import redact

if TYPE_CHECKING:
    from hermetic.project.locking import LockOutcome
    from hermetic.project.project import Declaration, Project


def init_project(
    folder: str | None,
    name: str,
    *,
    spec_files: Sequence[str] = (),
    channels: Sequence[str] = (),
    platforms: Sequence[str] = (),
    accelerator: str = "",
    system: Sequence[str] = (),
    conda: Sequence[str] = (),
    pip: Sequence[str] = (),
    reporter: Reporter = SILENT,
) -> Path:
    """Declare an environment in a folder's ``hermetic.toml``, which is made if it is not there; give its path.

    ``channels`` are names, addresses, or ``NAME=ADDRESS``; relative paths are the caller's. Without
    ``spec_files`` and requirements, those that lie in the folder of a new project are taken. Raises UsageError if the
    environment is declared already, for files and folders that are not there and for a channel with a password,
    and SpecError for a spec or a manifest that cannot be understood; then nothing is written.
    """
    import tomlkit

    from hermetic.project.spec_files import files_to_declare
    from hermetic.spec.manifest import load_environment, load_manifest, read_manifest
    from hermetic.spec.toml_file import parse_toml

    root = Path(folder or ".").absolute()
    if not root.is_dir():
        raise UsageError(f"{folder} is no folder", remedy="make it first")
    path = root / MANIFEST
    if path.exists() and name in load_manifest(path).environments:
        raise UsageError(
            f"the environment {name!r} is declared already",
            place=Place(str(path)),
            remedy="add packages to it with 'hermetic add', edit the file for the rest, or give another name",
        )
    for item in spec_files:
        if not Path(item).exists():
            raise UsageError(f"there is no {item}", remedy="correct the path after --from")
    files = [_from(root, item) for item in spec_files]
    if not files and not conda and not pip and not path.exists():
        files, left = files_to_declare(root)
        for item in left:
            reporter.warn(f"{item} is not read: to declare its dependencies too, give it with --from")
    addresses: dict[str, str] = {}
    for item in channels:
        if (named := check_channel(item, root)) and addresses.setdefault(*named) != named[1]:
            raise UsageError(f"the channel {named[0]} has two addresses", remedy="give it one")
    values = {
        "from": files,
        "channels": [item.split("=", 1)[0] if _is_named(item) else item for item in channels]
        or ([] if files else ["conda-forge"]),
        "dependencies": list(conda) or (None if files else []),
        "pip": list(pip),
        "platforms": list(dict.fromkeys(check_platform(item) for item in platforms)),
        "accelerator": str(Accelerator.parse(accelerator)) if accelerator else "",
        "system": _systems(system),
    }
    text = manifest_text(
        {channel: _from(root, text) if _is_path(text) else text for channel, text in addresses.items()},
        name,
        {key: value for key, value in values.items() if value or (key == "dependencies" and value is not None)},
    )
    if path.exists():  # what stands there stays as it is, comments and all
        document, fragment = tomlkit.parse(path.read_text(encoding="utf-8")), tomlkit.parse(text)
        if addresses:
            document.setdefault("channels", tomlkit.table()).update(fragment["channels"])
        document.setdefault("environments", tomlkit.table(is_super_table=True))[name] = fragment["environments"][name]
        text = tomlkit.dumps(document)
    manifest = read_manifest(parse_toml(text, path))  # what is written must be readable: names and the like
    if files:
        load_environment(manifest, name)  # for its error, which names the spec file
    write_whole(path, text)
    return path


def check_channel(text: str, root: Path) -> tuple[str, str] | None:
    """Check a channel as it is typed: ``NAME=ADDRESS``, which is given apart, or a name or an address alone.

    Raises UsageError for a name or an address that is none, a folder that is not there, and a literal password.
    """
    from hermetic.spec.text import quoted
    from hermetic.spec.urls import carries_secret

    name, _, address = text.partition("=") if _is_named(text) else ("", "", text)
    if _is_named(text) and (not name.strip() or not address.strip()):
        raise UsageError(f"{quoted(text)} has no {'address' if name.strip() else 'name'}", remedy="write NAME=ADDRESS")
    if carries_secret(address):
        raise UsageError(
            f"the address of {name or 'a channel'} holds a password or token, and hermetic.toml is to be committed",
            remedy="write ${secret:NAME} in its place, in single quotes, and keep it with 'hermetic secret set NAME'; "
            "or ${VARIABLE}, and set that when you run hermetic",
        )
    if _is_path(address) if name else address.startswith((".", "/", "~")):
        folder = Path(address).expanduser() if name else root / Path(address).expanduser()
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {address}",
                remedy=f"correct the path, or make a channel there: hermetic channel make {address}",
            )
    return (name, address) if name else None


def _is_path(address: str) -> bool:
    return "://" not in address and not address.startswith("${")


def _is_named(channel: str) -> bool:
    name, equals, _ = channel.partition("=")
    return bool(equals) and "/" not in name and ":" not in name


def _from(root: Path, text: str) -> str:
    """Give a path of the caller's relative to the project, as manifests hold paths."""
    relative = os.path.relpath(Path(text).absolute(), root).replace(os.sep, "/")
    return relative if relative.startswith("../") or text == "." else relative.removeprefix("./")


def _systems(items: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, version in map(_system, items):
        if found.setdefault(name, version) != version:
            raise UsageError(f"{name} has two versions: {found[name]} and {version}", remedy="give the older one")
    return found


def _system(item: str) -> tuple[str, str]:
    name, equals, version = item.partition("=")
    if not equals:
        raise UsageError(f"{item!r} is no system property", remedy="write NAME=VERSION, as in glibc=2.35")
    check_system(name, version)
    return name, version


def manifest_text(channels: Mapping[str, str], name: str, values: Mapping[str, Any]) -> str:
    """Write a manifest of one environment: ``values`` are its keys, tables among them stand in one line."""
    import toml

    class Encoder(toml.TomlEncoder):  # type: ignore[type-arg]
        """The library's writer, with lists and tables as people write them."""

        def dump_list(self, v: Iterable[object]) -> str:
            return "[" + ", ".join(str(self.dump_value(item)) for item in v) + "]"

        def dump_value(self, v: object) -> str:
            if isinstance(v, Mapping):
                return "{ " + ", ".join(f"{key} = {self.dump_value(item)}" for key, item in v.items()) + " }"
            if isinstance(
                v, str
            ):  # a TOML string takes JSON's escapes; the library's own stumble over control characters
                return json.dumps(v, ensure_ascii=False).replace("\x7f", "\\u007f")
            return str(super().dump_value(v))

    encoder = Encoder()

    def bare(key: str) -> str:
        return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else str(encoder.dump_value(key))

    lines = ["[channels]", *(f"{bare(key)} = {encoder.dump_value(value)}" for key, value in channels.items()), ""]
    keys = [f"{key} = {encoder.dump_value(value)}" for key, value in values.items()]
    return "\n".join([*(lines if channels else []), f"[environments.{bare(name)}]", *keys, ""])


@dataclass(frozen=True)
class Edit:
    """What an edit came to: the file, each requirement (name, text before, text now), and the lock if it was made."""

    file: Path
    changes: tuple[tuple[str, str, str], ...]
    outcome: LockOutcome | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the edit as JSON values."""
        changes = [{"name": name, "before": before, "now": now} for name, before, now in self.changes]
        locks = [self.outcome.to_dict()] if self.outcome else []
        return {"file": str(self.file), "changes": changes, "locks": locks}


def add_requirements(
    start: str | None,
    name: str | None,
    requirements: Sequence[str],
    *,
    pip: bool = False,
    lock: bool = True,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> Edit:
    """Add requirements to what an environment declares, and lock it; one of the same package is replaced.

    A name alone leaves the bounds of one that is there.
    """
    from hermetic.spec import manifest_edit

    return _edit(
        start,
        name,
        requirements,
        lambda path, text, key: manifest_edit.add_requirements(text, path, requirements, pip=pip, environment=key),
        lock=lock,
        offline=offline,
        reporter=reporter,
        pip=pip,
    )


def remove_requirements(
    start: str | None,
    name: str | None,
    packages: Sequence[str],
    *,
    pip: bool = False,
    lock: bool = True,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> Edit:
    """Remove requirements from what an environment declares, and lock it. Raises UsageError for one not declared."""
    from hermetic.spec import manifest_edit

    return _edit(
        start,
        name,
        packages,
        lambda path, text, key: manifest_edit.remove_requirements(text, path, packages, pip=pip, environment=key),
        lock=lock,
        offline=offline,
        reporter=reporter,
        pip=pip,
    )


def _edit(
    start: str | None,
    name: str | None,
    texts: Sequence[str],
    change: Callable[[Path, str, str], str],
    *,
    pip: bool,
    lock: bool,
    offline: bool,
    reporter: Reporter,
) -> Edit:
    """Change the file that declares an environment, lock, and take the change back if that fails."""
    from hermetic.lock.file import write_lock
    from hermetic.project.locking import lock_declaration
    from hermetic.project.project import open_project
    from hermetic.spec.manifest_edit import conda_name, declared, pip_name

    project = open_project(start)
    with _alone(project, reporter) if lock else nullcontext():
        project = open_project(start)  # another process may have edited it meanwhile
        chosen = project.choose(name)
        path = _declaring_file(project, project.declaration(chosen), pip=pip)
        try:
            before = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise SpecError("the file is not UTF-8", place=Place(str(path)), remedy="save it as UTF-8") from None
        after = change(path, before, chosen)
        was, now = (declared(text, path, pip=pip, environment=chosen) for text in (before, after))
        asked = [pip_name(text) if pip else conda_name(text) for text in texts]
        names = [item for item in dict.fromkeys(asked) if item]
        changes = tuple((item, redact(was.get(item, "")), redact(now.get(item, ""))) for item in names)
        write_whole(path, after)
        try:
            outcome = None
            project = open_project(start)
            declaration = project.declaration(chosen)
            if lock:
                outcome = lock_declaration(project, declaration, offline=offline, reporter=reporter, write=False)
                write_lock(outcome.lock, outcome.path)
        except BaseException as error:  # Ctrl-C too
            write_whole(path, before)
            if isinstance(error, HermeticError) and after != before:  # a place in it may be of what is gone again
                error.remedy = "; ".join(filter(None, [error.remedy, f"{path.name} is as it was: nothing was changed"]))
            raise
    return Edit(path, changes, outcome)


def _alone(project: Project, reporter: Reporter) -> AbstractContextManager[None]:
    """Keep other processes from editing the project: what one adds, another that fails would take back."""
    from hermetic.digest import key
    from hermetic.store import Store

    name = f"edit-{key('edit-lock/1', str(project.layout.root.resolve()))[:32]}"
    return Store.open(project.config().store).lock(name, reporter=reporter)


def _declaring_file(project: Project, declaration: Declaration, *, pip: bool) -> Path:
    """Give the file that a requirement is written to: the one spec file if there is one, else the manifest."""
    if project.manifest is None:
        assert project.layout.spec_file is not None
        files: tuple[Path, ...] = (project.layout.spec_file,)
    else:
        files = project.manifest.environment(declaration.name).files
        if len(files) != 1:
            return project.layout.manifest
    if not pip and files[0].suffix not in {".yml", ".yaml"}:
        if project.manifest is not None:
            return project.layout.manifest
        raise UsageError(
            f"{files[0].name} holds no conda requirements",
            place=Place(str(files[0])),
            remedy="add it with --pip, or run 'hermetic init' first, which makes a hermetic.toml for both",
        )
    return files[0]
