"""The documents for CI systems are what these read, whatever text is in them."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hermetic.consume.ci.checking import Checked, CiReport, Problem
from hermetic.consume.ci.commands import plain
from hermetic.report.ci_documents import code_quality, junit, markdown_text, summary

MARKS = st.text(st.sampled_from("ab |`*_<>&[]()!#~@:./\\-+=\"'{}\n1")) | st.text(st.characters())
PROBLEM = st.builds(
    Problem, MARKS, MARKS, file=MARKS, line=st.none() | st.integers(1, 99), platform=MARKS, remedy=MARKS
)
REPORT = st.lists(
    st.builds(
        Checked,
        st.sampled_from(["lock", "environment", "project"]),
        MARKS,
        MARKS,
        st.lists(PROBLEM, max_size=3).map(tuple),
    ),
    max_size=3,
).map(lambda checks: CiReport(tuple(checks), 0))
READER = MarkdownIt("gfm-like", {"linkify": False})


@given(REPORT)
def test_gitlab_reads_each_problem_once(report: CiReport) -> None:
    items = json.loads(code_quality(report))
    assert len({item["fingerprint"] for item in items}) == len(items)
    problems = [problem for check in report.checks for problem in check.problems]
    assert {item["description"] for item in items} <= {plain(problem.text) for problem in problems}
    assert bool(items) == bool(problems)
    for item in items:
        assert item.keys() == {"check_name", "description", "fingerprint", "location", "severity"}
        assert item["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert item["location"]["path"]
        assert item["location"]["lines"]["begin"] >= 1


def test_gitlab_knows_a_finding_again_when_its_line_moves() -> None:
    one, two = (
        json.loads(code_quality(CiReport((Checked("lock", "a", "l", (Problem("c", "m", "f", line),)),), 1)))
        for line in (3, 9)
    )
    assert one[0]["fingerprint"] == two[0]["fingerprint"]
    other = json.loads(code_quality(CiReport((Checked("lock", "a", "l", (Problem("c", "n", "f", 3),)),), 1)))
    assert other[0]["fingerprint"] != one[0]["fingerprint"]


@given(REPORT)
def test_junit_reads_every_problem_as_a_failure(report: CiReport) -> None:
    root = ET.fromstring(junit(report).encode())
    problems = [problem for check in report.checks for problem in check.problems]
    failures = root.findall("./testsuite/testcase/failure")
    assert [failure.get("type") for failure in failures] == [plain(problem.code) for problem in problems]
    assert root.get("failures") == str(len(problems))
    good = [check for check in report.checks if not check.problems]
    assert root.get("tests") == str(len(root.findall("./testsuite/testcase"))) == str(len(problems) + len(good))


@given(MARKS)
def test_text_in_markdown_is_text(text: str) -> None:
    page = ET.fromstring(f"<x>{READER.render(f'| a |{chr(10)}|---|{chr(10)}| {markdown_text(text)} |')}</x>")
    (cell,) = page.findall("./table/tbody/tr/td")
    assert all(child.tag == "br" for child in cell)
    said = "\n".join([cell.text or "", *(child.tail or "" for child in cell)])
    assert said.split() == plain(text).split()


@given(REPORT)
def test_a_summary_has_a_row_for_each_problem(report: CiReport) -> None:
    page = ET.fromstring(f"<x>{READER.render(summary(report))}</x>")
    problems = [problem for check in report.checks for problem in check.problems]
    assert len(page.findall(".//tbody/tr")) == len(problems)
    assert not page.findall(".//a")
    assert not page.findall(".//img")
