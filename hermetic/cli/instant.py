"""The commonest calls that find nothing to do, answered before anything else is imported.

``hermetic build [NAME]``, ``hermetic lock --check`` and what pre-commit's hook calls, spelled just so. Whatever else
is asked, and whatever is not as it was, is left to the parser and the verbs.
"""

from __future__ import annotations

import os
import sys

from hermetic.project.instant import find_root, memo_file, recall

_QUIET = ("-q", "--quiet")


def answer(argv: list[str]) -> bool:
    """Tell whether a call has nothing to do, having said so unless it is to be quiet."""
    words = [word for word in argv if word not in _QUIET]
    kind, name = _asked(words)
    if not kind:
        return False
    try:
        values = recall(memo_file(find_root(os.getcwd()), kind, name, ".now"))  # noqa: PTH109  no pathlib here
    except OSError:  # the working folder is gone
        return False
    if not values:
        return False
    if len(words) == len(argv):
        from hermetic.report.instant import checked_text, stands_text

        pairs = list(zip(values[::2], values[1::2], strict=True))
        sys.stdout.write("".join(f"{(stands_text if kind == 'build' else checked_text)(*pair)}\n" for pair in pairs))
    return True


def _asked(words: list[str]) -> tuple[str, str]:
    """Give the kind of memo and the environment's name; an empty kind for all other calls."""
    if words in (["lock", "--check"], ["lock", "--if-stale", "--exit-code"]):
        return "check", "all"
    if words == ["build"]:
        return "build", ""
    if len(words) == 2 and words[0] == "build" and words[1].isidentifier() and words[1].isascii():
        return "build", words[1]
    return "", ""
