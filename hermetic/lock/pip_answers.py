"""From what uv found to what a lock holds: one wheel per project, named by its index and never by its address."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from hermetic.errors import IntegrityError, UnsatisfiableError
from hermetic.lock.model import Wheel
from hermetic.lock.pip_inputs import local_path
from hermetic.lock.pip_resolver import PipAnswer, PipRequest
from hermetic.lock.pylock import Candidate, Release
from hermetic.lock.source import SourceBuild
from hermetic.lock.targets import wheel_rank, wheel_tags
from hermetic.lock.uv_annotations import Annotations
from hermetic.lock.uv_log import Trace
from hermetic.secrets import expand
from hermetic.spec.model import PipRequirement


@dataclass(frozen=True)
class Findings:
    """What a resolver told of one platform, in its own terms."""

    releases: Mapping[str, Release]
    trace: Trace
    annotations: Annotations


def satisfied_extras(found: Findings, request: PipRequest) -> set[str]:
    """Give the projects that conda provides and of which something asks for an extra."""
    return {p.name for p in request.provided if found.trace.extras.get(p.name)}


def answer(request: PipRequest, found: Findings) -> PipAnswer:
    """Put the answer together: what conda provides is left out, what must be built stands apart."""
    provided = {project.name for project in request.provided}
    wheels: list[Wheel] = []
    sources: list[SourceBuild] = []
    addresses: dict[str, str] = {}
    for name, release in found.releases.items():
        if name in provided:
            continue
        if not release.wheels:
            sources.append(_source(release, request, found.annotations.found_at.get(name, "")))
            continue
        file = _choose(release, request, found.trace.files.get((name, release.version), ""))
        index, url = _origin(release, file, request, found.annotations.found_at.get(name, ""))
        if name not in request.built:
            addresses[file.sha256] = without_user(file.url) if "://" in file.url else Path(file.url).as_uri()
        wheels.append(
            Wheel(
                name=name,
                version=release.version,
                file_name=file.file_name,
                size=file.size,
                sha256=file.sha256,
                index=index,
                url=url,
                requires=_requires(release, found),
                extras=tuple(sorted(found.trace.extras.get(name, ()))),
            )
        )
    satisfied = tuple(sorted(provided & found.releases.keys()))
    return PipAnswer(tuple(sorted(wheels)), tuple(sources), addresses, satisfied)


def without_user(url: str) -> str:
    """Give an address without its user part and its query: good to be remembered on this machine."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _requires(release: Release, found: Findings) -> tuple[str, ...]:
    named = found.trace.edges.get((release.name, release.version), set())
    named = named | {name for name, by in found.annotations.needed_by.items() if release.name in by}
    return tuple(sorted(name for name in named if name in found.releases and name != release.name))


def _choose(release: Release, request: PipRequest, preferred: str) -> Candidate:
    """Choose the one wheel of a release: what uv would install, unless the spec's digests allow only another."""
    asked = [r for r in request.requirements if r.name == release.name]
    # A digest beside a source is the source's.
    allowed = set() if release.name in request.built else {digest for r in asked for digest in r.hashes}
    chosen = next((file for file in release.wheels if file.file_name == preferred), None)
    if chosen and not allowed and chosen.url.startswith(("http://", "https://")):  # the usual case needs no tags
        return _with_digest(chosen)
    tags = wheel_tags(request.platform, request.python_version, request.virtual_packages)
    ranked: list[tuple[bool, int, bool, int, Candidate]] = []
    for position, file in enumerate(release.wheels):
        rank = wheel_rank(file.file_name, tags)
        if rank is not None:
            local = not file.url.startswith(("http://", "https://"))
            ranked.append((file.file_name != preferred, rank, local, position, file))
    fitting = [file for *_, file in sorted(ranked, key=lambda entry: entry[:-1])]
    if not fitting:
        raise _unfitting(release, request, asked)
    chosen = next((f for f in fitting if not allowed or f"sha256:{f.sha256}" in allowed), None)
    if chosen is None:
        raise _forbidden(release, fitting[0], asked)
    return _with_digest(chosen)


def _with_digest(file: Candidate) -> Candidate:
    if not file.sha256:
        raise IntegrityError(f"the index gives no sha256 for {file.file_name}", remedy="use an index that does")
    return file


def _unfitting(release: Release, request: PipRequest, asked: list[PipRequirement]) -> UnsatisfiableError:
    names = ", ".join(file.file_name for file in release.wheels[:3])
    return UnsatisfiableError(
        f"{release.name} {release.version} does not run on {request.platform} with Python {request.python_version}: "
        f"{names}",
        place=next((r.place for r in asked if r.place), None),
        remedy="ask for it on other platforms only, or name a wheel for this one",
    )


def _forbidden(release: Release, file: Candidate, asked: list[PipRequirement]) -> UnsatisfiableError:
    stated = sorted(digest for r in asked for digest in r.hashes)
    other = "" if any(d.startswith("sha256:") for d in stated) else "; a lock compares sha256 only"
    return UnsatisfiableError(
        f"none of the digests given for {release.name} belongs to a wheel of {release.version} that fits: "
        f"{file.file_name} has sha256:{file.sha256}{other}",
        place=next((r.place for r in asked if r.place), None),
        remedy="correct the digests, or remove them",
    )


def _origin(release: Release, file: Candidate, request: PipRequest, found_at: str) -> tuple[str, str]:
    """Give the index and the URL that a lock names a wheel by; one of them, or neither for the default index."""
    if release.name in request.built:
        return "", ""
    direct = next((r for r in request.requirements if r.name == release.name and r.url), None)
    if release.direct and direct:
        return "", direct.url.partition("#")[0]
    for link in request.options.find_links:
        if "://" in link:
            if found_at and without_user(expand(link)).rstrip("/") == without_user(found_at).rstrip("/"):
                return "", without_user(file.url)
        elif file.url.startswith("file:") or "://" not in file.url:
            path = unquote(urlsplit(file.url).path)
            if posixpath.dirname(path) == local_path(link, request.root).as_posix():
                return "", posixpath.join(link, file.file_name)
    named = [index for index in request.indexes if index.url]
    for index in named:
        if found_at and without_user(expand(index.url)).rstrip("/") == found_at.rstrip("/"):
            return index.name, ""
    return (request.indexes[0].name if request.indexes and not found_at else ""), ""


def _source(release: Release, request: PipRequest, found_at: str) -> SourceBuild:
    place = next((r.place for r in request.requirements if r.name == release.name and r.place), None)
    if release.sdist is None:
        raise UnsatisfiableError(f"{release.name} {release.version} has neither a wheel nor an sdist", place=place)
    index, named = _origin(release, release.sdist, request, found_at)
    return SourceBuild(
        name=release.name,
        version=release.version,
        file_name=release.sdist.file_name,
        url=without_user(release.sdist.url),
        sha256=release.sdist.sha256,
        size=release.sdist.size,
        index=index,
        named=named,
        place=place,
    )
