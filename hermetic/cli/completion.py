"""Print a completion script for a shell. Put its output where your shell looks for completions.

It completes verbs, options and their values, files, and the names of the project's environments.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic completion bash > ~/.local/share/bash-completion/completions/hermetic
  hermetic completion zsh > ~/.zfunc/_hermetic
  hermetic completion fish > ~/.config/fish/completions/hermetic.fish"""

# The names of a project's environments are read from its manifest by the shell: nobody waits for a Python at a key.
_FIND = """\
  local folder="$PWD"
  while [ -n "$folder" ] && [ ! -f "$folder/hermetic.toml" ]; do folder="${folder%/*}"; done
  local names=default
  [ -f "$folder/hermetic.toml" ] && names="$(
    sed -n 's/^ *\\[environments\\.["'"'"']\\{0,1\\}\\([A-Za-z0-9_-]*\\).*/\\1/p' "$folder/hermetic.toml" | sort -u
  )"
"""
_FISH = """\
function _hermetic_environments
  set -l folder $PWD
  while test -n "$folder"; and not test -f "$folder/hermetic.toml"
    set folder (string replace -r '/[^/]*$' '' -- $folder)
  end
  if test -f "$folder/hermetic.toml"
    string replace -rf '^ *\\[environments\\.["\\']?([A-Za-z0-9_-]*).*' '$1' < "$folder/hermetic.toml" | sort -u
  else
    echo default
  end
end
"""
_PREAMBLE = {
    "bash": f'_hermetic_environments() {{\n{_FIND}  compgen -W "$names" -- "$1"\n}}\n'
    '_hermetic_either() { _hermetic_environments "$1"; compgen -f -- "$1"; }\n',
    "zsh": f'_hermetic_environments() {{\n{_FIND}  compadd -- "${{(@f)names}}"\n}}\n'
    "_hermetic_either() { _hermetic_environments; _files; }\n",
    "fish": _FISH,
}
_ENVIRONMENT = {
    "bash": "_hermetic_environments", "zsh": "_hermetic_environments", "fish": "(_hermetic_environments)",
}  # fmt: skip
_EITHER = {
    "bash": "_hermetic_either",
    "zsh": "_hermetic_either",
    "fish": "(_hermetic_environments; __fish_complete_path (commandline -ct))",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh", "fish"), help="the shell: %(choices)s")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Print the script."""
    import shtab

    from hermetic.cli.parser import make_parser
    from hermetic.platforms import PLATFORMS

    parser = make_parser()
    for verb, action in _actions(parser, ""):
        if action.metavar == "P":
            action.choices = PLATFORMS  # of this parser, which parses nothing
        elif action.metavar in {"FILE", "REQUIREMENT|FILE"} or (verb, action.dest) == ("import", "file"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "DIR" or (verb, action.dest) == ("channel", "directory"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif (verb, action.dest) in {("diff", "old"), ("diff", "new"), ("verify", "target")}:
            action.complete = _EITHER  # type: ignore[attr-defined]
        elif action.metavar == "NAME" or (action.dest == "name" and verb != "init"):
            action.complete = _ENVIRONMENT  # type: ignore[attr-defined]
    script = shtab.complete(parser, arguments.shell, preamble=_PREAMBLE)
    ui.output(script, {"shell": arguments.shell, "text": script})
    return 0


def _actions(parser: argparse.ArgumentParser, verb: str) -> Iterator[tuple[str, argparse.Action]]:
    """Give every argument of every verb, with the verb."""
    from hermetic.cli.parser import verbs_of

    for action in parser._actions:  # noqa: SLF001  argparse shows its arguments in no other way
        yield verb, action
    for name, sub in verbs_of(parser).items():
        yield from _actions(sub, verb or name)
