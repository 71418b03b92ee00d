"""The stable URL of a workspace's own wheel: ``hermetic://WORKSPACE/wheels/SHA256/FILE``.

It stands in specs and locks, and holds nothing secret: it says which bytes, and whose. The address that gives them
is signed at the moment of use (``hermetic.store.objects``), and nobody writes that one down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from hermetic.errors import Place, SpecError, UsageError
from hermetic.workspace_config import check_workspace_name

SCHEME = "hermetic"
FOLDER = "wheels"
"""Where wheels stand in a workspace's artefacts."""

_URL = re.compile(
    r"(?i:hermetic)://(?P<workspace>[^/?#@:\s]+)/wheels/(?P<sha256>[0-9A-Fa-f]{64})/(?P<file>[^/?#\s]+)"
    r"(?:#sha256=(?P<again>[0-9A-Fa-f]{64}))?\Z"
)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*-[A-Za-z0-9_.!+]+(-[0-9][A-Za-z0-9_.]*)?(-[A-Za-z0-9_.]+){3}\.whl\Z")
"""A wheel's file name (PEP 427), in characters that mean nothing to a URL, a shell or a file system."""
_REMEDY = "write it as 'hermetic wheel add' gave it: hermetic://WORKSPACE/wheels/SHA256/FILE.whl"


@dataclass(frozen=True)
class PrivateUrl:
    """A private wheel's URL, taken apart: the workspace's name in lower case, the wheel's sha256 and file name."""

    workspace: str
    sha256: str
    file_name: str

    @property
    def key(self) -> str:
        """The wheel's key among the workspace's artefacts."""
        return f"{FOLDER}/{self.sha256}/{self.file_name}"

    @property
    def url(self) -> str:
        """The URL in its one canonical form."""
        return f"{SCHEME}://{self.workspace}/{self.key}"

    def __str__(self) -> str:
        return self.url


def is_private(url: str) -> bool:
    """Tell whether a text is meant as the URL of a private wheel; it may still be malformed."""
    return url[: len(SCHEME) + 3].lower() == f"{SCHEME}://"


def parse_private(url: str, place: Place | None = None) -> PrivateUrl:
    """Take a private wheel's URL apart. Raises SpecError, which does not repeat the URL: it may hold a secret."""
    found = _URL.match(url)
    if not found:
        signed = "?" in url or "@" in url
        reason = "a private wheel's URL holds no signature and no user" if signed else "this is no private wheel's URL"
        raise SpecError(reason, place=place, remedy=_REMEDY)
    file_name = unquote(found["file"])
    if not _FILE.match(file_name):
        raise SpecError("a private wheel's URL ends in no wheel's file name (PEP 427)", place=place, remedy=_REMEDY)
    if (found["again"] or found["sha256"]).lower() != found["sha256"].lower():
        raise SpecError("the digest behind a private wheel's URL is not the one in it", place=place, remedy=_REMEDY)
    try:
        name = check_workspace_name(found["workspace"].lower(), place)
    except UsageError as error:
        raise SpecError(error.message, place=place, remedy=error.remedy) from None
    return PrivateUrl(name, found["sha256"].lower(), file_name)


def private_url(workspace: str, sha256: str, file_name: str) -> str:
    """Give the stable URL of a wheel. Raises SpecError for a file name that is no wheel's."""
    return str(parse_private(f"{SCHEME}://{workspace}/{FOLDER}/{sha256}/{file_name}"))
