"""The no-op that reads a few lines: it answers only while every file is as it was, and imports next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hermetic.project.instant import find_root, recall
from hermetic.project.layout import find_project
from hermetic.project.memo import write_memo


def age(*files: Path) -> None:
    """Let files look older than the instant in which they are remembered; only the change time cannot be set."""
    for file in files:
        while _now(file.parent) - file.stat().st_ctime_ns < 100_000_000:
            pass


def _now(folder: Path) -> int:
    probe = folder / ".probe"
    probe.write_text("")
    try:
        return probe.stat().st_ctime_ns
    finally:
        probe.unlink()


@pytest.fixture
def remembered(tmp_path: Path) -> tuple[Path, Path, Path]:
    spec, absent, memo = tmp_path / "hermetic.toml", tmp_path / "absent", tmp_path / "build-.json"
    spec.write_text("[project]\n")
    age(spec)
    write_memo(memo, [spec, absent], {}, {}, instant=("default", "/somewhere"))
    return spec, absent, memo.with_suffix(".now")


def test_it_answers_while_nothing_has_changed(remembered: tuple[Path, Path, Path]) -> None:
    assert recall(str(remembered[2])) == ["default", "/somewhere"]


def test_it_is_silent_once_a_file_is_written_though_its_size_and_time_stay(
    remembered: tuple[Path, Path, Path],
) -> None:
    spec, _, now = remembered
    before = spec.stat()
    spec.write_text("[PROJECT]\n")
    os.utime(spec, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert recall(str(now)) is None


def test_it_is_silent_once_a_file_has_gone_or_appeared(remembered: tuple[Path, Path, Path]) -> None:
    spec, absent, now = remembered
    absent.write_text("")
    assert recall(str(now)) is None
    absent.unlink()
    assert recall(str(now)) is not None
    spec.unlink()
    assert recall(str(now)) is None


@pytest.mark.parametrize(
    "text", ["", "x", "hermetic-instant-1\nmany\n", "hermetic-instant-1\n1\n", "hermetic-instant-1\n1\na\tb\n"]
)
def test_a_file_that_is_no_such_memory_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "build-.now").write_text(text)
    assert not recall(str(tmp_path / "build-.now"))


def test_names_that_lines_cannot_hold_are_left_to_the_memo(tmp_path: Path) -> None:
    spec = tmp_path / "a\tb"
    spec.write_text("")
    age(spec)
    write_memo(tmp_path / "build-.json", [spec], {}, {}, instant=("default", "/somewhere"))
    assert recall(str(tmp_path / "build-.now")) is None


def test_it_finds_the_project_that_the_other_verbs_find(tmp_path: Path) -> None:
    (tmp_path / "hermetic.toml").write_text("")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "environment.yml").write_text("")
    assert find_root(str(inner)) == str(tmp_path)
    (tmp_path / "hermetic.toml").unlink()
    assert find_root(str(inner)) == str(inner) == str(find_project(inner).root)


def test_a_better_spec_file_that_appears_is_among_what_a_no_op_watches(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("")
    watched = find_project(tmp_path).chooses
    assert tmp_path / "environment.yml" in watched
    assert tmp_path / "hermetic.toml" in watched


def test_it_imports_neither_typing_nor_pathlib_nor_json() -> None:
    heavy = {"typing", "pathlib", "json", "re", "argparse", "dataclasses"}
    program = (
        "import sys; before = set(sys.modules)\n"
        "from hermetic.cli.instant import answer; import hermetic.cli, hermetic.report.instant\n"
        "assert not answer(['build', 'no', 'such'])\n"
        f"print(*sorted((set(sys.modules) - before) & {heavy!r}))"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})  # fmt: skip
    assert (ran.stdout.strip(), ran.stderr) == ("", "")
