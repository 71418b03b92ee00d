"""Locks to and from other tools' formats, with the addresses of this machine's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from hermetic.config import Config, load_config, public_channel_url
from hermetic.errors import Place, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.files import write_whole
from hermetic.lock.file import write_lock
from hermetic.lock.model import CondaPackage, Lock, PlatformLock, Wheel
from hermetic.platforms import Accelerator, VirtualPackage, system_name, virtual_packages
from hermetic.project.asking import choose_platform, environment_lock
from hermetic.project.editing import init_project
from hermetic.project.layout import find_project
from hermetic.project.project import Project, open_project
from hermetic.project.secret_notes import warn_of_secrets
from hermetic.secrets import public_url

if TYPE_CHECKING:
    from hermetic.lock.formats.dispatch import Format


_PIPS_OWN = ("requirements", "environment")
"""Formats whose wheels pip fetches: it puts in a requirement's own ``${VAR}`` itself."""


def export_lock(
    start: str | None,
    name: str | None,
    form: str,
    platform: str | None,
    output: str | None,
    *,
    wheels: str | None = None,
    reporter: Reporter = SILENT,
) -> str:
    """Give an environment's lock in another format, and write it to ``output`` if that is given.

    ``wheels`` is the folder for those that no other tool can fetch: the file then names them by their paths.
    Formats that hold several platforms get all, unless one is named; what a format leaves out is told, and a warning
    tells that addresses are written without their credentials. Raises UsageError for what a format cannot hold.
    """
    from hermetic.lock.formats.dispatch import ONE_PLATFORM, WHEELS_ONLY
    from hermetic.lock.formats.dispatch import export_lock as export
    from hermetic.project.carrying import refuse_private, with_carried
    from hermetic.store import Store
    from hermetic.store.index import locate_wheel

    chosen, lock = environment_lock(start, name)
    config = open_project(start).config()
    platforms = [choose_platform(lock, platform)] if platform or form in ONE_PLATFORM else []
    store = Store.open(config.store)
    bared: set[str] = set()
    if wheels is None:
        refuse_private(lock, platforms or sorted(lock.platforms), form)
    else:
        target = Path(output) if output else None
        lock = with_carried(
            lock, platforms or sorted(lock.platforms), form, Path(wheels), target, store=store, config=config,
            reporter=reporter,
        )  # fmt: skip

    def conda_address(package: CondaPackage) -> str:
        folder, had_credentials = public_channel_url(config, package.channel, package.subdir)
        bared.update([package.channel] * had_credentials)
        return f"{folder}/{quote(package.file_name, safe='._-+!=')}"

    def wheel_address(wheel: Wheel) -> str:
        if wheel.origin and not wheel.url:
            if form != "environment":
                raise UsageError(
                    f"{wheel.name} was built here from {wheel.origin.url}: {form} has no address to name it by",
                    remedy="put it beside the file (--wheels FOLDER), or require it from where others can fetch it",
                )
            return wheel.origin.url
        address = wheel.url or locate_wheel(config, wheel, store)
        if wheel.url and form in _PIPS_OWN and "${secret:" not in address:  # pip knows variables, and no vault
            return address
        clean = public_url(address)
        bared.update([wheel.name] * (clean != address))
        return clean

    text = export(lock, cast("Format", form), conda_address, wheel_address, platforms=platforms, name=chosen)
    if bared:
        reporter.warn(
            "addresses are written without their credentials: the tool that reads them needs its own "
            "(netrc, a keyring, its configuration)"
        )
    if form == "environment":
        for one in platforms or sorted(lock.platforms):
            warn_of_secrets(lock.platforms[one], "conda sets the text as it stands", reporter)
    if output:
        write_whole(Path(output), text)
    if form in WHEELS_ONLY:
        chosen_platforms = platforms or sorted(lock.platforms)
        conda = sorted({package.name for one in chosen_platforms for package in lock.platforms[one].conda})
        if conda:
            reporter.say(f"{form} has no place for conda packages; these are left out: {', '.join(conda)}")
    return text


def import_lockfile(
    start: str | None,
    file: str,
    name: str,
    *,
    force: bool = False,
    platforms: Sequence[str] = (),
    environment: str = "default",
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> Path:
    """Make an environment's lock from another tool's, keeping every pin; give the lock's path.

    ``platforms`` are those to take (by default all); ``environment`` is one of a pixi.lock's.

    An environment that is declared already keeps its declaration: the imported pins stand as its lock, and
    those that do not meet it are told. One that is not is declared with what the file says of it. Raises
    LockFileError for what cannot be imported, and UsageError for a lock that stands already, unless ``force``.
    """
    project = _project(start)
    declared = project is not None and name in project.names
    config = project.config(offline=offline) if project else load_config(offline=offline)
    path = project.lock_path(name) if project and declared else Path(start or ".") / "lockfiles" / f"{name}.lock.json"
    if path.exists() and not force:
        raise UsageError(
            f"{name} has a lock already",
            place=Place(str(path)),
            remedy="replace it with --force, or give another --name",
        )
    lock = _read(file, config, platforms, environment, offline=offline, reporter=reporter)
    if project is None or not declared:
        _declare(start, name, lock)
        project = open_project(start)
    lock = _as_declared(project, name, lock, reporter)
    write_lock(lock, path)
    return path


def _declare(start: str | None, name: str, lock: Lock) -> None:
    """Declare an environment that the lock answers: what nothing else in it needs was asked for."""
    from hermetic.lock.graph import graph

    conda: dict[str, None] = {}
    pip: dict[str, None] = {}
    system: dict[str, str] = {}
    for platform, locked in lock.platforms.items():
        for kind, found in (node for node, _ in graph(locked).roots):
            (conda if kind == "conda" else pip)[found] = None
        defaults = {str(package) for package in virtual_packages(platform, Accelerator(), {})}
        for package in map(VirtualPackage.parse, set(locked.virtual_packages) - defaults):
            system[package.name] = max(package.version, system.get(package.name, ""), key=_numbers)
    everywhere = [
        {p.name for p in (*locked.conda,)} | {w.name for w in locked.wheels} for locked in lock.platforms.values()
    ]
    common = set.intersection(*everywhere)
    addresses = {wheel.name: wheel.url for locked in lock.platforms.values() for wheel in locked.wheels if wheel.url}
    channels = dict.fromkeys(package.channel for locked in lock.platforms.values() for package in locked.conda)
    init_project(
        start,
        name,
        channels=list(lock.spec.get("channels", ())) or list(channels),
        platforms=sorted(lock.platforms),
        system=[f"{system_name(name)}={version}" for name, version in sorted(system.items())],
        conda=sorted(common & conda.keys()),
        pip=[f"{name} @ {addresses[name]}" if name in addresses else name for name in sorted(common & pip.keys())],
    )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _project(start: str | None) -> Project | None:
    try:
        find_project(start)
    except UsageError:
        return None
    return open_project(start)


def _read(
    file: str, config: Config, platforms: Sequence[str], environment: str, *, offline: bool, reporter: Reporter
) -> Lock:
    from hermetic.lock.formats.dispatch import import_lock
    from hermetic.spec.explicit import is_explicit

    path = Path(file)
    if path.is_file() and is_explicit(path.read_text(errors="replace")):
        # a list names archives and nothing else: what they need is read from their channels
        from hermetic.lock.resolve import resolve
        from hermetic.project.archives import archive_fetcher, wheel_fetcher
        from hermetic.spec.load import load_spec
        from hermetic.store import Store

        store = Store.open(config.store)
        spec = load_spec([path], platforms=platforms)
        lock = resolve(
            spec,
            config=config,
            offline=offline,
            reporter=reporter,
            fetch_archive=archive_fetcher(store, offline=offline, reporter=reporter),
            fetch_wheels=wheel_fetcher(store, config, offline=offline, reporter=reporter),
        ).lock
        return replace(lock, spec={}, platforms={name: _needing(part) for name, part in lock.platforms.items()})
    names = {public_channel_url(config, name)[0]: name for name in (*config.channels, "conda-forge")}
    return import_lock(
        path,
        channel_name=lambda address: names.get(address.rstrip("/"), address),
        platforms=platforms,
        environment=environment,
    )


def _needing(locked: PlatformLock) -> PlatformLock:
    """Let a list's lock assume the machine that its packages need, which a list does not tell."""
    from hermetic.lock.formats.importing import assumed

    depends = [depend for package in locked.conda for depend in package.depends]
    return replace(locked, virtual_packages=assumed(locked.platform, depends))


def _as_declared(project: Project, name: str, lock: Lock, reporter: Reporter) -> Lock:
    """Let the lock answer what the environment declares, and warn of every pin that does not."""
    from hermetic.lock.check import check

    declaration = project.declaration(name)
    spec = declaration.spec
    if not spec.platforms:
        spec = replace(spec, platforms=tuple(lock.platforms))
    adopted = replace(lock, spec=spec.to_dict())
    findings = check(spec, adopted, deep=True)
    for finding in findings:
        reporter.warn(f"{finding.message} ({finding.remedy})" if finding.remedy else finding.message)
    if findings:
        reporter.warn(
            "the imported lock does not meet what is declared: 'hermetic lock' mends it and keeps the other pins"
        )
        return lock
    return adopted
