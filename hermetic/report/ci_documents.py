"""What was found in CI, as documents: GitLab's code quality report, JUnit's XML, and a summary in Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hermetic.consume.ci.commands import plain
from hermetic.digest import key
from hermetic.report.text import counted

if TYPE_CHECKING:
    from hermetic.consume.ci.checking import CiReport, Problem


def code_quality(report: CiReport) -> str:
    """Give GitLab's code quality report (a JSON list; severities are its five words).

    A fingerprint tells one finding from another and follows from what it says, not from the line it stands in, so that
    GitLab knows it again in the next pipeline.
    """
    items, seen = [], set()
    for problem in _problems(report):
        said = [problem.code, problem.file, problem.message, problem.platform]
        fingerprint = key("ci-finding/1", [plain(text) for text in said])
        if fingerprint not in seen:
            seen.add(fingerprint)
            items.append(
                {
                    "check_name": f"hermetic/{plain(problem.code)}",
                    "description": plain(problem.text),
                    "fingerprint": fingerprint,
                    "location": {"path": plain(problem.file) or ".", "lines": {"begin": problem.line or 1}},
                    "severity": "major",
                }
            )
    return json.dumps(items, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def junit(report: CiReport) -> str:
    """Give JUnit's XML: a suite for all that was checked, a case for each problem, and one for each good check.

    XML 1.0 can hold all that ``plain`` leaves.
    """
    from xml.etree import ElementTree as ET

    problems = _problems(report)
    cases = [(check, problem) for check in report.checks for problem in check.problems or (None,)]
    counts = {"tests": str(len(cases)), "failures": str(len(problems)), "errors": "0"}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": "hermetic", **counts})
    for check, problem in cases:
        classname = f"hermetic.{check.what}{'.' if check.name else ''}{check.name}"
        name = f"{problem.code}: {problem.message}" if problem else f"{check.path} is good"
        case = ET.SubElement(suite, "testcase", {"classname": plain(classname), "name": plain(name)})
        if problem:
            if problem.file:
                case.set("file", plain(problem.file))
            if problem.line:
                case.set("line", str(problem.line))
            failure = {"message": plain(problem.message), "type": plain(problem.code)}
            place = f"{problem.file}{f':{problem.line}' if problem.line else ''}\n" if problem.file else ""
            ET.SubElement(case, "failure", failure).text = plain(f"{place}{problem.text}")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def summary(report: CiReport) -> str:
    """Give a summary in Markdown, in which text from outside is text and no markup."""
    lines = []
    for check in report.checks:
        what = f"{check.what} of {markdown_text(check.name)}" if check.name else check.what
        if not check.problems:
            lines.append(f"- {what}: good ({markdown_text(check.path)})")
            continue
        lines += ["", f"**{what}: {counted(len(check.problems), 'problem')}**", "", "| where | what |", "|---|---|"]
        for problem in check.problems:
            where = f"{problem.file}{f':{problem.line}' if problem.line else ''}"
            lines.append(f"| {markdown_text(where)} | {markdown_text(problem.text)} |")
        lines.append("")
    return "\n".join(["### hermetic", "", *lines]) + "\n"


def markdown_text(text: str) -> str:
    """Give text for one line of Markdown that shows as it is.

    Everything that is markup to CommonMark, to GitHub's tables, mentions and addresses, or to HTML is a character
    reference, which no Markdown reads as markup (CommonMark 2.5). A line end is ``<br/>``.
    """
    kept = "".join(
        char if char.isalnum() or char in " -/=\n" else f"&#{ord(char)};" if char.isascii() else char
        for char in plain(text)
    )
    return kept.replace("\n", "<br/>")


def _problems(report: CiReport) -> list[Problem]:
    return [problem for check in report.checks for problem in check.problems]
