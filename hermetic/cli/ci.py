"""Check a project in CI, and tell what is wrong in the CI system's own way.

It is told from the environment whether GitHub Actions, GitLab CI or Azure Pipelines runs it; --format chooses another
way of telling. Templates for all three are in ci/ (see docs/ci.md).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hermetic.cli.ui import UI
    from hermetic.consume.ci.checking import CiReport
    from hermetic.consume.ci.systems import CiSystem

NESTED = True

EXAMPLES = """\
examples:
  hermetic ci check                         do the locks fit? problems stand beside the code
  hermetic ci check --verify                are the built environments what their locks say, too?
  hermetic ci check --format gitlab -o gl-code-quality-report.json
  hermetic ci check --junit report.xml      for whatever else shows tests
  hermetic ci key                           the key under which CI keeps what was downloaded
  hermetic build --image --push --json > image.json && hermetic ci outputs image.json"""

_CHECK = """\
Check that the locks fit what is declared, without network, and with --verify that what is built is what they say.

Problems are told as annotations: GitHub's and Azure Pipelines' in the log, GitLab's in a code quality report, which
--output names; a summary goes where GitHub shows it. A check that cannot be made is a problem too. Exit status 1 if
there are any."""
_KEY = """\
Print the key of the cache for what the locks name, and give it to the steps that follow.

GitHub gets the outputs key, prefix and path; Azure Pipelines the variables hermetic_key and so on, also as outputs;
--dotenv writes HERMETIC_KEY and so on to a file, which GitLab reads as a report. The path holds the store's archives,
each named by its digest: 'hermetic store verify' drops what a cache brought that is not what its name says."""
_OUTPUTS = """\
Give the steps that follow what 'hermetic build --json' printed, from a file: of an image its reference and digest,
of an environment its prefix and key. They are given as by 'hermetic ci key'."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common
    from hermetic.consume.ci.systems import FORMATS

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    check = actions.add_parser(
        "check", help="check locks, and tell what is wrong in CI's way", description=_CHECK, epilog=EXAMPLES
    )
    key = actions.add_parser("key", help="print the key of CI's cache", description=_KEY, epilog=EXAMPLES)
    outputs = actions.add_parser(
        "outputs", help="give later steps what a build printed", description=_OUTPUTS, epilog=EXAMPLES
    )
    for action in (check, key):
        action.add_argument("names", nargs="*", metavar="NAME", help="environments (default: all)")
    check.add_argument("--verify", action="store_true", help="verify what is built, file by file")
    key.add_argument(
        "--platform",
        metavar="P",
        action="append",
        default=[],
        dest="platforms",
        help="for this platform (default: this machine's; repeat for several)",
    )
    outputs.add_argument("file", metavar="FILE", help="what a build printed with --json")
    check.add_argument(
        "--format", choices=FORMATS, default="", help="how to tell it (default: as the CI system reads it)"
    )
    check.add_argument(
        "--output", "-o", metavar="FILE", default="", help="write the document of the format here, the log as text"
    )
    check.add_argument("--junit", metavar="FILE", default="", help="write JUnit's XML here, too")
    check.add_argument(
        "--summary", metavar="FILE", default="", help="append a summary in Markdown (default: where GitHub takes it)"
    )
    for action in (key, outputs):
        systems = ("github", "azure", "text")
        action.add_argument(
            "--format", choices=systems, default="", help="whom to tell it (default: the CI system that runs this)"
        )
        action.add_argument("--dotenv", metavar="FILE", default="", help="append HERMETIC_NAME=value to this file, too")
    for action in (check, key, outputs):
        add_common(action)


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Check, or tell."""
    from dataclasses import replace

    from hermetic.consume.ci.systems import find_system
    from hermetic.errors import HermeticError

    system = find_system(os.environ, here=Path.cwd())
    system = replace(system, name=arguments.format or system.name)
    try:
        return _run(arguments, ui, system)
    except HermeticError as error:
        if ui.json or system.name not in {"github", "azure"}:
            raise
        from hermetic.consume.ci.checking import failed_report

        report = failed_report(error, system.checkout)  # no line of it commands the runner, as an error's could
        ui.result(_document(report, system.name), None, asked=True)
        return report.exit_status


def _run(arguments: argparse.Namespace, ui: UI, system: CiSystem) -> int:
    if arguments.action == "check":
        return _check(arguments, ui, system)
    if arguments.action == "key":
        from hermetic.consume.ci.keys import cache_key

        values = cache_key(arguments.project, arguments.names, arguments.platforms).to_dict()
        return _tell(arguments, ui, system, values, values["key"])
    from hermetic.consume.ci.outputs import outputs_of

    values = outputs_of(Path(arguments.file))
    return _tell(arguments, ui, system, values, "\n".join(f"{name}={value}" for name, value in values.items()))


def _check(arguments: argparse.Namespace, ui: UI, system: CiSystem) -> int:
    from hermetic.consume.ci.checking import check_project

    report = check_project(
        arguments.project,
        arguments.names,
        checkout=system.checkout,
        verify=arguments.verify,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    _write_documents(arguments, report, system)
    ui.result(_told(arguments, report, system), report.to_dict(), asked=not report.good)
    return report.exit_status


def _write_documents(arguments: argparse.Namespace, report: CiReport, system: CiSystem) -> None:
    from hermetic.consume.ci.outputs import append_text
    from hermetic.files import write_whole
    from hermetic.report.ci_documents import junit, summary

    if arguments.output:
        write_whole(Path(arguments.output), _document(report, system.name))
    if arguments.junit:
        write_whole(Path(arguments.junit), junit(report))
    target = Path(arguments.summary) if arguments.summary else system.summary
    if target:
        append_text(target, summary(report))


def _document(report: CiReport, form: str) -> str:
    from hermetic.report.annotations import annotations_text, report_text
    from hermetic.report.ci_documents import code_quality, junit

    if form in {"github", "azure"}:
        return annotations_text(report, form) + "\n"
    return {"gitlab": code_quality, "junit": junit}.get(form, lambda found: report_text(found) + "\n")(report)


def _told(arguments: argparse.Namespace, report: CiReport, system: CiSystem) -> str:
    """Give what is printed: the document that was asked for, unless it goes to a file, or what the log is read for."""
    from hermetic.report.annotations import report_text

    asked = arguments.format or (system.name if system.name in {"github", "azure"} else "text")
    return report_text(report) if arguments.output else _document(report, asked)


def _tell(arguments: argparse.Namespace, ui: UI, system: CiSystem, values: Mapping[str, str], text: str) -> int:
    from hermetic.consume.ci.outputs import tell_outputs

    lines = tell_outputs(system, values, Path(arguments.dotenv) if arguments.dotenv else None)
    ui.result("\n".join([text, *lines]), dict(values), asked=True)
    return 0
