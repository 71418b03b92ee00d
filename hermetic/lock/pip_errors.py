"""What a pip resolver's failure means to the person who asked.

uv explains its failures in sentences; they are kept, because they are the explanation. Around them stand the places
of the requirements, what conda provides, and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hermetic.errors import (
    CredentialsError,
    HermeticError,
    IntegrityError,
    MachineError,
    NetworkError,
    OfflineError,
    Place,
    SpecError,
    UnsatisfiableError,
)
from hermetic.lock.names import normal_name
from hermetic.lock.pip_resolver import NeedsSourceError, PipRequest, PythonRefusedError
from hermetic.secrets import advice, redact
from hermetic.spec.model import PipRequirement

_LISTED = 6
_NEEDS_SOURCE = re.compile(r"Wheels are required for `([^`]+)` because building from source is disabled")
_PYTHON = re.compile(
    r"does not satisfy Python|Python requirement|Python (?:ABI|version|implementation) tag|requested Python version"
    r"|requires a different Python|Requires-Python"
)
_STUB = re.compile(r"file://\S*?/stubs/([A-Za-z0-9_.]+)-[^-/\s]+-py3-none-any\.whl")
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def explain(text: str, request: PipRequest) -> HermeticError:
    """Turn what a resolver said into one of our errors."""
    text = _tidy(text)
    if "network was disabled" in text or "Network connectivity is disabled" in text:
        missing = re.findall(r"(?:^|\s)(\S+) was not found in the cache|cache for: `([^`]+)`", text)
        what = ", ".join(dict.fromkeys(name or address for name, address in missing)) or "something needed"
        return OfflineError(
            f"pip requirements for {request.platform}: {what} was never looked up on this machine, and we are offline",
            place=_place(_asked(what, request.requirements)),
            remedy="lock once online",
        )
    index, place = _source_of(text, request)
    if refused := re.search(r"\b(401|403)\b (Unauthorized|Forbidden)", text):
        return CredentialsError(
            f"{index}: the server refused access ({refused[1]} {refused[2]})",
            remedy=_index_advice(index, request),
        )
    if lost := re.search(r"Distribution not found at: (\S+)", text):
        return _missing_file(lost[1], request)
    if "No solution found" in text or "ResolutionImpossible" in text or "No matching distribution" in text:
        return _unsatisfiable(text, request)
    if status := re.search(r"HTTP status (?:client|server) error \((\d{3}) ([^)]*)\)", text):
        reasons = {"404": "does not have a file that it lists or that a requirement names", "429": "is asked too often"}
        reason = reasons.get(status[1], "failed")
        return NetworkError(
            f"{index} {reason} ({status[1]} {status[2]})", place=place, remedy="try again later, or use a mirror"
        )
    if "timed out" in text:
        return NetworkError(f"{index} does not answer", place=place, remedy="try again, or use a mirror")
    if re.search(r"Failed to fetch|error sending request|Connection|dns error|Request failed", text):
        address = _fetched(text)
        return NetworkError(
            f"{index} cannot be reached",
            place=place,
            remedy=f"check the network and the address{f': {address}' if address and not place else ''}",
        )
    if "Received some unexpected" in text:
        return NetworkError(
            f"{index} gave an answer that no index gives:\n  {_indented(text)}",
            remedy="check its address, or try again",
        )
    if "Hash mismatch" in text:
        return IntegrityError(
            f"{index} serves a file that is not the one it lists:\n  {_indented(text)}",
            remedy="try again later; if it stays, use another mirror and tell its keeper",
        )
    if "os error 28" in text or "os error 13" in text:
        return MachineError(
            "uv cannot keep its cache: no space or no permission", remedy="free it, or set UV_CACHE_DIR"
        )
    if re.search(r"metadata|[Ww]heel|archive|parse", text):
        return UnsatisfiableError(
            f"a file that pip requirements for {request.platform} lead to cannot be used:\n  {_indented(text)}",
            place=_place(_asked(text, request.requirements)),
            remedy="choose another version of the package",
        )
    return MachineError(f"the pip resolver failed:\n  {_indented(text)}", remedy="report it, with the spec")


def _unsatisfiable(text: str, request: PipRequest) -> UnsatisfiableError:
    asked = _asked(text, request.requirements)
    body, _, hints = text.partition("\nhint:")
    body = re.sub(r"\A.*?No solution found when resolving dependencies:?\s*(?:cause:)?\s*", "", body, flags=re.DOTALL)
    unknown = "was not found in the package registry" in body
    body = body.replace("was not found in the package registry", "is on none of the indexes")
    names = tuple(dict.fromkeys(normal_name(name) for name in _NEEDS_SOURCE.findall(text)))
    where = f"{request.platform} with Python {request.python_version}"
    facts = [f"no wheel fits {where}: {', '.join(names[:_LISTED])}"] if names else []
    words = {normal_name(word) for word in _WORD.findall(body)}
    seen = [provided for provided in request.provided if provided.name in words]
    facts += [f"conda provides {p.name} {p.version} (package {p.conda})" for p in seen[:_LISTED]]
    facts += _tag_hints(hints)
    system = _assumed(request) if "platform tag" in text or names else ""
    if system:
        facts.append(f"assumed of the target: {system}")
    if request.exclude_newer:
        moment = f"{request.exclude_newer:%Y-%m-%d %H:%M} UTC"
        facts.append(f"only what was published until {moment} counts; a file whose index does not say when does not")
    if asked:
        facts.append(f"asked for: {', '.join(f'{r.text} ({r.place})' if r.place else r.text for r in asked[:_LISTED])}")
    message = f"the pip requirements for {request.platform} cannot be met: {_indented(body)}"
    message = "\n  ".join([message, *dict.fromkeys(facts)])
    place = _place(asked)
    if names:
        return NeedsSourceError(
            message,
            names,
            place=place,
            remedy=f"allow to build it (source-builds = [{', '.join(repr(name) for name in names[:_LISTED])}]), "
            "or ask for a version that has a wheel".replace("'", '"'),
        )
    if seen:
        others = ", ".join(p.name for p in seen[:_LISTED])
        remedy = f"let conda choose another version of {others}, or loosen the pip requirement"
        return UnsatisfiableError(message, place=place, remedy=remedy)
    if _PYTHON.search(text):
        return PythonRefusedError(
            message, place=place, remedy=f"choose another Python than {request.python_version}, or loosen a requirement"
        )
    if system:
        name = system.partition(" ")[0]
        remedy = (
            f'if the target machines have a newer {name}, declare it: system = {{ {name} = "..." }} in hermetic.toml; '
            f'in Python, environment.system = {{"{name}": "..."}}'
        )
        return UnsatisfiableError(message, place=place, remedy=remedy)
    if unknown:
        return UnsatisfiableError(message, place=place, remedy="check the name, or add the index that has it")
    return UnsatisfiableError(message, place=place, remedy="loosen or remove one of these requirements")


def _assumed(request: PipRequest) -> str:
    """Give the property of the target that decides which wheels fit, as ``system`` names it."""
    properties = {"__glibc": "glibc", "__osx": "macos"}
    found = next((v for v in request.virtual_packages if v.name in properties), None)
    return f"{properties[found.name]} {found.version}" if found else ""


def _tag_hints(hints: str) -> list[str]:
    """Keep the hints that say which Pythons or platforms a project has wheels for."""
    found = [re.sub(r"\s+", " ", hint).strip() for hint in hints.split("\nhint:")]
    return [hint for hint in found if "only found wheels" in hint or "only has wheels" in hint][:_LISTED]


def _tidy(text: str) -> str:
    """Leave what is meant for people: no log lines, no secrets, no paths of our stubs."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(DEBUG|TRACE|INFO|WARN)\s", line)]
    clean = _STUB.sub(r"conda's \1", "\n".join(lines))
    return redact(clean).strip()


def _indented(text: str) -> str:
    return "\n  ".join(line.strip() for line in text.strip().splitlines() if line.strip())


def _asked(text: str, requirements: Iterable[PipRequirement]) -> list[PipRequirement]:
    """Give the user's requirements that a text speaks of."""
    words = {normal_name(word) for word in _WORD.findall(text)}
    return [requirement for requirement in requirements if requirement.name in words]


def _place(asked: list[PipRequirement]) -> Place | None:
    return next((requirement.place for requirement in asked if requirement.place), None)


def _fetched(text: str) -> str:
    """Give the address that could not be read, without what it may hide."""
    found = re.search(r"Failed to fetch:? `?(https?://[^\s`]+)", text)
    return re.sub(r"://[^/@\s]*@", "://", found[1]).partition("?")[0] if found else ""


def _source_of(text: str, request: PipRequest) -> tuple[str, Place | None]:
    """Name what was asked in vain: a requirement's own address, and its place, else an index."""
    address = _fetched(text).partition("#")[0]
    for requirement in request.requirements:
        own = re.sub(r"://[^/@\s]*@", "://", re.split(r"[?#]", requirement.url)[0])
        if address and own == address:
            return own, requirement.place
    return _index_of(text, request), None


def _index_of(text: str, request: PipRequest) -> str:
    """Name the index that a text speaks of: as the spec names it, never with what its address may hide."""
    named = [index for index in request.indexes if index.name]
    for index in named:
        address = re.sub(r"://[^/@]*@", "://", index.url).rstrip("/")
        if address and address in text:
            return f"the index {index.name}"
    return f"the index {named[0].name}" if len(named) == len(request.indexes) == 1 else "the package index"


def _index_advice(index: str, request: PipRequest) -> str:
    url = next((i.url for i in request.indexes if i.url and (not i.name or i.name in index)), "")
    return advice(url) if url else "give credentials for it in the configuration of uv (or pip), or in ~/.netrc"


def _missing_file(address: str, request: PipRequest) -> SpecError:
    name = address.rstrip("/").rpartition("/")[2]
    requirement = next((r for r in request.requirements if name and r.url.rpartition("/")[2] == name), None)
    return SpecError(
        f"there is no file {requirement.url if requirement else name}",
        place=requirement.place if requirement else None,
        remedy="build it, or correct the path: relative ones start from the project's folder",
    )
