"""Editing what a project declares: a new manifest, and requirements added to and removed from spec files.

A spec is changed only together with its lock: requirements that cannot be met leave both as they were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import HermeticError, Place, SpecError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.files import write_whole
from hermetic.platforms import Accelerator, check_platform, check_system
from hermetic.project.layout import MANIFEST, SPEC_FILES

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
) -> Path:
    """Declare an environment in a folder's ``hermetic.toml``, which is made if it is not there; give its path.

    ``channels`` are names, addresses, or ``NAME=ADDRESS``; relative paths are the caller's. Without
    ``spec_files`` and requirements, those that lie in the folder of a new project are taken. Raises UsageError if the
    environment is declared already, and SpecError for a manifest that cannot be understood.
    """
    import tomlkit

    from hermetic.spec.manifest import load_manifest, read_manifest
    from hermetic.spec.toml_file import parse_toml

    root = Path(folder or ".").absolute()
    if not root.is_dir():
        raise UsageError(f"{folder} is no folder", remedy="make it first")
    path = root / MANIFEST
    if path.exists() and name in load_manifest(path).environments:
        raise UsageError(
            f"the environment {name!r} is declared already",
            place=Place(str(path)),
            remedy="add to it with 'hermetic add', or give another name",
        )
    document = tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    files = [_from(root, item) for item in spec_files]
    if not files and not conda and not pip and not path.exists():
        files = [item for item in SPEC_FILES if (root / item).is_file() and item != "pyproject.toml"][:1]
    addresses = dict(item.split("=", 1) for item in channels if _is_named(item))
    table = _environment_table(
        {
            "from": files,
            "channels": [item.split("=", 1)[0] if _is_named(item) else item for item in channels]
            or ([] if files else ["conda-forge"]),
            "dependencies": list(conda) or (None if files else []),
            "pip": list(pip),
            "platforms": [check_platform(item) for item in platforms],
            "accelerator": str(Accelerator.parse(accelerator)) if accelerator else "",
            "system": dict(_system(item) for item in system),
        }
    )
    if addresses:
        known = document.setdefault("channels", tomlkit.table())
        for channel, address in addresses.items():
            known[channel] = address if "://" in address else _from(root, address)
    environments = document.setdefault("environments", tomlkit.table(is_super_table=True))
    environments[name] = table
    text = tomlkit.dumps(document)
    read_manifest(parse_toml(text, path))  # what is written must be readable: names, platforms and the like
    write_whole(path, text)
    return path


def _is_named(channel: str) -> bool:
    name, equals, _ = channel.partition("=")
    return bool(equals) and "/" not in name and ":" not in name


def _from(root: Path, text: str) -> str:
    """Give a path of the caller's relative to the project, as manifests hold paths."""
    relative = os.path.relpath(Path(text).absolute(), root).replace(os.sep, "/")
    return relative if relative.startswith("../") or text == "." else relative.removeprefix("./")


def _system(item: str) -> tuple[str, str]:
    name, equals, version = item.partition("=")
    if not equals:
        raise UsageError(f"{item!r} is no system property", remedy="write NAME=VERSION, as in glibc=2.35")
    check_system(name, version)
    return name, version


def _environment_table(values: dict[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in values.items():
        if value in ("", {}, None) or (value == [] and key != "dependencies"):
            continue
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            table[key] = inline
        else:
            table[key] = value
    return table


def add_requirements(
    start: str | None,
    name: str | None,
    requirements: Sequence[str],
    *,
    pip: bool = False,
    lock: bool = True,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> LockOutcome | None:
    """Add requirements to what an environment declares, and lock it; one of the same package is replaced."""
    from hermetic.spec import manifest_edit

    return _edit(
        start,
        name,
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
) -> LockOutcome | None:
    """Remove requirements from what an environment declares, and lock it. Raises UsageError for one not declared."""
    from hermetic.spec import manifest_edit

    return _edit(
        start,
        name,
        lambda path, text, key: manifest_edit.remove_requirements(text, path, packages, pip=pip, environment=key),
        lock=lock,
        offline=offline,
        reporter=reporter,
        pip=pip,
    )


def _edit(
    start: str | None,
    name: str | None,
    change: Callable[[Path, str, str], str],
    *,
    pip: bool,
    lock: bool,
    offline: bool,
    reporter: Reporter,
) -> LockOutcome | None:
    """Change the file that declares an environment, lock, and take the change back if that fails."""
    from hermetic.lock.file import write_lock
    from hermetic.project.locking import lock_declaration
    from hermetic.project.project import open_project

    project = open_project(start)
    chosen = project.choose(name)
    path = _declaring_file(project, project.declaration(chosen), pip=pip)
    try:
        before = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SpecError("the file is not UTF-8", place=Place(str(path)), remedy="save it as UTF-8") from None
    after = change(path, before, chosen)
    if after == before:
        reporter.say(f"{path}: nothing to change")
    write_whole(path, after)
    try:
        outcome = None
        project = open_project(start)
        declaration = project.declaration(chosen)
        if lock:
            outcome = lock_declaration(project, declaration, offline=offline, reporter=reporter, write=False)
            write_lock(outcome.lock, outcome.path)
    except (HermeticError, KeyboardInterrupt):
        write_whole(path, before)
        raise
    return outcome


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
