"""What a conda archive asks of its installation, read from its ``info`` folder (CEP 34 and what came before).

Newer archives say it in ``paths.json``; older ones in ``files``, ``has_prefix`` and ``no_link``. Nothing in them
is believed that can be seen in the files themselves: the digests are not taken from here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

OLD_PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3"
"""What a line of ``has_prefix`` without a placeholder means."""

_PLAIN = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/]+/)*(?!\.{1,2}\Z)[^/]+", re.DOTALL)
_SCRIPT = re.compile(r"(?:bin|Scripts|python-scripts)/\.[^/]+-(pre|post)-(link|unlink)\.(sh|bat)")
_DISTRIBUTION = re.compile(r"(?:.*/)?site-packages/([^/]+?)-\d[^/]*\.(?:dist|egg)-info(?:/(?:METADATA|PKG-INFO))?")


@dataclass(frozen=True)
class CondaContents:
    """What an archive asks for: the paths to link, where they hold the build's prefix, and what else it does.

    ``links`` are those that it calls symbolic links (None: it does not say). ``prefixed`` maps a path to
    (placeholder, ``text`` or ``binary``). ``link_scripts`` are paths of scripts that run when the package is linked;
    ``distributions`` are the Python projects whose metadata it carries.
    """

    paths: tuple[str, ...]
    links: frozenset[str] | None
    prefixed: Mapping[str, tuple[str, str]]
    entry_points: tuple[str, ...] = ()
    link_scripts: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()

    def to_dict(self, present: AbstractSet[str]) -> dict[str, Any]:
        """Give it as JSON values; ``present`` are the files and links beside ``info``, as a rule all listed."""
        return {
            "unlisted": sorted(present - set(self.paths)),
            "prefixed": {path: list(how) for path, how in sorted(self.prefixed.items())},
            "entry_points": list(self.entry_points),
            "link_scripts": list(self.link_scripts),
            "distributions": list(self.distributions),
        }


def read_contents(read: Callable[[str], bytes | None]) -> CondaContents:
    """Read what an archive asks for. ``read`` gives a file of its ``info`` folder, or None.

    Raises ValueError, KeyError or TypeError for files that are not what they should be.
    """
    stated = read("paths.json")
    if stated is not None:
        paths, links, prefixed = _new_paths(json.loads(stated))
    else:
        paths, prefixed = _old_paths(read)
        links = None
    link = json.loads(read("link.json") or b"{}")
    entry_points = [str(point) for point in (link.get("noarch") or {}).get("entry_points") or ()]
    for path in paths:
        check_path(path)
    for point in entry_points:
        check_name(point.partition("=")[0].strip())
    return CondaContents(
        tuple(paths),
        links,
        prefixed,
        tuple(sorted(entry_points)),
        tuple(sorted(p for p in paths if (found := _SCRIPT.fullmatch(p)) and found[2] == "link")),
        tuple(sorted({found[1] for path in paths if (found := _DISTRIBUTION.fullmatch(path))})),
    )


def check_path(path: str) -> None:
    """Raise ValueError for a path that leaves the folder it is relative to, or that is not written plainly."""
    if path.startswith("/") or "\\" in path or "\0" in path or not _PLAIN.fullmatch(path):
        raise ValueError(f"it lists the unsafe path {path!r}")


def check_name(name: str) -> None:
    """Raise ValueError for the name of a script that is no plain file name."""
    check_path(name)
    if "/" in name:
        raise ValueError(f"it names a script {name!r}")


def _new_paths(document: Any) -> tuple[list[str], frozenset[str], dict[str, tuple[str, str]]]:
    paths, links, prefixed = [], set(), {}
    for item in document["paths"]:
        path = item["_path"]
        if not isinstance(path, str):
            raise TypeError("a path is no text")
        if item.get("path_type") == "directory":
            check_path(path)
            continue
        paths.append(path)
        if item.get("path_type") == "softlink":
            links.add(path)
        if item.get("prefix_placeholder"):
            prefixed[path] = (str(item["prefix_placeholder"]), str(item.get("file_mode") or "text"))
    return paths, frozenset(links), prefixed


def _old_paths(read: Callable[[str], bytes | None]) -> tuple[list[str], dict[str, tuple[str, str]]]:
    files = read("files")
    if files is None:
        raise ValueError("it has neither info/paths.json nor info/files")
    paths = [line.strip() for line in files.decode().splitlines() if line.strip()]
    prefixed = {}
    for line in (read("has_prefix") or b"").decode().splitlines():
        parts = [part.strip("\"'") for part in shlex.split(line, posix=False)]
        if len(parts) == 1:
            prefixed[parts[0]] = (OLD_PLACEHOLDER, "text")
        elif len(parts) == 3:
            prefixed[parts[2]] = (parts[0], parts[1])
    return paths, prefixed
