"""VCS requirements: a branch or a tag is pinned to the commit that it names now."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from hermetic.errors import CredentialsError, MachineError, NetworkError, OfflineError, SpecError
from hermetic.lock.programs import Ran, run
from hermetic.lock.source import SourceBuild
from hermetic.secrets import basic, expand
from hermetic.spec.model import PipRequirement

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_TIMEOUT = 60


def repository(url: str) -> str:
    """Give the plain Git URL in a requirement's: without ``git+``, revision and fragment."""
    return _split_revision(url.removeprefix("git+").partition("#")[0])[0]


async def pin(requirement: PipRequirement, *, commit: str = "", offline: bool = False) -> SourceBuild:
    """Give the checkout that a requirement names, at ``commit`` if it is known already.

    Raises SpecError for what is not Git or names no commit, NetworkError or CredentialsError for what cannot be asked.
    """
    if not requirement.url.startswith("git+"):
        raise SpecError(
            f"{requirement.name}: only Git checkouts can be locked",
            place=requirement.place,
            remedy="name a wheel or an sdist of it",
        )
    address, _, fragment = requirement.url.removeprefix("git+").partition("#")
    url, revision = _split_revision(address)
    if _COMMIT.match(revision):
        commit = revision
    if not commit:
        commit = await _ask(requirement, expand(url), revision, offline=offline)
    return SourceBuild(
        name=requirement.name,
        vcs_url=expand(url),
        commit=commit,
        subdirectory=parse_qs(fragment).get("subdirectory", [""])[0],
        place=requirement.place,
    )


def _split_revision(address: str) -> tuple[str, str]:
    """Take ``@revision`` off an address; an @ before the path belongs to the user part."""
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    path, _, revision = path.partition("@")
    return f"{scheme}{separator}{host}{slash}{path}", revision


async def _ask(requirement: PipRequirement, url: str, revision: str, *, offline: bool) -> str:
    local = url.startswith("file://")
    if offline and not local:
        raise OfflineError(
            f"{requirement.name}: which commit {revision or 'the default branch'} is must be asked, and we are offline",
            place=requirement.place,
            remedy="name the commit, or lock once online",
        )
    wanted = revision or "HEAD"
    url, access = git_access(url, os.environ)
    ran = await _git("ls-remote", "--", url, wanted, f"{wanted}^{{}}", place=requirement, access=access)
    if ran.status:
        if re.search(r"[Aa]uthentication|could not read Username|Permission denied|403|401", ran.said):
            raise CredentialsError(
                f"{requirement.name}: the Git server refused access",
                place=requirement.place,
                remedy="give Git credentials for its host (a credential helper, an ssh key or netrc)",
            )
        raise NetworkError(
            f"{requirement.name}: its Git repository cannot be read",
            place=requirement.place,
            remedy="check the address and the network",
        )
    found = {name: commit for commit, _, name in (line.partition("\t") for line in ran.output.splitlines())}
    # An annotated tag is an object of its own; ^{} is the commit behind it.
    for name in (f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}", wanted):
        if name in found:
            return found[name]
    raise SpecError(
        f"{requirement.name}: its Git repository has no branch or tag {revision}",
        place=requirement.place,
        remedy="name a branch, a tag or a whole commit (40 hex digits)",
    )


def git_access(url: str, environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Give a repository's URL without its user and password, and the variables by which git sends them.

    On a command line everybody would see them, git's own helpers' included: a header in the environment nobody does.
    It goes to that host only, beside what ``environ`` tells git already.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or parts.scheme not in {"http", "https"}:
        return url, {}
    name, colon, password = user.partition(":")
    if name == "git" and not colon:  # everybody's name
        return url, {}
    ((header, value),) = basic(unquote(name), unquote(password)).items()
    count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    return urlunsplit(parts._replace(netloc=host)), {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": f"http.{parts.scheme}://{host}/.extraHeader",
        f"GIT_CONFIG_VALUE_{count}": f"{header}: {value}",
    }


async def _git(*arguments: str, place: PipRequirement, access: Mapping[str, str]) -> Ran:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes", "LC_ALL": "C"}
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await run(["git", *arguments], {**environment, **access})
    except FileNotFoundError:
        raise MachineError("git is not installed", place=place.place, remedy="install git") from None
    except TimeoutError:
        raise NetworkError(
            f"{place.name}: its Git server does not answer", place=place.place, remedy="try again"
        ) from None
