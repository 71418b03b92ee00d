"""Keep named, numbered environments in the workspace, and look at those that are there.

A definition is a folder as the Azure ML SDK writes it. Registering the same definition again gives the same version, a
changed one the next; versions never change. An environment is named NAME, NAME:VERSION or NAME@LABEL; without either
the latest is meant: what was registered last.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from hermetic.cli import environment_builds as builds

if TYPE_CHECKING:
    from hermetic.cli.ui import UI
    from hermetic.sdk.workspace import Workspace

NESTED = True

EXAMPLES = """\
examples:
  hermetic environment scaffold -n train -d train      a definition to begin with: edit its files
  hermetic environment register -d train
  hermetic environment list
  hermetic environment show train:1
  hermetic environment diff train:1 train:2
  hermetic environment label train:2 production
  hermetic environment lock train:1 --platform linux-64
  hermetic environment download -n train -d copy --version 1
  hermetic environment build train                     its image: the log is shown as it comes
  hermetic environment builds train
  hermetic environment log 7 --follow"""


_NAMING = "An environment is named NAME, NAME:VERSION or NAME@LABEL; without either the latest is meant."


class Action(NamedTuple):
    """One action of the verb: its line of help, what adds its arguments, and what does it."""

    summary: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, UI], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    for name, action in ACTIONS.items():
        summary = f"{action.summary[0].upper()}{action.summary[1:]}."
        sub = actions.add_parser(name, help=action.summary, description=f"{summary}\n\n{_NAMING}", epilog=EXAMPLES)
        action.add(sub)
        sub.add_argument(
            "--workspace", "-w", metavar="WORKSPACE", default="", help="the workspace (default: that of the folder)"
        )
        add_common(sub)


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Do it."""
    from hermetic.cli.telling import in_words_of_the_command_line

    with in_words_of_the_command_line(ui):
        return ACTIONS[arguments.action].run(arguments, ui)


def _add_scaffold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", "-n", required=True, metavar="ENV", help="the environment's name")
    parser.add_argument("--directory", "-d", required=True, metavar="DIR", help="the folder to make")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of a definition that is there")


def _scaffold(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import scaffold_text
    from hermetic.sdk.scaffolding import scaffold

    made = scaffold(arguments.name, arguments.directory, overwrite=arguments.overwrite)
    value = {"name": arguments.name, "directory": str(made.directory), "files": list(made.files)}
    ui.result(scaffold_text(arguments.name, made), value)
    return 0


def _add_register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--directory", "-d", required=True, metavar="DIR", help="the folder with the definition")
    parser.add_argument("--name", "-n", default="", metavar="ENV", help="another name than the definition's own")
    parser.add_argument(
        "--lock",
        metavar="FILE",
        default=None,
        help="a lock to be the version's (default: lockfiles/NAME.lock.json if it fits, else made when needed)",
    )
    parser.add_argument(
        "--label", metavar="LABEL", action="append", default=[], dest="labels", help="a label for the version"
    )


def _register(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import registered_text, version_value
    from hermetic.sdk.environment import Environment
    from hermetic.sdk.versions import archived_as, registered

    environment = Environment.load_from_directory(arguments.directory)
    if arguments.name:
        environment.name = arguments.name
    workspace = _workspace(arguments)
    restored = archived_as(environment, workspace)
    version, new = registered(environment, workspace, arguments.lock, labels=arguments.labels, root=arguments.project)
    ui.result(registered_text(version, new=new, restored=restored), {**version_value(version), "new": new})
    return 0


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--archived", action="store_true", help="show archived ones too")
    parser.add_argument("--curated", action="store_true", help="show curated ones only")


def _list(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import list_text, list_value
    from hermetic.sdk.inspecting import listed

    found = listed(_workspace(arguments), archived=arguments.archived, curated_only=arguments.curated)
    ui.result(list_text(found, colour=ui.colour), list_value(found), asked=True)
    return 0


def _add_named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", metavar="ENV", help="NAME, NAME:VERSION or NAME@LABEL")


def _show(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import detail_text, detail_value
    from hermetic.sdk.inspecting import detail

    found = detail(_workspace(arguments), *_reference(arguments.environment))
    ui.result(detail_text(found, colour=ui.colour), detail_value(found), asked=True)
    return 0


def _add_plain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="ENV", help="the environment's name")


def _versions(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import version_value, versions_text
    from hermetic.sdk.environments import get_versions

    found = get_versions(_workspace(arguments), arguments.name)
    value = {"name": arguments.name, "versions": [version_value(version) for version in found]}
    ui.result(versions_text(found, colour=ui.colour), value, asked=True)
    return 0


def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="NAME, NAME:VERSION or NAME@LABEL")
    parser.add_argument("new", metavar="NEW", help="likewise")


def _diff(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import diff_text
    from hermetic.sdk.comparing import compare
    from hermetic.sdk.environments import get_version

    workspace = _workspace(arguments)
    old, new = (get_version(workspace, *_reference(text)) for text in (arguments.old, arguments.new))
    found = compare(workspace, old, new)
    ui.result(diff_text(found, colour=ui.colour), found.to_dict(), asked=True)
    return 1 if found else 0


def _add_label(parser: argparse.ArgumentParser) -> None:
    _add_named(parser)
    parser.add_argument("labels", nargs="+", metavar="LABEL", help="the labels; each leaves the version that had it")
    parser.add_argument("--remove", action="store_true", help="take the labels away instead")


def _label(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import labelled_text, version_value
    from hermetic.sdk.environments import get_version
    from hermetic.sdk.versions import label, unlabel

    workspace = _workspace(arguments)
    version = get_version(workspace, *_reference(arguments.environment))
    if arguments.remove:
        unlabel(workspace, version.name, arguments.labels)
    else:
        label(workspace, version.name, version.version, arguments.labels)
    version = get_version(workspace, version.name, version.version)
    ui.result(labelled_text(version), version_value(version))
    return 0


def _add_archive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", metavar="ENV", help="NAME for all of it, or NAME:VERSION")
    parser.add_argument("--restore", action="store_true", help="take it back from the archive")


def _archive(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import archived_text
    from hermetic.sdk.versions import archive_named

    name, number, label = _reference(arguments.environment)
    version = archive_named(_workspace(arguments), name, number, label, restore=arguments.restore)
    value = {"name": name, "version": version, "archived": not arguments.restore}
    ui.result(archived_text(name, version, restored=arguments.restore), value)
    return 0


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", "-n", required=True, metavar="ENV", help="NAME, NAME:VERSION or NAME@LABEL")
    parser.add_argument("--directory", "-d", required=True, metavar="DIR", help="the folder to write the definition to")
    parser.add_argument("--version", metavar="N", default=None, help="the version (default: the latest)")
    parser.add_argument("--label", metavar="LABEL", default=None, help="the label of the version")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of a definition that is there")
    parser.add_argument("--lock", metavar="FILE", default=None, help="write the version's lock to a file, too")


def _download(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.errors import UsageError
    from hermetic.report.environments import downloaded_text
    from hermetic.sdk.environments import get_version
    from hermetic.sdk.scaffolding import download

    name, number, label = _reference(arguments.name)
    if (number or label) and (arguments.version or arguments.label):
        raise UsageError("the version is given twice", remedy="write it once: -n NAME --version N")
    workspace = _workspace(arguments)
    version = get_version(workspace, name, number or arguments.version, label or arguments.label)
    folder = download(workspace, version, arguments.directory, overwrite=arguments.overwrite, lock=arguments.lock)
    value = {"name": version.name, "version": version.version, "directory": str(folder), "lock": arguments.lock}
    ui.result(downloaded_text(version, folder, arguments.lock), value)
    return 0


def _add_lock(parser: argparse.ArgumentParser) -> None:
    _add_named(parser)
    parser.add_argument(
        "--platform",
        metavar="P",
        action="append",
        default=[],
        dest="platforms",
        help="have this platform in it (default: those that are declared, else those that are in it, else this one)",
    )
    parser.add_argument("--output", "-o", metavar="FILE", default=None, help="write the lock to a file, too")


def _lock(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.environments import locked_text, locked_value
    from hermetic.sdk.building import lock_version

    name, number, label = _reference(arguments.environment)
    version, lock = lock_version(
        _workspace(arguments),
        (name, number, label),
        platforms=arguments.platforms,
        path=arguments.output,
        root=arguments.project,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    ui.result(locked_text(version, lock), locked_value(version, lock, arguments.output))
    return 0


def _workspace(arguments: argparse.Namespace) -> Workspace:
    from hermetic.sdk.workspace import workspace_at

    return workspace_at(arguments.project, arguments.workspace)


def _reference(text: str) -> tuple[str, str | None, str | None]:
    from hermetic.sdk.environments import parse_reference

    return parse_reference(text)


ACTIONS = {
    "scaffold": Action("make a folder with a definition to begin with", _add_scaffold, _scaffold),
    "register": Action("register the definition in a folder", _add_register, _register),
    "list": Action("show the environments, the curated ones too", _add_list, _list),
    "show": Action("show a version: what it holds, who registered it and when, lock, images", _add_named, _show),
    "versions": Action("show the versions of an environment", _add_plain, _versions),
    "diff": Action("show what differs between two versions; exit status 1 if they differ", _add_diff, _diff),
    "label": Action("put labels on a version, or take them away", _add_label, _label),
    "archive": Action("archive an environment, or one version: it is listed no more", _add_archive, _archive),
    "lock": Action("make the lock of a version, or show that it has one", _add_lock, _lock),
    "download": Action("write a version's definition to a folder", _add_download, _download),
    "build": Action(
        "build a version's image; a build of it that is under way is joined", builds.add_build, builds.build
    ),
    "builds": Action("show builds, the newest first", builds.add_builds, builds.builds),
    "log": Action("show what a build has told", builds.add_log, builds.log),
    "cancel": Action("stop a build", builds.add_cancel, builds.cancel),
}
"""What the verb does, by the action's name."""
