"""Packages' post-link scripts, run in a sandbox that has no network and sees nothing but system folders and the prefix.

They run after all conda packages are linked, in the order of linking, sourced by bash with the activation scripts
of the prefix before them, as conda does. What they leave becomes part of the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.digest import sha256_file
from hermetic.errors import BuildError
from hermetic.lock.model import CondaPackage
from hermetic.outputs.prefix.order import Order
from hermetic.realize.sandbox import run_sandboxed

if TYPE_CHECKING:
    from hermetic.outputs.prefix.assemble import Assembly
    from hermetic.outputs.prefix.checks import LinkScript

MESSAGES = ".messages.txt"
"""What scripts write for the user; conda prints it and removes it."""

_TIMEOUT = 600  # seconds
_RUN = """
for file in "$PREFIX"/etc/conda/activate.d/*.sh; do
  if [ -f "$file" ]; then . "$file"; fi
done
cd "$PREFIX/bin"
. "$1"
"""


def run_link_scripts(
    order: Order, scripts: Sequence[LinkScript], packages: Sequence[CondaPackage], staging: Path, made: Assembly
) -> None:
    """Run (or leave out, with a warning) the link scripts of packages. Raises BuildError for one that fails."""
    position = {package.name: place for place, package in enumerate(packages)}
    before = _stamps(staging, made)
    for script in sorted(scripts, key=lambda script: position[script.package.name]):
        name, post = script.package.name, script.path.endswith("-post-link.sh")
        if order.link_scripts == "skip":
            made.warnings.append(f"{name}: {script.path} was not run")
        elif not post:
            made.warnings.append(f"{name}: {script.path} was not run: only post-link scripts are")
        else:
            order.reporter.say(f"{name}: running {script.path} in a sandbox")
            _run(order, script, staging)
            _show_messages(order, script, staging)
    _measure_changed(staging, made, before)


def _run(order: Order, script: LinkScript, staging: Path) -> None:
    package, prefix = script.package, str(order.prefix)
    done = run_sandboxed(
        ("bash", "-c", _RUN, "link-script", f"{prefix}/{script.path}"),
        writable={prefix: staging},
        environment={
            "PREFIX": prefix,
            "ROOT_PREFIX": prefix,
            "CONDA_PREFIX": prefix,
            "PKG_NAME": package.name,
            "PKG_VERSION": package.version,
            "PKG_BUILDNUM": str(package.build_number),
            "PATH": f"{prefix}/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        timeout=_TIMEOUT,
    )
    if done.status != 0:
        said = f"\n{done.tail.strip()}" if done.tail.strip() else ""
        messages = staging / MESSAGES
        if messages.is_file():
            said += f"\n{messages.read_text(errors='replace').strip()}"
        raise BuildError(
            f"the link script of {package.name} {package.version} failed with status {done.status}{said}",
            remedy="it has no network and may write to the prefix only; leave it out with --link-scripts=skip",
        )


def _show_messages(order: Order, script: LinkScript, staging: Path) -> None:
    messages = staging / MESSAGES
    if messages.is_file() and not messages.is_symlink():
        order.reporter.say(f"{script.package.name}: {messages.read_text(errors='replace').strip()}")
        messages.unlink()


def _stamps(staging: Path, made: Assembly) -> dict[str, tuple[int, ...]]:
    return {path: _stamp(staging / path) for path in made.installed}


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.lstat()
    except OSError:
        return ()
    return (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _measure_changed(staging: Path, made: Assembly, before: dict[str, tuple[int, ...]]) -> None:
    """Measure anew what a script has changed; what it removed is not expected any more."""
    for path, stamp in before.items():
        file = staging / path
        if _stamp(file) == stamp:
            continue
        if file.is_symlink() or not file.is_file():
            del made.installed[path]
            made.removed.add(path)
            continue
        size = file.stat().st_size
        made.installed[path] = replace(made.installed[path], sha256=sha256_file(file), size=size)
        made.prefixed.add(path)
