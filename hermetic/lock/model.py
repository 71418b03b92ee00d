"""The Lock: what a Spec resolves to, complete enough to build and to verify without a solve.

A package is named by where it comes from and what it is: (channel, subdir, file name, digest) for conda,
(index, project, file name, digest) for wheels. The address behind a channel's or an index's name belongs to
the machine's configuration, so a mirror needs no new lock and no credential can slip in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hermetic.digest import key

LOCK_VERSION = 1
_SHORT = 12
"""Digits of a key that people see."""


@dataclass(frozen=True, order=True)
class CondaPackage:
    """One locked conda archive, with what its repodata record says of it (CEP 36).

    ``channel`` is a channel's name, or its URL where the spec named one by URL. ``size`` counts bytes,
    ``timestamp`` milliseconds since 1970 (0: unknown). ``depends`` are MatchSpecs: the edges of the graph.
    """

    name: str
    version: str
    build: str
    build_number: int
    channel: str
    subdir: str
    file_name: str
    size: int
    sha256: str
    md5: str = ""
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: str = ""
    license: str = ""
    timestamp: int = 0
    track_features: tuple[str, ...] = ()
    python_site_packages_path: str = ""
    purls: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("main",)


@dataclass(frozen=True, order=True)
class Tool:
    """One wheel of a build environment: a build backend, or what it needs. The fields are as those of a Wheel."""

    name: str
    version: str
    file_name: str
    size: int
    sha256: str
    index: str = ""
    url: str = ""


@dataclass(frozen=True, order=True)
class Origin:
    """Where a wheel that we built comes from: a pinned source, and what built it, so that it can be built again.

    ``url`` has no credentials, and is empty for an sdist of an index. ``sha256`` is the digest of the sdist, or of a
    local folder's files, and empty for a VCS checkout, which ``commit`` pins. ``tools`` are the wheels of the locked
    build environment, sorted by name, beside the Python of the lock's platform; ``build`` is that environment's key.
    """

    url: str = ""
    file_name: str = ""
    sha256: str = ""
    commit: str = ""
    subdirectory: str = ""
    build: str = ""
    tools: tuple[Tool, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", tuple(sorted(self.tools)))


@dataclass(frozen=True, order=True)
class Wheel:
    """One locked wheel.

    ``index`` is the name of the index that has the file: empty for the default one, the URL (without
    credentials) of another, and empty too when ``url`` names the file directly. ``requires`` are the
    normalised names of the packages, of either kind, that it needs in this lock.
    """

    name: str
    version: str
    file_name: str
    size: int
    sha256: str
    index: str = ""
    url: str = ""
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    origin: Origin | None = None
    categories: tuple[str, ...] = ("main",)


@dataclass(frozen=True, order=True)
class DebianPackage:
    """One locked Debian package of the embedded base."""

    name: str
    version: str
    architecture: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Base:
    """The image that ours stands on, pinned.

    ``reference`` is the name as it is declared (``debian:12-slim``, ``registry.example.org/team/base:1``,
    ``scratch``, ``embedded``), ``index`` the digest (``sha256:...``) that the name led to, and ``manifest`` that of
    the one platform's manifest: the same where the name leads to no index. ``packages`` are what the embedded
    base is made of; ``dockerfile`` is the sha256 of the text that a base was built from.
    """

    reference: str
    index: str = ""
    manifest: str = ""
    dockerfile: str = ""
    packages: tuple[DebianPackage, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "packages", tuple(sorted(self.packages)))


@dataclass(frozen=True)
class PlannedLayer:
    """One layer of an image: its name, and the packages in it (``numpy`` from conda, ``pip:numpy`` a wheel)."""

    name: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class ImagePlan:
    """What an image needs beside the packages: the pinned base, and the layers from the bottom to the top."""

    base: Base
    layers: tuple[PlannedLayer, ...] = ()


@dataclass(frozen=True)
class PlatformLock:
    """The packages of one platform: conda packages sorted by name, wheels sorted by name.

    ``image`` is there once an image was asked for; it is no part of the key, which is the environment's.
    """

    platform: str
    virtual_packages: tuple[str, ...]
    conda: tuple[CondaPackage, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    image: ImagePlan | None = None

    def __post_init__(self) -> None:
        for packages in ("conda", "wheels"):
            object.__setattr__(self, packages, tuple(sorted(getattr(self, packages), key=lambda p: str(p.name))))
        object.__setattr__(self, "variables", tuple(sorted(self.variables)))

    def key(self) -> str:
        """Give the key: sha256 over everything that determines the output's bytes, and nothing else.

        Digests stand for the archives; the channel is in it because conda-meta records it. Graph edges and
        the like are what the archives say, so they are in the digests already.
        """
        return key(
            "environment/1",
            {
                "platform": self.platform,
                "conda": [[p.channel, p.subdir, p.file_name, p.sha256] for p in self.conda],
                "wheels": [[w.file_name, w.sha256] for w in self.wheels],
                "variables": dict(self.variables),
            },
        )

    def python(self) -> CondaPackage | None:
        """Give the platform's Python, if it has one."""
        return next((package for package in self.conda if package.name == "python"), None)

    def __repr__(self) -> str:
        return f"<PlatformLock {self.platform}: {self._counts()}>"

    def _counts(self) -> str:
        counts = f"{len(self.conda)} conda, {len(self.wheels)} pip, key {self.key()[:_SHORT]}"
        return f"{counts}, on {self.image.base.reference}" if self.image else counts


@dataclass(frozen=True)
class Lock:
    """A resolved Spec: the Spec's own canonical values (to tell drift without a solve) and each platform."""

    spec: Mapping[str, Any]
    platforms: Mapping[str, PlatformLock] = field(default_factory=dict)
    exclude_newer: str = ""
    version: int = LOCK_VERSION

    def __repr__(self) -> str:
        inner = "; ".join(f"{name}: {found._counts()}" for name, found in sorted(self.platforms.items()))  # noqa: SLF001
        return f"<Lock {inner or 'without platforms'}>"
