"""Bases of a project's environments: pinned into their locks, kept while nobody asks for another, opened for a build.

What an environment declares is what it gets: ``base``, or what ``base-dockerfile`` makes. One that declares nothing
keeps the base that its lock has, and gets the catalogue's for its accelerator if it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import DriftError, NetworkError, Place, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.lock.file import write_lock
from hermetic.lock.image_diff import base_differences, base_text
from hermetic.lock.model import Base, ImagePlan, Lock, PlatformLock
from hermetic.outputs.oci.bases.pinning import DOCKERFILE, EMBEDDED, SCRATCH, open_base, pin_base
from hermetic.platforms import check_platform
from hermetic.project.project import Declaration, open_project

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.outputs.oci.bases.context import Dockerfile
    from hermetic.outputs.oci.credentials import Login
    from hermetic.outputs.oci.model import BaseImage
    from hermetic.store import Store

OTHER_BASES = (
    "or declare a base that needs no registry, embedded (which asks Debian's mirror once) or scratch: base = "
    '"embedded" in hermetic.toml; in Python, environment.docker.base_image = "embedded"'
)
"""What to do where the registry of a base that nobody declared cannot be reached."""


@dataclass(frozen=True)
class PinnedBase:
    """The base of one platform, as it was in the lock and as it is now."""

    platform: str
    before: Base | None
    after: Base

    @property
    def differences(self) -> tuple[tuple[str, str, str], ...]:
        """What differs: what it is, how it was, how it is."""
        if self.before is None:
            return (("base", "", base_text(self.after)),)
        return tuple(base_differences(self.before, self.after))

    def to_dict(self) -> dict[str, Any]:
        """Give the base as JSON values."""
        after = self.after
        packages = [{"name": p.name, "version": p.version, "sha256": p.sha256} for p in after.packages]
        value = {name: getattr(after, name) for name in ("reference", "index", "manifest", "dockerfile")}
        found: dict[str, Any] = {name: text for name, text in value.items() if text}
        if packages:
            found["packages"] = packages
        changes = [{"what": what, "old": old, "new": new} for what, old, new in self.differences]
        return {"base": found, "changes": changes}


@dataclass(frozen=True)
class BaseOutcome:
    """What pinning came to for one environment."""

    name: str
    path: Path
    bases: tuple[PinnedBase, ...]
    lock: Lock = field(repr=False)

    @property
    def changed(self) -> bool:
        """Whether any base moved."""
        return any(base.before != base.after for base in self.bases)

    def to_dict(self) -> dict[str, Any]:
        """Give the outcome as JSON values."""
        return {
            "name": self.name,
            "path": str(self.path),
            "changed": self.changed,
            "platforms": {base.platform: base.to_dict() for base in self.bases},
        }


def pin_environment(
    start: str | None,
    name: str | None,
    *,
    base: str = "",
    platforms: Sequence[str] = (),
    update: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> BaseOutcome:
    """Pin the base of an environment, in a lock that is made or mended first; ``update`` asks again what is pinned.

    ``base`` names one where nothing is declared. ``platforms`` are by default those of the lock that have images.
    """
    from hermetic.project.building import fitting_lock
    from hermetic.store import Store

    project = open_project(start)
    declaration = project.declaration(project.choose(name))
    refuse_other_base(declaration, base)
    before = fitting_lock(project, declaration, locked=False, offline=offline, reporter=reporter)
    chosen = [check_platform(platform) for platform in platforms] or _with_images(before)
    config = project.config(offline=offline)
    after = with_bases(
        before,
        declaration,
        chosen,
        base=base,
        update=update,
        store=Store.open(config.store),
        config=config,
        offline=offline,
        reporter=reporter,
    )
    write_lock(after, declaration.lock_path)
    return BaseOutcome(declaration.name, declaration.lock_path, tuple(_moves(before, after, chosen)), after)


def refuse_other_base(declaration: Declaration, base: str) -> None:
    """Raise UsageError for a base that is not the declared one."""
    declared = declared_base(declaration)
    if base and declared and base != declared:
        raise UsageError(
            f"{declaration.name} declares {'a Dockerfile' if declared == DOCKERFILE else declared} as its base",
            place=Place(str(declaration.files[0])) if declaration.files else None,
            remedy="change it there, then run 'hermetic base pin'",
        )


def with_bases(
    lock: Lock,
    declaration: Declaration,
    platforms: Sequence[str],
    *,
    base: str = "",
    update: bool = False,
    locked: bool = False,
    store: Store,
    config: Config,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> Lock:
    """Give a lock in which these platforms have a pinned base and planned layers; what fits is kept as it is.

    ``base`` takes the place of what is declared; ``update`` asks again what references lead to. Nothing is asked if
    all is pinned. Raises UsageError for a platform that is not locked, DriftError with ``locked`` for a base that is
    not pinned as it is wanted, and what ``pin_base`` raises.
    """
    from hermetic.plan.layers import plan_layers

    wanted = {platform: _wanted(lock, declaration, platform, base) for platform in platforms}
    dockerfile = dockerfile_of(declaration)
    kept = {} if update else _kept(lock, wanted, dockerfile)
    missing = {name: reference for name, reference in wanted.items() if name not in kept}
    if missing and locked:
        raise DriftError(
            f"the lock of {declaration.name} does not pin {', '.join(dict.fromkeys(missing.values()))} "
            f"for {', '.join(missing)}",
            place=Place(str(declaration.lock_path)),
            remedy="run 'hermetic base pin' and commit the lock",
        )
    pinned = dict(kept)
    undeclared = not base and not declared_base(declaration)
    for reference in dict.fromkeys(missing.values()):
        with _without_registry(reference, undeclared=undeclared):
            pinned |= pin_base(
                reference,
                [name for name, text in missing.items() if text == reference],
                store=store,
                config=config,
                offline=offline,
                reporter=reporter,
                login=login_of(declaration),
                dockerfile=dockerfile,
            )
    changed = dict(lock.platforms)
    for name in platforms:
        platform, image = changed[name], changed[name].image
        layers = image.layers if image else ()
        if name in missing:
            _warn_of_old_glibc(platform, pinned[name], reporter)
        if name in missing or not layers:
            opened = open_pinned(
                pinned[name], name, declaration, store=store, config=config, offline=offline, reporter=reporter
            )
            layers = plan_layers(platform, layers, base_layers=len(opened.layers))
        changed[name] = replace(platform, image=ImagePlan(pinned[name], layers))
    return replace(lock, platforms=changed)


def open_pinned(
    base: Base,
    platform: str,
    declaration: Declaration,
    *,
    store: Store,
    config: Config,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> BaseImage:
    """Give a platform's pinned base as an image to build on. Raises what ``open_base`` raises."""
    with _without_registry(base.reference, undeclared=not declared_base(declaration)):
        return open_base(
            base,
            platform,
            store=store,
            config=config,
            offline=offline,
            reporter=reporter,
            login=login_of(declaration),
            dockerfile=dockerfile_of(declaration) if base.reference == DOCKERFILE else None,
        )


@contextmanager
def _without_registry(reference: str, *, undeclared: bool) -> Iterator[None]:
    """Tell what needs no registry, if the one of a base that nobody declared cannot be reached in the block."""
    try:
        yield
    except NetworkError as error:
        if undeclared and reference not in {EMBEDDED, SCRATCH} and OTHER_BASES not in (error.remedy or ""):
            error.remedy = f"{error.remedy}; {OTHER_BASES}" if error.remedy else OTHER_BASES
        raise


def declared_base(declaration: Declaration) -> str:
    """Give the reference that an environment declares, empty if it declares none."""
    return DOCKERFILE if declaration.spec.base_dockerfile else declaration.spec.base


def dockerfile_of(declaration: Declaration) -> Dockerfile | None:
    """Give what the base is built from, if that is declared."""
    text = declaration.spec.base_dockerfile
    if not text:
        return None
    from hermetic.outputs.oci.bases.context import Dockerfile

    place = Place(str(declaration.files[0])) if declaration.files else None
    return Dockerfile(text, declaration.base_context, place)


def login_of(declaration: Declaration) -> Login | None:
    """Give the user and password that are declared for the base's registry, if any."""
    user, password = declaration.base_login
    if not user and not password:
        return None
    from hermetic.outputs.oci.credentials import Login

    return Login(user, password)


def _wanted(lock: Lock, declaration: Declaration, platform: str, base: str) -> str:
    """Give the reference of the base that a platform should have."""
    if platform not in lock.platforms:
        raise UsageError(
            f"{declaration.name} is locked for {', '.join(lock.platforms)}, not for {platform}",
            place=Place(str(declaration.lock_path)),
            remedy=f"add {platform} to its platforms and run 'hermetic lock'",
        )
    if found := base or declared_base(declaration):
        return found
    image = lock.platforms[platform].image
    if image and image.base.reference != DOCKERFILE:  # a Dockerfile that nobody declares any more cannot be built
        return image.base.reference
    from hermetic.outputs.oci.bases.catalogue import default_base

    return default_base(declaration.spec.accelerator, lock.platforms[platform])


def _warn_of_old_glibc(platform: PlatformLock, base: Base, reporter: Reporter) -> None:
    from hermetic.outputs.oci.bases.catalogue import assumed_glibc, glibc_of, is_older

    has, assumed = glibc_of(base), assumed_glibc(platform)
    if is_older(has, assumed):
        reporter.warn(
            f"{platform.platform}: the packages are chosen for glibc {assumed}, and {base.reference} has {has}: "
            "some may not start; choose a newer base, or declare a lower glibc under 'system'"
        )


def _kept(lock: Lock, wanted: Mapping[str, str], dockerfile: Dockerfile | None) -> dict[str, Base]:
    """Give the bases that are pinned as they are wanted."""
    found = {}
    for platform, reference in wanted.items():
        image = lock.platforms[platform].image
        if image is None or image.base.reference != reference:
            continue
        if reference == DOCKERFILE and dockerfile and image.base.dockerfile != dockerfile.digest():
            continue
        found[platform] = image.base
    return found


def _with_images(lock: Lock) -> list[str]:
    """Give the platforms of a lock that images can be made for."""
    found = [platform for platform in lock.platforms if platform.startswith("linux-")]
    if not found:
        raise UsageError(
            f"the environment is locked for {', '.join(lock.platforms) or 'nothing'}, which has no images",
            remedy="add \"linux-64\" to its platforms and run 'hermetic lock'",
        )
    return found


def _moves(before: Lock, after: Lock, platforms: Sequence[str]) -> list[PinnedBase]:
    moves = []
    for platform in platforms:
        old, new = before.platforms[platform].image, after.platforms[platform].image
        assert new is not None
        moves.append(PinnedBase(platform, old.base if old else None, new.base))
    return moves
