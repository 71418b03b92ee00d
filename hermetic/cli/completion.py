"""Print a completion script for a shell. Put its output where your shell looks for completions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic completion bash > ~/.local/share/bash-completion/completions/hermetic
  hermetic completion zsh > ~/.zfunc/_hermetic"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell: %(choices)s")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Print the script."""
    import shtab

    from hermetic.cli.parser import make_parser

    script = shtab.complete(make_parser(), arguments.shell)
    ui.output(script, {"shell": arguments.shell, "text": script})
    return 0
