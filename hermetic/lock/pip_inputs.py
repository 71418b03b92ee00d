"""What a pip resolver reads: requirements, limits and addresses, as lines of requirements files.

Addresses stand in files that only their owner may read, never on a command line, which everybody on the machine can.
"""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from hermetic.errors import SpecError
from hermetic.lock.pip_resolver import PipRequest
from hermetic.lock.stubs import pip_version
from hermetic.secrets import access, expand
from hermetic.spec.model import PipRequirement


def index_lines(request: PipRequest) -> list[str]:
    """Give the options that say where to look."""
    main, *others = request.indexes or (None,)
    lines = [f"--index-url {index_address(main.url, asked=request.asked)}"] if main and main.url else []
    lines += [f"--extra-index-url {index_address(index.url, asked=request.asked)}" for index in others if index]
    lines += [f"--find-links {links_address(link, request.root)}" for link in request.options.find_links]
    return lines + ([] if main else ["--no-index"])


def requirement_lines(request: PipRequest) -> list[str]:
    """Give the requirements. One that was built is bound to its wheel, one that names a file to that file."""
    return [_line(requirement, request) for requirement in request.requirements]


def limit_lines(request: PipRequest, stubs: Mapping[str, Path]) -> list[str]:
    """Give the constraints: the spec's, and what conda provides (as stubs, or by version), and what was built."""
    bound = {**stubs, **request.built}
    lines = [_line(requirement, request) for requirement in request.constraints]
    lines += [f"{name} @ {path.as_uri()}" for name, path in sorted(bound.items())]
    return lines + [f"{p.name}=={pip_version(p.version)}" for p in request.provided if p.name not in bound]


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file of lines that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def index_address(url: str, *, asked: bool = False) -> str:
    """Give the address of an index with its credentials, as pip and uv take them: in the user part."""
    granted = access(url, asked=asked)
    scheme, _, token = granted.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":  # neither pip nor uv can send any other kind
        return granted.url
    user, _, password = b64decode(token).decode().partition(":")
    parts = urlsplit(granted.url)
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"))


def links_address(link: str, root: Path) -> str:
    """Give the address of a ``--find-links`` place: a URL as it is, a path absolute.

    Raises SpecError for a path where nothing is.
    """
    if "://" in link:
        return index_address(link)
    path = local_path(link, root)
    if not path.exists():
        raise SpecError(
            f"--find-links: there is no {path}",
            remedy="correct the path: relative ones start from the project's folder",
        )
    return str(path)


def local_path(location: str, root: Path) -> Path:
    """Give a path of the spec, which may begin with ``~`` or be relative to the root, as an absolute one."""
    path = Path(location.partition("#")[0]).expanduser()
    return Path(os.path.normpath(path if path.is_absolute() else root.absolute() / path))


def _line(requirement: PipRequirement, request: PipRequest) -> str:
    if not requirement.url:
        return requirement.text
    if built := request.built.get(requirement.name):
        url = built.as_uri()
    elif "://" in requirement.url:
        url = expand(requirement.url)
    else:
        url = local_path(requirement.url, request.root).as_uri()
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras} @ {url}{marker}"
