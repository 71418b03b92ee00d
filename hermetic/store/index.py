"""Where an artefact is at this moment: a channel's or an index's address, or one that was seen while locking.

An index is asked by the simple API (PEP 503, PEP 691), and a file is recognised by its sha256, so it does not
matter which of several indexes answers. Which those are comes from the configuration of uv and pip.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit, urlunsplit

from hermetic.config import Config, channel_url, workspace_named
from hermetic.errors import IntegrityError, NetworkError, UsageError
from hermetic.lock.model import CondaPackage, Wheel
from hermetic.secrets import expand, redact
from hermetic.spec.private_urls import PrivateUrl, is_private, parse_private
from hermetic.store.fetch import Artifact, is_local, local_path
from hermetic.store.http import Client, NotFoundError, origin
from hermetic.store.store import Store

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MEMORY = "address"


def remember_addresses(store: Store, addresses: Mapping[str, str]) -> None:
    """Remember where files (sha256 -> URL) were found while locking, so that a build right after asks no index.

    URLs hold no credentials and no query: those are the moment's.
    """
    for sha256, url in addresses.items():
        known = store.get_result(f"{_MEMORY}-{sha256}")
        if known is None or known.get("url") != url:
            store.put_result(f"{_MEMORY}-{sha256}", {"url": url})


def remembered_address(store: Store, sha256: str) -> str:
    """Give where a file was last seen; empty if it never was."""
    url = (store.get_result(f"{_MEMORY}-{sha256}") or {}).get("url", "")
    return url if isinstance(url, str) else ""


def conda_artifact(config: Config, package: CondaPackage) -> Artifact:
    """Give the artefact of a conda package, at its channel's address of this moment."""
    url = f"{channel_url(config, package.channel, package.subdir)}/{quote(package.file_name)}"
    return Artifact(package.file_name, (url,), package.sha256, package.size or None, package.md5)


def private_artifact(config: Config, url: PrivateUrl, size: int | None = None) -> Artifact:
    """Give the artefact of a workspace's own wheel: its address is signed anew whenever it is asked for.

    Raises UsageError for a workspace that nothing here names.
    """
    from hermetic.store.objects.model import hidden
    from hermetic.store.objects.private import sign_private

    def sign() -> str:
        return hidden(sign_private(config, url.url))

    try:
        near = "://" not in expand(workspace_named(config, url.workspace).artefacts)
    except UsageError as error:
        raise UsageError(f"{url.file_name}: {error.message}", place=error.place, remedy=error.remedy) from None
    return Artifact(url.file_name, (url.url,), url.sha256, size, sign=sign, near=near)


def wheel_artifact(store: Store, config: Config, wheel: Wheel, client: Client | None = None) -> Artifact:
    """Give the artefact of a wheel: its own URL, else where it was seen, else where its index says when asked."""
    seen = remembered_address(store, wheel.sha256)
    own = direct_url(config, wheel)
    urls = tuple(dict.fromkeys(url for url in (own, seen) if url))
    if is_private(own):
        artifact = private_artifact(config, parse_private(own), wheel.size or None)
        return replace(artifact, urls=urls)
    find: Callable[[], Sequence[str]] | None = None
    if not own and not wheel.origin:
        find = partial(_find, store, config, wheel, client)
    return Artifact(wheel.file_name, urls, wheel.sha256, wheel.size or None, find=find)


def direct_url(config: Config, wheel: Wheel) -> str:
    """Give the URL that the lock itself names, a relative path made absolute; empty if an index has the file."""
    if not wheel.url or "://" in wheel.url:
        return wheel.url
    path = Path(wheel.url).expanduser()
    return str((config.base or Path.cwd()) / path)


def _find(store: Store, config: Config, wheel: Wheel, client: Client | None) -> Sequence[str]:
    url = _ask(config, wheel, client or Client())
    if "?" not in url and "@" not in urlsplit(url).netloc:
        remember_addresses(store, {wheel.sha256: url})
    return (url,)


def locate_wheel(config: Config, wheel: Wheel, store: Store | None = None, *, client: Client | None = None) -> str:
    """Give a wheel's address: its own, else where the store saw it, else what its index says when asked.

    Raises NetworkError if no index has it, IntegrityError if every index has another file under its name.
    """
    if own := direct_url(config, wheel) or (remembered_address(store, wheel.sha256) if store else ""):
        return own
    return _ask(config, wheel, client or Client())


def _ask(config: Config, wheel: Wheel, client: Client) -> str:
    indexes = index_addresses(config, wheel)
    changed, faults = "", []
    for index in indexes:
        try:
            files = project_files(client, index, wheel.name)
        except NotFoundError:
            continue
        except NetworkError as fault:
            faults.append(fault)
            continue
        for name, url, sha256 in files:
            if sha256 == wheel.sha256 or (name == wheel.file_name and not sha256):
                return url
            if name == wheel.file_name:
                changed = f"{redact(index)} has it with sha256 {sha256}, locked is {wheel.sha256}"
    if faults:
        raise faults[0]
    if changed:
        raise IntegrityError(
            f"{wheel.file_name}: {changed}",
            remedy="the index serves another file under this name: lock again if that is meant",
        )
    raise NetworkError(
        f"{wheel.file_name}: not in {', '.join(redact(index) for index in indexes)}",
        remedy="configure an index that has it (see the indexes of uv and pip), or lock again",
    )


def index_addresses(config: Config, wheel: Wheel) -> tuple[str, ...]:
    """Give the addresses, at this moment, of the indexes that may have a wheel."""
    if wheel.index:
        return (config.indexes.get(wheel.index, wheel.index),)
    if config.default_index:
        return (config.default_index,)
    from hermetic.store.pip_config import default_indexes

    return default_indexes()


def project_files(client: Client, index: str, project: str) -> list[tuple[str, str, str]]:
    """Give an index's files of a project: (file name, URL, sha256 or empty)."""
    if is_local(index):
        folder = local_path(index) / project
        for name in ("index.json", "index.html"):
            if (folder / name).is_file():
                return _files((folder / name).read_bytes(), name.rpartition(".")[2], f"{folder.as_uri()}/")
        raise NotFoundError(f"{index} has no {project}")
    data, media, address = client.get_bytes(f"{index.rstrip('/')}/{project}/", accept=_ACCEPT)
    files = _files(data, "json" if "json" in media else "html", address)
    user = urlsplit(index).netloc.rpartition("@")[0]
    if not user:
        return files
    return [
        (name, _with_user(url, user) if origin(url) == origin(index) else url, digest) for name, url, digest in files
    ]


def _with_user(url: str, user: str) -> str:
    """Put the index's credentials (or the placeholders for them) into the address of a file on the same host."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


def _files(data: bytes, form: str, address: str) -> list[tuple[str, str, str]]:
    return list(_from_json(data, address) if form == "json" else _from_html(data, address))


def _from_json(data: bytes, address: str) -> list[tuple[str, str, str]]:
    try:
        files: list[dict[str, Any]] = json.loads(data)["files"]
        return [(f["filename"], urljoin(address, f["url"]), f.get("hashes", {}).get("sha256", "")) for f in files]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NetworkError(f"{redact(address)}: no answer of a simple index (PEP 691)") from None


def _from_html(data: bytes, address: str) -> list[tuple[str, str, str]]:
    links = _Links()
    links.feed(data.decode(errors="replace"))
    base = urljoin(address, links.base) if links.base else address
    found = []
    for href in links.hrefs:
        url, fragment = urldefrag(urljoin(base, href))
        digest = fragment.partition("sha256=")[2].partition("&")[0].lower()
        found.append((unquote(urlsplit(url).path.rpartition("/")[2]), url, digest))
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect links, and the address that they are relative to."""
        href = next((value for name, value in attrs if name == "href" and value), "")
        if tag == "a" and href:
            self.hrefs.append(href)
        elif tag == "base" and href and not self.base:
            self.base = href
