"""What is known of an environment before any fragment of it is made: from each package's contents, without an archive.

It depends on the lock, the contents and the platform, on nothing else; so it is the one step of an image that looks at
all packages together.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hermetic.events import SILENT, Reporter
from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.outputs.oci.compression import archive_form
from hermetic.outputs.oci.contents import Contents, Item, Package, layout_words, owner
from hermetic.outputs.oci.fragments import made_item
from hermetic.outputs.oci.model import PREFIX
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.prefix.checks import check_claims, check_distributions, find_link_scripts, refuse_scripts
from hermetic.outputs.prefix.conda_meta import environment_files
from hermetic.outputs.prefix.layout import PrefixLayout
from hermetic.outputs.prefix.state import STATE_FILE, State
from hermetic.plan.image_keys import fragment_key
from hermetic.platforms import current_platform

FOLDER, NAME = PREFIX.strip("/").rsplit("/", 1)
ACTIVATE = "activate"
_SCRIPT = """#!/bin/sh
# Runs what the environment's packages want run when it is activated, then the command.
if [ -z "${BASH_VERSION:-}" ] && command -v bash >/dev/null 2>&1; then exec bash "$0" "$@"; fi
"""


@dataclass(frozen=True)
class Survey:
    """What follows for all packages of an environment together.

    ``layout`` tells where things lie. ``lost`` are the paths of each owner that another's files replace,
    ``variables`` those of packages and of the lock, ``activation`` the paths of activation scripts. ``compiles`` tells
    whether modules get pyc files here.
    """

    layout: PrefixLayout
    lost: Mapping[str, frozenset[str]]
    variables: Mapping[str, str]
    activation: Sequence[str]
    compiles: bool


def survey(
    lock: PlatformLock,
    layout: PrefixLayout,
    contents: Mapping[str, Contents],
    *,
    link_scripts: str = "refuse",
    reporter: Reporter = SILENT,
) -> Survey:
    """Find out what follows from all packages' contents, which are given by owner. Raises UsageError, BuildError."""
    conda = {package.sha256: contents[package.name] for package in lock.conda}
    check_distributions(lock, {digest: found.distributions for digest, found in conda.items()})
    scripts = find_link_scripts(lock, {digest: found.scripts for digest, found in conda.items()})
    if link_scripts == "refuse":
        refuse_scripts(scripts)
    for script in scripts:
        reporter.warn(f"{script.package.name}: {script.path} was not run")
    collisions, warnings = check_claims([(name, contents[name].files) for name in _linked(lock, contents)])
    for warning in warnings:
        reporter.warn(warning)
    variables: dict[str, Mapping[str, str]] = {}
    activation: set[str] = set()
    for name, found in contents.items():
        lost = collisions.lost.get(name, frozenset())
        variables |= {path: values for path, values in (found.variables or {}).items() if path not in lost}
        activation |= set(found.activation) - lost
    merged: dict[str, str] = {}
    for _, values in sorted(variables.items()):
        merged |= values
    here = lock.platform == current_platform()
    runs = any(layout.executable in contents[package.name].files for package in lock.conda)
    return Survey(
        layout,
        collisions.lost,
        merged | dict(lock.variables),
        sorted(activation),
        compiles=here and bool(layout.pyc_tag) and runs,
    )


def key_of_fragment(
    package: Package, found: Contents, surveyed: Survey, python: CondaPackage | None, options: ImageOptions
) -> str:
    """Give the key of a package's fragment in an environment; what makes no difference to it does not enter it."""
    placed = found.modules or not isinstance(package, CondaPackage) or package.noarch == "python"
    return fragment_key(
        package,
        prefix=PREFIX,
        layout=layout_words(surveyed.layout) if placed else (),
        python=python.sha256 if python and found.modules and surveyed.compiles else "",
        dropped=surveyed.lost.get(owner(package), ()),
        form=archive_form(options),
    )


def metadata_items(lock: PlatformLock, state: State, surveyed: Survey) -> list[Item]:
    """Give the files that describe the environment as a whole, relative to FOLDER."""
    made = environment_files(lock) | {STATE_FILE: state.to_text().encode()}
    items = [made_item(f"{NAME}/{path}", data) for path, data in made.items()]
    if surveyed.activation:
        lines = [f". {shlex.quote(f'{PREFIX}/{path}')} 1>&2\n" for path in surveyed.activation]
        text = _SCRIPT + "".join(lines) + 'exec "$@"\n'
        items.append(made_item(ACTIVATE, text.encode(), executable=True))
    return items


def _linked(lock: PlatformLock, contents: Mapping[str, Contents]) -> list[str]:
    """Give the owners of paths in the order in which a prefix links them, if it matters: if any two own one path."""
    wheels = sorted(owner(wheel) for wheel in lock.wheels)
    conda: Sequence[CondaPackage] = lock.conda
    if len(set().union(*(found.files for found in contents.values()))) < sum(len(f.files) for f in contents.values()):
        from hermetic.outputs.prefix.conda_link import link_order

        conda = link_order(conda)
    return [owner(package) for package in conda] + wheels
