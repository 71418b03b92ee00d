"""What the verb ``environment`` does with builds: it starts them, lists them, shows what they told, and stops them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI
    from hermetic.sdk.builds import EnvironmentBuild
    from hermetic.sdk.workspace import Workspace


def add_build(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``build``."""
    parser.add_argument("environment", nargs="?", metavar="ENV", help="NAME, NAME:VERSION or NAME@LABEL")
    parser.add_argument("--directory", "-d", metavar="DIR", help="register the definition in a folder, and build that")
    parser.add_argument(
        "--platform",
        metavar="P",
        action="append",
        default=[],
        dest="platforms",
        help="build for this platform; may be repeated (default: this machine's)",
    )
    parser.add_argument("--no-wait", action="store_true", help="start the build and leave; it goes on by itself")


def build(arguments: argparse.Namespace, ui: UI) -> int:
    """Build a version's image, and show what it tells unless nobody waits for it."""
    from hermetic.errors import UsageError
    from hermetic.report.environment_builds import ended_text, started_text
    from hermetic.sdk.builds import build_version
    from hermetic.sdk.environments import get_environment, parse_reference

    workspace = _workspace(arguments)
    if (arguments.environment is None) == (arguments.directory is None):
        raise UsageError("name one environment, or a folder with -d", remedy="see 'hermetic environment build --help'")
    if arguments.directory is not None:
        from hermetic.sdk.environment import Environment

        environment = Environment.load_from_directory(arguments.directory)
    else:
        environment = get_environment(workspace, *parse_reference(arguments.environment))
    started = build_version(environment, workspace, platforms=arguments.platforms, offline=arguments.offline)
    if arguments.no_wait:
        ui.result(started_text(started.to_dict()), started.to_dict())
        return 0
    _follow(started, ui)
    if error := started.error:
        raise error
    ui.result(ended_text(started.to_dict()), started.to_dict())
    return 0


def add_builds(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``builds``."""
    parser.add_argument("environment", nargs="?", metavar="ENV", help="NAME or NAME:VERSION (default: all)")
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="show the newest N only")


def builds(arguments: argparse.Namespace, ui: UI) -> int:
    """List builds, the newest first."""
    from hermetic.report.environment_builds import builds_text
    from hermetic.sdk.builds import EnvironmentBuild
    from hermetic.sdk.environments import get_version, parse_reference

    workspace = _workspace(arguments)
    name: str | None = None
    version: int | None = None
    if arguments.environment is not None:
        name, number, label = parse_reference(arguments.environment)
        found = get_version(workspace, name, number, label)
        version = found.version if number or label else None
    told = [item.to_dict() for item in EnvironmentBuild.list(workspace, name, version, arguments.limit)]
    ui.result(builds_text(told, colour=ui.colour), {"builds": told}, asked=True)
    return 0


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``log``."""
    _add_number(parser)
    parser.add_argument("--follow", "-f", action="store_true", help="show what comes, until the build has ended")


def log(arguments: argparse.Namespace, ui: UI) -> int:
    """Show what a build has told, maybe until it ends."""
    found = _build(arguments)
    if arguments.follow and not ui.json:
        for text in found.follow():
            print(text, end="", flush=True)
        return 0
    if arguments.follow:
        found.wait_for_completion(raise_on_error=False)
    ui.output(text := found.get_log(), {**found.to_dict(), "log": text})
    return 0


def add_cancel(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``cancel``."""
    _add_number(parser)


def cancel(arguments: argparse.Namespace, ui: UI) -> int:
    """Have a build stopped, and wait until it is."""
    from hermetic.report.environment_builds import ended_text

    found = _build(arguments)
    found.cancel()
    found.wait_for_completion(raise_on_error=False)
    ui.result(ended_text(found.to_dict()), found.to_dict())
    return 0


def _follow(started: EnvironmentBuild, ui: UI) -> None:
    try:
        if ui.json or ui.quiet:
            started.wait_for_completion(raise_on_error=False)
        else:
            for text in started.follow():
                print(text, end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        number = started.id
        ui.error_line(f"the build {number} goes on; 'hermetic environment cancel {number}' stops it")
        raise


def _add_number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("build", type=int, metavar="BUILD", help="the build's number, as 'builds' shows it")


def _build(arguments: argparse.Namespace) -> EnvironmentBuild:
    from hermetic.sdk.builds import EnvironmentBuild

    return EnvironmentBuild(_workspace(arguments), arguments.build)


def _workspace(arguments: argparse.Namespace) -> Workspace:
    from hermetic.sdk.workspace import workspace_at

    return workspace_at(arguments.project, arguments.workspace)
