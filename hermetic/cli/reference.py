"""The reference of the command line, written from the parser: ``python -m hermetic.cli.reference > docs/cli.md``."""

from __future__ import annotations

import os
import sys

from hermetic.cli.parser import EXIT_STATUS, OVERVIEW, make_parser, verbs_of


def reference() -> str:
    """Give the reference as Markdown, the same on every terminal."""
    os.environ["COLUMNS"] = "100"
    parser = make_parser()
    parts = [
        "# The command line",
        "Written by `python -m hermetic.cli.reference`; `hermetic VERB --help` prints the same.",
        "What `--json` prints is in [json.md](json.md).",
        f"```\n{OVERVIEW}\n\n{EXIT_STATUS}\n```",
    ]
    for name, sub in verbs_of(parser).items():
        nested = verbs_of(sub)
        for path, command in (
            {f"{name} {action}": found for action, found in nested.items()}.items() if nested else [(name, sub)]
        ):
            parts.append(f"## hermetic {path}\n\n```\n{command.format_help().rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
