"""A project as it is declared now: its environments, their Specs, and where locks and prefixes stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hermetic.config import Config, load_config
from hermetic.errors import Place, UsageError
from hermetic.project.layout import DEFAULT, Layout, find_project
from hermetic.project.spec_files import unread
from hermetic.spec import Spec
from hermetic.spec.load import load
from hermetic.spec.manifest import Manifest, load_environment, load_manifest


@dataclass(frozen=True)
class Declaration:
    """One environment of a project: what it declares now, the files that say so, and where its lock stands.

    ``base_context`` is the folder that its base's Dockerfile copies from; ``base_login`` the user and the password for
    the base's registry, each maybe a ``${VARIABLE}``.
    """

    name: str
    spec: Spec
    files: tuple[Path, ...]
    lock_path: Path
    warnings: tuple[str, ...] = ()
    base_context: Path | None = None
    base_login: tuple[str, str] = field(default=("", ""), repr=False)


@dataclass(frozen=True)
class Project:
    """A project's folder with its manifest, if it has one."""

    layout: Layout
    manifest: Manifest | None = field(default=None, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the project's environments, in the manifest's order."""
        return tuple(self.manifest.environments) if self.manifest else (DEFAULT,)

    @property
    def channels(self) -> Mapping[str, str]:
        """Addresses that the manifest gives to channels' names."""
        return self.manifest.channels if self.manifest else {}

    def config(self, *, offline: bool = False) -> Config:
        """Give the configuration of the moment, the manifest's channels included."""
        return load_config(self.channels, base=self.layout.root, offline=offline)

    def choose(self, name: str | None) -> str:
        """Give the environment that is meant: the named one, else the only one, else ``default``."""
        if name is not None:
            if name not in self.names:
                self._unknown(name)
            return name
        if len(self.names) == 1:
            return self.names[0]
        if DEFAULT in self.names:
            return DEFAULT
        raise UsageError(
            "the project has several environments" if self.names else "the project has no environment",
            place=Place(str(self.layout.manifest)),
            remedy=f"name one: {', '.join(self.names)}" if self.names else "declare one with 'hermetic init NAME'",
        )

    def _unknown(self, name: str) -> None:
        if self.manifest:
            self.manifest.environment(name)
        raise UsageError(
            f"no environment {name!r}: {self.layout.spec_file} declares the one environment {DEFAULT!r}",
            remedy="declare several in a hermetic.toml, made by 'hermetic init'",
        )

    def lock_path(self, name: str) -> Path:
        """Give the path of an environment's lockfile."""
        if self.manifest:
            return self.manifest.environment(name).lock
        return self.layout.lock(name)

    def declaration(self, name: str, *, platforms: Sequence[str] = ()) -> Declaration:
        """Read what an environment declares now; ``platforms`` take the place of the declared ones."""
        self.choose(name)
        context, login = None, ("", "")
        if self.manifest:
            loaded = load_environment(self.manifest, name, platforms=platforms)
            declared = self.manifest.environment(name)
            context, login = declared.context, declared.login
        else:
            assert self.layout.spec_file is not None
            loaded = load([self.layout.spec_file], platforms=platforms)
            if others := unread(self.layout.spec_file, loaded.files):
                warning = (
                    f"{self.layout.spec_file.name} declares the environment; {', '.join(others)} beside it "
                    f"{'is' if len(others) == 1 else 'are'} not read: 'hermetic init' makes a hermetic.toml for several"
                )
                loaded = replace(loaded, warnings=(*loaded.warnings, warning))
        return Declaration(name, loaded.spec, loaded.files, self.lock_path(name), loaded.warnings, context, login)


def open_project(start: str | None = None) -> Project:
    """Open the project that ``start`` (default: the working folder) is in.

    Raises UsageError where there is none, SpecError for a manifest that cannot be understood.
    """
    layout = find_project(start)
    return Project(layout, None if layout.spec_file else load_manifest(layout.manifest))
