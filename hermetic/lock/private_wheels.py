"""Wheels of a workspace's own: brought into the store before a resolver runs, which then takes them as files.

So neither uv nor pip ever sees the address that they come from, which is signed, and each wheel is held to the
digest in its URL before anything reads it. The lock names it by the URL that the spec has.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from secrets import token_hex

from hermetic.errors import HermeticError, IntegrityError, UnsatisfiableError
from hermetic.lock.aside import aside
from hermetic.lock.job import Job
from hermetic.lock.markers import holds
from hermetic.lock.model import Wheel
from hermetic.lock.names import normal_name
from hermetic.lock.pip_resolver import PipAnswer, PipRequest, PythonRefusedError
from hermetic.lock.stubs import pip_version
from hermetic.lock.targets import platform_tags, wheel_rank, wheel_tags
from hermetic.spec.model import PipRequirement
from hermetic.spec.private_urls import SCHEME, PrivateUrl, is_private, parse_private

FOLDER = "private"
"""The folder, in the cache, where resolvers find the wheels under their own names."""


_LARGEST = 16 << 20
"""Bytes of metadata that are read at once; what says more is no wheel."""


@dataclass(frozen=True)
class AtHand:
    """A private wheel that was fetched: its URL, the file that a resolver is given, and its size in bytes."""

    url: PrivateUrl
    path: Path
    size: int


async def bring(job: Job, request: PipRequest) -> tuple[PipRequest, dict[str, AtHand]]:
    """Fetch the private wheels of a request; give the request that takes them as files, and what was fetched.

    Raises UnsatisfiableError where two files of one project are asked for or one does not run there
    (PythonRefusedError, where another Python would do), IntegrityError for what is no wheel, and what fetching raises,
    with the place of the requirement.
    """
    asked = _asked(request)
    if not asked:
        return request, {}
    wanted = [parse_private(item.url, item.place) for item in asked.values()]
    for url, requirement in zip(wanted, asked.values(), strict=True):
        _refuse_unfit(url, requirement, request)
    blobs = await _fetched(job, wanted, list(asked.values()))
    found = {}
    for (name, requirement), url, blob in zip(asked.items(), wanted, blobs, strict=True):
        path = _under_its_name(blob, job.cache / FOLDER, url)
        _refuse_untrue(path, requirement)
        found[name] = AtHand(url, path, path.stat().st_size)
    return replace(request, built={**request.built, **{name: item.path for name, item in found.items()}}), found


def with_urls(answer: PipAnswer, found: Mapping[str, AtHand]) -> PipAnswer:
    """Give an answer in which private wheels have their URLs and sizes."""
    wheels = (_named(wheel, found.get(wheel.name)) for wheel in answer.wheels)
    return replace(answer, wheels=tuple(wheels)) if found else answer


def _named(wheel: Wheel, item: AtHand | None) -> Wheel:
    if item is None:
        return wheel
    return replace(wheel, url=str(item.url), file_name=item.url.file_name, sha256=item.url.sha256, size=item.size)


def _asked(request: PipRequest) -> dict[str, PipRequirement]:
    """Give the requirement, or constraint, that names each project's private wheel."""
    here = (request.platform, request.python_version)
    direct = [item for item in (*request.requirements, *request.constraints) if item.url and holds(item.marker, *here)]
    found = {item.name: item for item in reversed(direct) if is_private(item.url)}
    for item in direct:
        other = found.get(item.name, item)
        if other.url != item.url:
            first, second = sorted((item, other), key=direct.index)
            where = f" ({first.place})" if first.place else ""
            raise UnsatisfiableError(
                f"two files of {item.name} are asked for on {request.platform}: {first.url}{where} and {second.url}",
                place=second.place,
                remedy="keep one of the two, or give each its own marker",
            )
    return dict(sorted(found.items()))


async def _fetched(job: Job, wanted: Sequence[PrivateUrl], asked: Sequence[PipRequirement]) -> Sequence[Path]:
    fetch = job.fetch_wheels
    if fetch is None:
        raise UnsatisfiableError(
            f"{wanted[0].file_name} stands in the workspace {wanted[0].workspace}, and nothing here can fetch it",
            place=asked[0].place,
            remedy="lock with a store, as 'hermetic lock' does",
        )
    try:
        async with job.bringing:  # the next platform finds most of them in the store
            return await aside(lambda: fetch(wanted))
    except HermeticError as error:
        pairs = zip(wanted, asked, strict=True)
        told = (r.place for url, r in pairs if url.file_name in error.message or f"{url.workspace!r}" in error.message)
        error.place = error.place or next(told, None)
        raise


def _refuse_unfit(url: PrivateUrl, requirement: PipRequirement, request: PipRequest) -> None:
    """Refuse a wheel that the target does not run, before it is fetched: resolvers say it in many ways."""
    target = (request.platform, request.python_version, request.virtual_packages)
    if wheel_rank(url.file_name, wheel_tags(*target)) is not None:
        return
    from packaging.utils import parse_wheel_filename

    platforms = {"any", *platform_tags(request.platform, request.virtual_packages)}
    where = f"{request.platform} with Python {request.python_version}"
    message = f"{url.file_name} does not run on {where}"
    if any(tag.platform in platforms for tag in parse_wheel_filename(url.file_name)[3]):
        raise PythonRefusedError(
            message,
            place=requirement.place,
            remedy="ask for the Python that it was built for, or build it for this one",
        )
    assumed = ", ".join(f"{v.name} {v.version}" for v in request.virtual_packages if v.name in {"__glibc", "__osx"})
    raise UnsatisfiableError(
        f"{message}{f' ({assumed} is assumed)' if assumed else ''}",
        place=requirement.place,
        remedy="ask for it on its own platform only (; sys_platform == '...'), or add one that was built for this one",
    )


def _under_its_name(blob: Path, cache: Path, url: PrivateUrl) -> Path:
    """Give a link that has a wheel's name, and leads to the blob: resolvers want both, and nothing is kept twice."""
    path = cache / url.sha256 / url.file_name
    with suppress(OSError):
        if path.samefile(blob):
            return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{token_hex(4)}")
    try:
        try:
            temporary.symlink_to(blob.absolute())
        except OSError:  # Windows, for most users
            temporary.write_bytes(blob.read_bytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _refuse_untrue(path: Path, requirement: PipRequirement) -> None:
    """Refuse a file that is not what its name says, and one whose metadata no resolver can follow."""
    headers = _metadata(path, requirement)
    stated = f"{normal_name(str(headers['Name']))} {pip_version(str(headers['Version']))}"
    named, version, *_ = path.name.split("-")
    if stated != f"{normal_name(named)} {pip_version(version)}":
        raise _no_wheel(path, f"it says that it is {stated}", requirement)
    for text in headers.get_all("Requires-Dist", []):
        if f"{SCHEME}://" in text.lower():
            name = text.partition("@")[0].strip()
            raise UnsatisfiableError(
                f"{path.name} requires {name} by a private URL, which no resolver can follow",
                place=requirement.place,
                remedy=f"let the wheel require {name} by its name, and add its URL to the spec",
            )


def _metadata(path: Path, requirement: PipRequirement) -> Message:
    try:
        with zipfile.ZipFile(path) as archive:
            members = (m for m in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", m.filename))
            metadata = next((m for m in members if m.file_size <= _LARGEST), None)
            data = archive.read(metadata) if metadata else b""
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        raise _no_wheel(path, f"it cannot be read ({error})", requirement) from None
    if not data:
        raise _no_wheel(path, "it has no metadata", requirement)
    return BytesHeaderParser().parsebytes(data)


def _no_wheel(path: Path, reason: str, requirement: PipRequirement) -> IntegrityError:
    return IntegrityError(
        f"{path.name} is no sound wheel: {reason}",
        place=requirement.place,
        remedy="build it again, and add that one to the workspace",
    )
