"""The written reference is what the parser says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hermetic.cli.parser import VERBS

ROOT = Path(__file__).parent.parent.parent


def hermetic(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from hermetic.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help differently in every Python")
def test_the_reference_is_up_to_date() -> None:
    out = subprocess.run([sys.executable, "-m", "hermetic.cli.reference"], capture_output=True, text=True, check=True)
    assert out.stdout == (ROOT / "docs" / "cli.md").read_text(), "run: python -m hermetic.cli.reference > docs/cli.md"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples_and_exit_status(verb: str) -> None:
    help_ = hermetic(verb, "--help")
    assert help_.returncode == 0
    assert "examples:" in help_.stdout
    assert "exit status:" in help_.stdout


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["build", "--nonsense"], ["lock", "--platform"], ["channel"], ["run", "--nonsense"]]
)
def test_a_usage_error_is_two_lines_and_status_2(arguments: list[str]) -> None:
    result = hermetic(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "--help" in result.stderr
    assert "Traceback" not in result.stderr
