"""Completion scripts, in the shells that are there: they parse, and complete names, platforms and files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.needs import suits

from hermetic.cli.parser import VERBS

MANIFEST = """\
[environments.train]
dependencies = ["python"]
[environments."test"]
system = { glibc = "2.28" }
[environments.test.variables]
A = "b"
"""


def script(shell: str) -> str:
    command = [sys.executable, "-m", "hermetic", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    """A folder in a project with two environments."""
    (tmp_path / "hermetic.toml").write_text(MANIFEST)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "pixi.lock").write_text("")
    (folder / "sub").mkdir()
    return folder


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_every_verb_is_known(shell: str) -> None:
    text = script(shell)
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_accepts_its_script(shell: str, tmp_path: Path) -> None:
    suits(bool(shutil.which(shell)), f"there is no {shell}")
    file = tmp_path / "script"
    file.write_text(script(shell))
    subprocess.run([shell, "-n", str(file)], check=True)


WORDS = [
    ("build ", {"test", "train"}),
    ("build tr", {"train"}),
    ("add -e te", {"test"}),
    ("lock --platform linux-6", {"linux-64"}),
    ("import ", {"pixi.lock", "sub"}),
    ("build -C ", {"sub"}),
    ("verify te", {"test"}),
    ("verify s", {"sub"}),
    ("export -f pix", {"pixi"}),
]


@pytest.mark.parametrize(("words", "found"), WORDS)
def test_bash_completes(words: str, found: set[str], inner: Path, tmp_path: Path) -> None:
    suits(bool(shutil.which("bash")), "there is no bash")
    text = words.split(" ")
    program = (
        f"COMP_WORDS=(hermetic {' '.join(word or repr('') for word in text)}); COMP_CWORD={len(text)}\n"
        "_shtab_hermetic\nprintf '%s\\n' \"${COMPREPLY[@]}\""
    )
    file = tmp_path / "script"
    file.write_text(f"complete() {{ :; }}; compopt() {{ :; }}\n{script('bash')}\n{program}")
    ran = subprocess.run(["bash", str(file)], cwd=inner, capture_output=True, text=True, check=True)
    assert {word for word in ran.stdout.split() if not word.startswith("-")} == found


@pytest.mark.parametrize(("words", "found"), WORDS)
def test_fish_completes(words: str, found: set[str], inner: Path, tmp_path: Path) -> None:
    suits(bool(shutil.which("fish")), "there is no fish")
    file = tmp_path / "script"
    file.write_text(f"{script('fish')}\ncomplete -C 'hermetic {words}'\n")
    ran = subprocess.run(
        ["fish", "--no-config", str(file)], cwd=inner, capture_output=True, text=True, check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert {line.split("\t")[0].rstrip("/") for line in ran.stdout.splitlines() if not line.startswith("-")} == found
