"""What the Python interface tells, in the words of the command line: its warnings, and options in its remedies."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hermetic.errors import HermeticError
from hermetic.sdk.errors import HermeticWarning

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

_WORDS = {"overwrite=True": "--overwrite"}


@contextmanager
def in_words_of_the_command_line(ui: UI) -> Iterator[None]:
    """Have warnings told by the reporter, without the source line that raised them, and remedies name options."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, HermeticWarning):
            ui.reporter.warn(str(message))
        else:
            before(message, category, *rest, **named)

    with warnings.catch_warnings():
        warnings.simplefilter("always", HermeticWarning)
        warnings.showwarning = show  # catch_warnings puts the earlier one back
        try:
            yield
        except HermeticError as error:
            for word, option in _WORDS.items():
                error.remedy = error.remedy.replace(word, option) if error.remedy else error.remedy
            raise
