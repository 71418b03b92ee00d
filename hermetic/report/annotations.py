"""What was found in CI, as the lines by which GitHub and Azure Pipelines show it beside the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermetic.consume.ci.commands import azure_command, github_command, log_text, plain

if TYPE_CHECKING:
    from hermetic.consume.ci.checking import Checked, CiReport, Problem


def annotations_text(report: CiReport, form: str) -> str:
    """Draw a report for a job's log: a command for each problem (``form`` github or azure), a line for all else."""
    tell = {"github": github_annotation, "azure": azure_annotation}[form]
    lines = []
    for check in report.checks:
        lines += [tell(problem) for problem in check.problems]
        lines += [] if check.problems else [log_text(good_text(check)).replace("\n", "\\n")]
    return "\n".join(lines)


def github_annotation(problem: Problem) -> str:
    """Give GitHub's command for a problem."""
    file, line = plain(problem.file), str(problem.line or "")
    return github_command("error", {"file": file, "line": line, "title": f"hermetic: {problem.code}"}, problem.text)


def azure_annotation(problem: Problem) -> str:
    """Give Azure Pipelines' command for a problem."""
    properties = {"type": "error", "sourcepath": problem.file, "linenumber": str(problem.line or "")}
    return azure_command("task.logissue", {**properties, "code": problem.code}, problem.text)


def report_text(report: CiReport) -> str:
    """Draw a report for people and for logs that nobody reads commands from; none of its lines is one."""
    lines = []
    for check in report.checks:
        lines += [] if check.problems else [good_text(check)]
        for problem in check.problems:
            where = f"{problem.file}:{problem.line}: " if problem.line else f"{problem.file}: " if problem.file else ""
            lines.append(f"{where}{problem.text}".replace("\n", "\n  "))
    return log_text("\n".join(lines))


def good_text(check: Checked) -> str:
    """Tell that nothing is wrong with what was checked."""
    said = {"lock": "fits its spec", "environment": "is what its lock says, file by file"}
    return f"{check.name}: {check.path} {said.get(check.what, 'is good')}"
