"""References to images: ``[REGISTRY/]REPOSITORY[:TAG][@DIGEST]``, and the addresses behind registries' names.

The grammar is that of the OCI distribution specification 1.1 ("Pulling manifests") and of the clients that users
know: the first part is a registry if it has a dot or a port, is ``localhost``, or is configured as one; else the
registry is the docker SDK's default one, and a name of one part lies in its ``library``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hermetic.errors import UsageError
from hermetic.secrets import expand, redact

if TYPE_CHECKING:
    from collections.abc import Collection

    from hermetic.config import Config

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?\Z")
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_LOOPBACK = re.compile(r"127(?:\.\d{1,3}){3}\Z")
_SHAPE = "write [REGISTRY/]REPOSITORY[:TAG][@sha256:DIGEST], as in registry.example.org/team/image:1"
_LONGEST = 255
"""Characters of a repository's name that registries take."""


@dataclass(frozen=True)
class Reference:
    """A parsed reference. ``tag`` and ``digest`` are empty where the text has none."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def tag_or_latest(self) -> str:
        """The tag; where neither tag nor digest is given, the one that all clients assume."""
        return self.tag or ("" if self.digest else "latest")

    @property
    def target(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag_or_latest

    def with_digest(self, digest: str) -> Reference:
        """Give the reference to what a digest names in the same repository, without the tag."""
        return replace(self, tag="", digest=digest)

    def with_tag(self, tag: str) -> Reference:
        """Give the reference to a tag in the same repository. Raises UsageError for what is no tag."""
        if not _TAG.match(tag):
            raise UsageError(f"{tag!r} is no tag", remedy="a tag has up to 128 letters, digits, '.', '_' and '-'")
        return replace(self, tag=tag, digest="")

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True)
class Address:
    """Where a registry is: its ``url`` (no user part, no slash at the end), and what stands before its repositories.

    ``asked`` is the address as it is configured, maybe with a user part; ``configured`` tells whether it is at all.
    """

    url: str
    prefix: str = ""
    asked: str = field(default="", repr=False)
    configured: bool = False

    @property
    def host(self) -> str:
        """Host and port, as credentials are filed."""
        return urlsplit(self.url).netloc

    def repository(self, name: str) -> str:
        """Give what a repository is called there."""
        return f"{self.prefix}/{name}" if self.prefix else name


def parse_reference(text: str, registries: Collection[str] = ()) -> Reference:
    """Read a reference; ``registries`` are configured names, which may lack a dot. Raises UsageError for another text.

    The default registry is written out, so that two texts that mean the same give the same value.
    """
    rest, at, digest = text.partition("@")

    def fault(reason: str, remedy: str = _SHAPE) -> UsageError:
        # What stands before an @ that no digest follows may be a user and a password.
        shown = text if not at or digest.startswith("sha256:") else f"***@{digest}"
        return UsageError(f"{redact(shown)!r} is no reference to an image: {reason}", remedy=remedy)

    if "://" in text:
        raise fault("it is a URL", "leave the scheme out; say http:// or https:// in [registries] of the configuration")
    if at and not _DIGEST.match(digest):
        raise fault("its digest is not sha256: and 64 lower-case hex digits")
    first, _, after = rest.partition("/")
    registry, path = (first, after) if has_registry(rest, registries) else ("", rest)
    repository, colon, tag = path.rpartition(":") if ":" in path else (path, "", "")
    if colon and not _TAG.match(tag):
        raise fault("its tag has other signs than letters, digits, '.', '_' and '-', or more than 128")
    if registry and not _HOST.match(registry):
        raise fault(f"{registry!r} is no registry")
    if not repository:
        raise fault("it has no repository")
    wrong = next((part for part in repository.split("/") if not _PART.match(part)), None)
    if wrong is not None:
        hint = "upper-case letters are not allowed" if _PART.match(wrong.lower()) else f"{wrong!r} is no part of a name"
        raise fault(f"{hint} in the repository's name")
    if len(repository) > _LONGEST:
        raise fault(f"its repository's name is longer than {_LONGEST}")
    if registry in registries and registry not in default_names():
        return Reference(registry, repository, tag, digest)
    if not registry or registry in default_names():
        registry = default_names()[0]
        repository = repository if "/" in repository else f"library/{repository}"
    return Reference(registry, repository, tag, digest)


def has_registry(text: str, registries: Collection[str] = ()) -> bool:
    """Tell whether a reference names its registry; ``registries`` are configured names, which may lack a dot."""
    first, slash, _ = text.partition("/")
    return bool(slash) and (first in registries or first == "localhost" or bool(re.search(r"[.:A-Z]", first)))


def registry_address(config: Config, registry: str) -> Address:
    """Give where a registry is at this moment.

    The configured address, else the docker SDK's for its default registry, else the host that the name says: by
    plain http on loopback, by https elsewhere. Raises UsageError for an address that is none.
    """
    configured = config.registries.get(registry, "")
    if not configured:
        if registry in default_names():
            parts = urlsplit(_docker_constants()[1])
            return Address(f"{parts.scheme}://{parts.netloc}", asked=f"{parts.scheme}://{parts.netloc}")
        url = f"{'http' if is_loopback(registry) else 'https'}://{registry}"
        return Address(url, asked=url)
    expanded = expand(configured)
    parts = urlsplit(expanded)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"the address of the registry {registry} is none: {redact(configured)}",
            remedy="write http:// or https://, a host, and maybe a path",
        )
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Address(url, parts.path.strip("/"), expanded.rstrip("/"), configured=True)


def is_loopback(registry: str) -> bool:
    """Tell whether a registry is on this machine, so that plain http tells nobody anything."""
    host = urlsplit(f"//{registry}").hostname or ""
    return host in {"localhost", "::1"} or host.endswith(".localhost") or bool(_LOOPBACK.match(host))


def default_names() -> tuple[str, ...]:
    """Give the names of the default registry, the usual one first."""
    name, address = _docker_constants()
    return name, urlsplit(address).netloc


def default_key() -> str:
    """Give what Docker's configuration files the default registry's credentials under."""
    return _docker_constants()[1]


@lru_cache(maxsize=1)
def _docker_constants() -> tuple[str, str]:
    """Give the docker SDK's INDEX_NAME and INDEX_URL, read from its source: importing it costs a third of a second."""
    from importlib.util import find_spec
    from pathlib import Path

    found = find_spec("docker")
    for folder in (found.submodule_search_locations or []) if found else []:
        try:
            source = (Path(folder) / "auth.py").read_text(encoding="utf-8")
        except OSError:
            continue
        name = re.search(r"^INDEX_NAME = ['\"]([a-z0-9.-]+)['\"]", source, re.MULTILINE)
        address = re.search(r"^INDEX_URL = f?['\"](https://[^'\"]+)['\"]", source, re.MULTILINE)
        if name and address:
            url = address[1].replace("{INDEX_NAME}", name[1])
            if "{" not in url:
                return name[1], url
    from docker.auth import INDEX_NAME, INDEX_URL

    return str(INDEX_NAME), str(INDEX_URL)
