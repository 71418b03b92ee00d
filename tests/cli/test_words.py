"""How the words of a call are understood: verbs, options wherever they stand, and what was meant by a wrong one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import hermetic
from hermetic.cli import run
from hermetic.cli.parser import parse
from hermetic.errors import UsageError


@pytest.mark.parametrize(
    ("words", "name", "command", "locked"),
    [
        ("run -- python -V", None, "python -V", False),
        ("run default -- python --locked", "default", "python --locked", False),
        ("run default --locked -- true", "default", "true", True),
        ("run --locked default -- true", "default", "true", True),
        ("run default --locked git checkout -- file", "default", "git checkout -- file", True),
        ("run -C . default ls", "default", "ls", False),
        ("run -C=. default ls -l", "default", "ls -l", False),
        ("--project . run -- ls --json", None, "ls --json", False),
        ("run default -- -- x", "default", "-- x", False),
        ("run default", "default", "", False),
    ],
)
def test_what_is_the_commands_and_what_is_ours(words: str, name: str | None, command: str, locked: bool) -> None:
    arguments = parse(words.split())
    assert (arguments.name, arguments.command, arguments.locked) == (name, command.split(), locked)
    assert not arguments.json


@pytest.mark.parametrize(
    "words", ["-C DIR --json lock --check", "--project=DIR lock --json --check", "lock -CDIR --json"]
)
def test_options_of_every_verb_stand_before_it_or_after(words: str) -> None:
    arguments = parse(words.split())
    assert (arguments.verb, arguments.project, arguments.json) == ("lock", "DIR", True)


def test_options_stand_before_a_verb_of_two_words() -> None:
    arguments = parse(["-q", "store", "info"])
    assert (arguments.verb, arguments.action, arguments.quiet) == ("store", "info", True)


@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        ("buid", "no verb 'buid'", "did you mean 'build'?; see 'hermetic --help'"),
        ("zzz", "no verb 'zzz'", "there are: init, add, "),
        ("store inf", "no action 'inf'", "did you mean 'info'?; see 'hermetic store --help'"),
        ("store info --jsn", "no option --jsn", "did you mean '--json'?; see 'hermetic store info --help'"),
        ("add --pipp x", "no option --pipp", "did you mean '--pip'?; see 'hermetic add --help'"),
        ("lock --upd", "no option --upd", "did you mean '--update'?"),
        ("lock --exclude=2026-01-01", "no option --exclude", "did you mean '--exclude-newer'?"),
        ("export -f conda-lok", "--format/-f cannot be 'conda-lok'", "did you mean 'conda-lock'?"),
        ("run default -zz ls", "no option -zz", "write -- before the command; see 'hermetic run --help'"),
        ("tree one two", "one word too many: two", "see 'hermetic tree --help'"),
        ("build --jobs 0", "--jobs is at least 1, not 0", "see 'hermetic build --help'"),
        ("tree --depth -1", "--depth is at least 0, not -1", "see 'hermetic tree --help'"),
        ("build --prefix=", "--prefix is empty", "give a folder"),
        ("build -C=", "--project is empty", "give a folder"),
    ],
)
def test_a_wrong_word_is_named_with_what_was_meant(words: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words.split())
    assert caught.value.message == message
    assert remedy in str(caught.value.remedy)


@pytest.mark.parametrize("words", ["build --nosuch --json", "build --json --jobs x", "--json buid", "--json"])
def test_a_usage_error_is_json_where_json_was_asked_for(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["error"]["code"] == "usage"


def test_the_json_of_a_command_is_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run --nosuch -- tool --json".split()) == 2
    assert capsys.readouterr().err.startswith("hermetic: no option --nosuch\n")


def test_the_package_runs_as_a_module() -> None:
    ran = subprocess.run([sys.executable, "-m", "hermetic", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"hermetic {hermetic.__version__}\n"
