"""No text that comes from outside becomes a command to a runner, and all of it arrives."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.ci_runners import Command, azure_commands, github_commands

from hermetic.consume.ci.checking import Checked, CiReport, Problem
from hermetic.consume.ci.commands import azure_command, github_command, log_text, plain, unmarked
from hermetic.report.annotations import annotations_text, azure_annotation, github_annotation, report_text

EVIL = [
    "::set-output name=x::y", "\n::error::gone", "\r::add-mask::a", "  ::stop-commands::t", "##[add-matcher]/tmp/x",
    "a ##[stop-commands]x", "##vso[task.setvariable variable=PATH]/evil", "x##VSO[task.complete result=Succeeded;]",
    "%0A::error::x", "%250A", "%25", "%AZP25", "%AZP250A##vso[a.b]c", "%3B%5D", "a,file=b", "a;b=c]d", "::", ":::",
    "a::b", "#" * 3 + "[x]", "##", "[group]",
    "\x1b[0Ksection_start:1:x\r\x1b[0K", "\u2028::error::x", "\u0085::error::x",
    "\u200b::error::x", "\u202e", "\ud800", "\0", "ü", "x\r\ny",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(EVIL) | st.text(st.characters(), max_size=9), max_size=5).map("".join)
PROBLEM = st.builds(Problem, TEXT, TEXT, file=TEXT, line=st.none() | st.integers(1, 9999), platform=TEXT, remedy=TEXT)
REPORT = st.lists(st.builds(Checked, TEXT, TEXT, TEXT, st.lists(PROBLEM, max_size=2).map(tuple)), max_size=3).map(
    lambda checks: CiReport(tuple(checks), 0)
)


@given(TEXT)
def test_plain_text_can_be_written_and_seen(text: str) -> None:
    seen = plain(text)
    assert seen.encode().decode() == seen
    assert all(char.isprintable() or char == "\n" for char in seen)
    assert plain(seen) == seen
    assert unmarked(unmarked(text)) == unmarked(text)


@given(TEXT)
def test_text_for_a_log_holds_no_command(text: str) -> None:
    assert github_commands(log_text(text)) == []
    assert azure_commands(log_text(text)) == []


@pytest.mark.parametrize("text", ["a: b", "::", "Größe 5 %", "http://[::1]:80/x", "# heading", "x::y"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert unmarked(text) == text
    assert log_text(f"in {text}") == f"in {text}"


@given(TEXT, TEXT, TEXT)
@example("%0A", "%25", "%")
def test_github_reads_one_command_with_the_very_text(one: str, two: str, text: str) -> None:
    line = github_command("error", {"file": one, "title": two}, text)
    properties = {name: unmarked(value) for name, value in {"file": one, "title": two}.items() if value}
    assert github_commands(line) == [Command("error", properties, unmarked(text))]
    assert azure_commands(line) == []


@given(TEXT, TEXT, TEXT)
@example("%0A", "%AZP25", "%")
def test_azure_reads_one_command_with_the_very_text(one: str, two: str, text: str) -> None:
    line = azure_command("task.logissue", {"type": "error", "sourcepath": one, "code": two}, text)
    properties = {name: unmarked(value) for name, value in {"sourcepath": one, "code": two}.items() if value}
    (command,) = azure_commands(line)
    assert command.name == "task.logissue"
    assert command.properties == {"type": "error", **properties}
    assert command.text == unmarked(text)


@given(REPORT)
def test_a_report_is_a_command_for_each_problem_and_no_other(report: CiReport) -> None:
    problems = [problem for check in report.checks for problem in check.problems]
    found = github_commands(annotations_text(report, "github"))
    assert [command.name for command in found] == ["error"] * len(problems)
    assert [command.text for command in found] == [unmarked(problem.text) for problem in problems]
    assert [command.properties.get("file", "") for command in found] == [unmarked(p.file) for p in problems]
    told = azure_commands(annotations_text(report, "azure"))
    assert [command.name for command in told] == ["task.logissue"] * len(problems)
    assert [command.text for command in told] == [unmarked(problem.text) for problem in problems]
    assert all(command.properties["type"] == "error" for command in told)
    assert github_commands(report_text(report)) == azure_commands(report_text(report)) == []


def test_annotations_are_as_the_systems_document_them() -> None:
    problem = Problem("requirement-added", "numpy, 100% new: x", "env;a]b,c.yml", 3, "linux-64", "lock\nagain")
    assert github_annotation(problem) == (
        "::error file=env;a]b%2Cc.yml,line=3,title=hermetic%3A requirement-added"
        "::numpy, 100%25 new: x (linux-64)%0Alock%0Aagain"
    )
    assert azure_annotation(problem) == (
        "##vso[task.logissue type=error;sourcepath=env%3Ba%5Db,c.yml;linenumber=3;code=requirement-added;]"
        "numpy, 100%AZP25 new: x (linux-64)%0Alock%0Aagain"
    )
