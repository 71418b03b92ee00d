"""What a conda solver's or a channel's failure means to the person who asked.

The solver's tree is kept, because it is the explanation; around it stand the requirements with their places, what
the channels have instead, and what to do. No message holds an address with credentials: channels are named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from hermetic.errors import (
    CredentialsError,
    HermeticError,
    MachineError,
    NetworkError,
    OfflineError,
    SpecError,
    UnsatisfiableError,
    UsageError,
)
from hermetic.lock.explanation import shorten
from hermetic.lock.repodata_cache import DamagedRepodataError
from hermetic.platforms import NOARCH
from hermetic.secrets import advice, redact
from hermetic.spec.model import CondaRequirement

if TYPE_CHECKING:
    from rattler import Gateway

    from hermetic.lock.conda_solver import CondaRequest

_PREFIX = "Cannot solve the request because of: "
_NONE_FOUND = re.compile(
    r"No candidates were found for (?P<whole>\S+(?: [^,\n]+)*?)\.?$"
    r"|[├└]─ (?P<part>\S.*?), for which no candidates were found",
    re.MULTILINE,
)
_NODE = re.compile(r"^[\s│├└─]*(?:No candidates were found for )?(?P<name>[A-Za-z0-9_][\w.-]*)")
_STATUS = re.compile(r"\((\d{3}) ([^)]*)\)")
_LISTED = 6
"""How many versions, names or requirements a message shows at most; more would bury the reason."""


@dataclass(frozen=True)
class _Advice:
    """What the channels say to one thing that was not found: a fact, and what to do about it."""

    fact: str = ""
    remedy: str = ""


async def explain(error: Exception, request: CondaRequest, gateway: Gateway, sources: Sequence[Any]) -> HermeticError:
    """Turn an error of py-rattler into one of ours. ``sources`` are rattler's channels, in the request's order."""
    from rattler.exceptions import InvalidMatchSpecError, SolverError

    if isinstance(error, SolverError):
        return await _unsatisfiable(str(error), request, gateway, sources)
    if isinstance(error, InvalidMatchSpecError):
        return SpecError(f"a requirement is not understood by the solver: {error}")
    return channel_error(str(error), request, sources)


async def _unsatisfiable(
    text: str, request: CondaRequest, gateway: Gateway, sources: Sequence[Any]
) -> UnsatisfiableError:
    if found := await _contradiction(request, gateway, sources):
        return found
    body = _in_channel_names(text.removeprefix(_PREFIX).strip(), request, sources)
    asked = _asked(body, request.requirements)
    missing = dict.fromkeys((found["whole"] or found["part"]).strip() for found in _NONE_FOUND.finditer(body))
    advice = [await _advise(spec, request, gateway, sources) for spec in list(missing)[:3]]
    lines = shorten(body.replace(" *,", ",").replace(" *.", ".").replace(" * ", " "))
    if len(lines) == 1:
        lines = [lines[0].replace("No candidates were found for ", "no package matches ").rstrip(".")]
    facts = dict.fromkeys(found.fact for found in advice if found.fact)
    message = f"the requirements for {request.platform} cannot be met:" + "\n  ".join([*_compact(lines), *facts])
    if len(asked) > 1:
        message += f"\n  asked for: {', '.join(map(_shown, asked[:_LISTED]))}"
    remedies = dict.fromkeys(found.remedy for found in advice if found.remedy)
    return UnsatisfiableError(
        message,
        place=next((requirement.place for requirement in asked if requirement.place), None),
        remedy="; ".join(remedies) or _general_remedy(body, request),
    )


def _general_remedy(body: str, request: CondaRequest) -> str:
    if request.exclude_newer and "is excluded because" in body and "cutoff" in body:
        return f"take a later date than {request.exclude_newer:%Y-%m-%d}, or older versions of what is excluded"
    return "loosen or remove one of the requirements that contradict each other"


async def _contradiction(request: CondaRequest, gateway: Gateway, sources: Sequence[Any]) -> UnsatisfiableError | None:
    """Give the error for requirements of one package that no version meets together, though each alone has one."""
    from rattler import MatchSpec

    by_name: dict[str, list[CondaRequirement]] = {}
    for requirement in request.requirements:
        by_name.setdefault(requirement.name, []).append(requirement)
    for name, asked in by_name.items():
        if len(asked) == 1:
            continue
        try:
            found = await gateway.query(
                sources, [request.platform, NOARCH], [name], recursive=False, channel_relations="disabled"
            )
            specs = [MatchSpec(requirement.match) for requirement in asked]
        except Exception:  # noqa: BLE001, S112  a courtesy, as the advice below: the solver's own words are good too
            continue
        met = [[spec.matches(record) for spec in specs] for records in found for record in records]
        if all(map(any, zip(*met, strict=True))) and met and not any(map(all, met)):
            return UnsatisfiableError(
                f"the requirements for {request.platform} cannot be met: no {name} is all of this at once: "
                f"{', '.join(map(_shown, asked[:_LISTED]))}",
                place=next((requirement.place for requirement in asked if requirement.place), None),
                remedy=f"keep one of the requirements on {name}, or loosen them",
            )
    return None


def _compact(lines: list[str]) -> list[str]:
    """Put a tree below its own line, so that its branches stand under each other."""
    return [f" {lines[0]}"] if len(lines) == 1 else ["", *lines]


def _asked(body: str, requirements: Sequence[CondaRequirement]) -> list[CondaRequirement]:
    """Give the user's requirements that an explanation speaks of, in its order."""
    order: dict[str, int] = {}
    for number, line in enumerate(body.splitlines()):
        if node := _NODE.match(line):
            order.setdefault(node["name"].lower(), number)
    return sorted((r for r in requirements if r.name in order), key=lambda r: (order[r.name], r.match))


def _shown(requirement: CondaRequirement) -> str:
    return f"{requirement.text} ({requirement.place})" if requirement.place else requirement.text


async def _advise(spec: str, request: CondaRequest, gateway: Gateway, sources: Sequence[Any]) -> _Advice:
    """Look what the channels have under a name that was not found in the wanted version."""
    name = re.split(r"[ =<>!~\[]", spec, maxsplit=1)[0]
    if name.startswith("__"):
        return _advise_virtual(name, spec.removeprefix(name).strip(), request)
    channels = ", ".join(channel.name for channel in request.channels)
    try:
        found = await gateway.query(
            sources, [request.platform, NOARCH], [name], recursive=False, channel_relations="disabled"
        )
        records = [record for records in found for record in records]
        if not records:
            names = await gateway.names(sources, [request.platform, NOARCH], channel_relations="disabled")
            near = get_close_matches(name, sorted({n.normalized for n in names}), 3, 0.75)
            return _Advice(
                f"no package is called {name} for {request.platform} in: {channels}",
                f"did you mean {' or '.join(near)}?" if near else "check the name, or add the channel that has it",
            )
    except Exception:  # noqa: BLE001 - advice is a courtesy: its failure must not hide the reason
        return _Advice()
    versions = [str(version) for version in sorted({record.version for record in records})]
    shown = ", ".join(versions)
    if len(versions) > _LISTED:
        shown = f"{versions[0]} to {versions[-1]} ({len(versions)} versions)"
    newer = f" (published until {request.exclude_newer:%Y-%m-%d %H:%M} UTC only)" if request.exclude_newer else ""
    asked = any(spec == text for r in request.requirements for text in (r.match, r.match.replace(" ", "")))
    return _Advice(
        f"there is {name} {shown} for {request.platform} in: {channels}{newer}",
        f"ask for another version of {name}, or add a channel that has this one" if asked else "",
    )


def _advise_virtual(name: str, wanted: str, request: CondaRequest) -> _Advice:
    """Say which property of the target machine must be declared."""
    assumed = next((str(v.version) for v in request.virtual_packages if v.name == name), "")
    fact = f"assumed of the target: {name} {assumed}" if assumed else f"not assumed of the target: {name}"
    lowest = re.search(r">=?\s*([\d.]+)", wanted) or re.search(r"([\d]+(?:\.\d+)*)", wanted)
    version = lowest[1] if lowest else ""
    if name == "__cuda":
        return _Advice(
            fact,
            f'if the target machines have such a GPU driver, declare it: accelerator = "cuda-{version or "12.4"}"; in '
            f'Python, environment.accelerator = "cuda-{version or "12.4"}"',
        )
    if name in {"__unix", "__linux", "__win", "__osx"} and not assumed:
        return _Advice(fact, f"the package is not made for {request.platform}: ask for it on other platforms only")
    known = {"__glibc": "glibc", "__linux": "linux", "__osx": "macos", "__win": "win", "__archspec": "archspec"}
    if version:
        return _Advice(
            fact,
            f'if the target machines have it, declare it: system = {{ {known.get(name, name)} = "{version}" }} '
            f"in hermetic.toml, which 'hermetic init --system {known.get(name, name)}={version}' makes; in "
            f'Python, environment.system = {{"{known.get(name, name)}": "{version}"}}',
        )
    return _Advice(fact, f"declare {name} under system if the target machines have it")


def channel_error(text: str, request: CondaRequest, sources: Sequence[Any]) -> HermeticError:
    """Turn a failure to read a channel into an error that names the channel, and shows no secret."""
    name = _channel_of(text, request, sources)
    what = f"channel {name}" if name else "a channel"
    addresses = {channel.name: source for channel, source in zip(request.channels, sources, strict=True)}
    shown = [_shown_address(source) for known, source in addresses.items() if name in {known, ""}]
    where = ", ".join(shown)
    if "no usable repodata cache" in text:
        return OfflineError(f"{what} was never read on this machine, and we are offline", remedy="lock once online")
    if unreadable := re.search(r"failed to open file `([^`]+)`: Permission denied", text):
        return MachineError(f"{what} cannot be read: no permission for {unreadable[1]}", remedy="ask for it")
    if "failed to open file" in text or "No such file" in text:
        return UsageError(
            f"{what} has no repodata in {where}",
            remedy="check the channel's folder: noarch/repodata.json must be in it; "
            "'hermetic channel make' makes a channel",
        )
    if unknown := re.search(r"'(\w+)' is not a supported scheme", text):
        return UsageError(
            f"{what} cannot be read by {unknown[1]}: {where}", remedy="use https, http, file, s3, gcs or oci"
        )
    if "os error 13" in text or "os error 28" in text or "os error 30" in text:
        reason = "no space is left" if "os error 28" in text else "its folder cannot be written"
        return MachineError(f"the repodata cache cannot be kept: {reason}", remedy="free it, or set HERMETIC_STORE")
    if status := _STATUS.search(text):
        address = next((channel.url for channel in request.channels if channel.name == name), "")
        return _http_error(what, int(status[1]), status[2], address, where)
    if "could not find subdir" in text:
        return NetworkError(f"{what} does not exist at its address", remedy=f"check its name and its address: {where}")
    if "timed out" in text:
        return NetworkError(f"{what} does not answer", remedy=f"try again, or use a mirror of {where}")
    if re.search(r"parse|decode zstd|Unknown frame|EOF while|invalid or truncated|decoding", text):
        return DamagedRepodataError(
            f"{what} gave repodata that is damaged or none at all",
            remedy="try again; if it stays, the channel is broken",
        )
    reason = next((line.removeprefix("Caused by: ") for line in reversed(text.splitlines()) if "://" not in line), "")
    why = f": {redact(reason.strip())}" if reason else ""
    mirror = f'HERMETIC_CHANNELS="{name or "NAME"}=ADDRESS" names a mirror'
    return NetworkError(
        f"{what} cannot be read{why}",
        remedy=f"check the network and the address {where}; {mirror}, 'hermetic channel make' needs neither",
    )


def _shown_address(source: Any) -> str:
    """Give a channel's address as a message may hold it: a folder as a path."""
    return redact(str(source.base_url).rstrip("/")).removeprefix("file://")


def _http_error(what: str, status: int, reason: str, address: str, where: str) -> HermeticError:
    if status in {401, 403}:
        return CredentialsError(
            f"{what}: the server refused access ({status} {reason})",
            remedy=advice(address),
        )
    if status == 404:
        return NetworkError(
            f"{what} does not exist at its address (404)", remedy=f"check its name and its address: {where}"
        )
    if status == 429:
        return NetworkError(f"{what}: the server is asked too often (429)", remedy="wait a little, or use a mirror")
    return NetworkError(f"{what}: the server failed ({status} {reason})", remedy="try again later, or use a mirror")


def _channel_of(text: str, request: CondaRequest, sources: Sequence[Any]) -> str:
    """Find the channel whose address a text mentions."""
    for channel, source in zip(request.channels, sources, strict=True):
        address = str(source.base_url).rstrip("/")
        path = address.removeprefix("file://")
        if address in text or _bare(address) in _bare(text) or (address != path and path in text):
            return channel.name
    return request.channels[0].name if len(request.channels) == 1 else ""


def _in_channel_names(text: str, request: CondaRequest, sources: Sequence[Any]) -> str:
    for channel, source in zip(request.channels, sources, strict=True):
        text = text.replace(str(source.base_url), channel.name).replace(str(source.base_url).rstrip("/"), channel.name)
    return text


def _bare(url: str) -> str:
    """Drop the user part of URLs: py-rattler shows it masked."""
    return re.sub(r"://[^/@\s]*@", "://", url)
