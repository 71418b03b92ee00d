"""Clients' logs without secrets: they tell requests, and so signatures, to whoever listens to Python's logging."""

from __future__ import annotations

import logging
import re

from hermetic.secrets import HIDDEN, redact

_QUERY = re.compile(r"\?[^\s'\"]+")
_SECRET = re.compile(
    r"(?i)(authorization|signature|credential|security-token|sharedkey|bearer|[?&]sig|access_?token|assertion|"
    r"string.?to.?sign|canonical.?request)"
)

_USUAL = logging.makeLogRecord({}).__dict__.keys() | {"asctime", "message", "taskName"}


def hush(*clients: str) -> None:
    """Let the loggers of some packages, as far as they are there by now, tell nothing that signs a request.

    It costs nothing where nobody listens, and changes no level and no handler of the program that we run in.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in clients:
            logger = logging.getLogger(name)
            if _clean not in logger.filters:
                logger.addFilter(_clean)


def _clean(record: logging.LogRecord) -> bool:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001  what cannot be written cannot leak
        return False
    record.msg = f"({HIDDEN}: a request's signature)" if _SECRET.search(text) else redact(_QUERY.sub("", text))
    record.args = ()
    record.exc_info = record.exc_text = None  # errors of transport repeat the address
    for name in record.__dict__.keys() - _USUAL:  # whole requests and answers, for those who log JSON
        del record.__dict__[name]
    return True
