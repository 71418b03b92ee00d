"""From an archive's or a wheel's address to its stable identity, and the other way round.

Other tools' locks name files by address; ours name them by channel or index and file name (DESIGN, 11). The way
back, from identity to address, belongs to the machine's configuration: exports take it as a function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias
from urllib.parse import unquote

from hermetic.lock.model import CondaPackage, Wheel
from hermetic.spec.urls import clean_url, is_url

CondaAddress: TypeAlias = Callable[[CondaPackage], str]
"""Gives the full address of a conda archive at this moment."""

WheelAddress: TypeAlias = Callable[[Wheel], str]
"""Gives the full address of a wheel at this moment. May raise HermeticError if it has none."""

ChannelName: TypeAlias = Callable[[str], str]
"""Gives the name of the channel that stands at an address, or the address if it has no name."""

_SUBDIR = re.compile(r"(noarch|[a-z]+-[a-z0-9_]+)\Z")
# How the reference index and its mirrors lay out their files: by the file's blake2 digest, in earlier years by tag.
_DIGEST_LAYOUT = re.compile(r"/packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+\Z")
_TAG_LAYOUT = re.compile(r"/packages/(source|any|cp\d+|py[\d.]+(?:\.py\d+)?|\d\.\d)/[^/]/[^/]+/[^/]+\Z")


def split_conda_address(url: str) -> tuple[str, str, str] | None:
    """Take an archive's address apart: (channel's address, subdir, file name), or None if it is no such address."""
    if not is_url(url):
        return None
    base, _, file_name = clean_url(url, fragment=False).rpartition("/")
    channel, _, subdir = base.rpartition("/")
    if not channel or not _SUBDIR.match(subdir) or not file_name.endswith((".conda", ".tar.bz2")):
        return None
    return channel, subdir, unquote(file_name)


def split_file_name(file_name: str) -> tuple[str, str, str] | None:
    """Take an archive's file name apart: (name, version, build), or None if it does not have the three."""
    stem = file_name.removesuffix(".conda").removesuffix(".tar.bz2")
    parts = stem.rsplit("-", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 and all(parts) else None


def channel_names(declared: Iterable[str], known: ChannelName | None = None) -> ChannelName:
    """Make the function that names channels by address.

    ``known`` (the machine's configuration) is asked first. Then a name that the file declares is taken where an
    address ends in it; then the name that conda's tools themselves give to the address; else the address stands.
    """
    names = sorted({name for name in declared if not is_url(name)}, key=len, reverse=True)

    def name(address: str) -> str:
        address = address.rstrip("/")
        if known and (found := known(address)) != address:
            return found
        for candidate in names:
            if address == candidate or address.endswith(f"/{candidate}"):
                return candidate
        from rattler import Channel

        own = Channel(address).name or ""
        return own if own and Channel(own).base_url.rstrip("/") == address else address

    return name


def index_and_url(address: str, file_name: str, index: str = "") -> tuple[str, str]:
    """Give (index, url) for a wheel that another tool's lock knows by its address.

    A file of the reference index, or of a mirror with its layout, is found again by name: nothing of the address
    stays. Any other address stays as it is, without query and credentials: it is where that very file was.
    """
    if index:
        return index, ""
    url = clean_url(address, fragment=False)
    if unquote(url.rpartition("/")[2]) == file_name and (_DIGEST_LAYOUT.search(url) or _TAG_LAYOUT.search(url)):
        return "", ""
    return "", url


def file_name_of(address: str) -> str:
    """Give the file name in which an address ends."""
    return unquote(address.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")[2])
