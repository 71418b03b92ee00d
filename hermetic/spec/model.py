"""The Spec: what a person declares, as one immutable value, whatever file it came from.

Two files that mean the same give equal Specs: order of requirements, comments, quoting and line ends do
not count. The order of channels does, because it is their priority. Places are kept for messages only and
never compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hermetic.digest import key, sha256_bytes
from hermetic.errors import Place
from hermetic.platforms import Accelerator

MAIN = "main"
"""The category of requirements that belong to no named one."""


@dataclass(frozen=True, order=True)
class CondaRequirement:
    """One conda requirement: a MatchSpec in canonical text, where and for which platforms it holds.

    ``match`` is the MatchSpec without channel (``numpy >=1.26,<2``); ``channel`` is the channel's name if
    the requirement names one; an empty ``platforms`` means all.
    """

    name: str
    match: str
    channel: str = ""
    platforms: tuple[str, ...] = ()
    category: str = MAIN
    place: Place | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Give the requirement as canonical JSON values; what has its default is left out."""
        return _without_defaults(
            {"match": self.match, "channel": self.channel, "platforms": list(self.platforms), "category": self.category}
        )

    @property
    def text(self) -> str:
        """The requirement as a person writes it, channel included."""
        return f"{self.channel}::{self.match}" if self.channel else self.match


@dataclass(frozen=True, order=True)
class PipRequirement:
    """One pip requirement (PEP 508), in canonical text.

    ``name`` is normalised (PEP 503) and empty for an unnamed local path. ``specifier`` is a PEP 440 set
    (``>=2,<3``). ``url`` is set for direct references (PEP 508 URL, VCS, local path), without credentials.
    ``hashes`` are ``sha256:...`` digests that the chosen file must be among; an empty ``platforms`` means all.
    """

    name: str
    extras: tuple[str, ...] = ()
    specifier: str = ""
    marker: str = ""
    url: str = ""
    editable: bool = False
    hashes: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    category: str = MAIN
    place: Place | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Give the requirement as canonical JSON values; what has its default is left out."""
        return _without_defaults(
            {
                "requirement": self.text,
                "editable": self.editable,
                "hashes": list(self.hashes),
                "platforms": list(self.platforms),
                "category": self.category,
            }
        )

    @property
    def text(self) -> str:
        """The requirement as PEP 508 text (an unnamed URL or path stands as pip takes it: ``./path[extra]``)."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if not self.name:
            return f"{self.url}{extras}" + (f" ; {self.marker}" if self.marker else "")
        body = f" @ {self.url}" if self.url else self.specifier
        marker = (" ; " if self.url else "; ") + self.marker if self.marker else ""
        return f"{self.name}{extras}{body}{marker}"


@dataclass(frozen=True)
class PipOptions:
    """Options of a requirements file that decide which files pip may choose.

    URLs are without credentials. An empty ``index`` means the default of uv and pip on the machine.
    ``no_binary`` and ``only_binary`` hold normalised names, or ``:all:``.
    """

    index: str = ""
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    only_binary: tuple[str, ...] = ()
    no_binary: tuple[str, ...] = ()
    pre: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the options as canonical JSON values; what has its default is left out."""
        return _without_defaults(
            {
                "index": self.index,
                "extra_indexes": list(self.extra_indexes),
                "find_links": list(self.find_links),
                "no_index": self.no_index,
                "only_binary": list(self.only_binary),
                "no_binary": list(self.no_binary),
                "pre": self.pre,
            }
        )


@dataclass(frozen=True)
class Spec:
    """A declared environment.

    ``channels`` are names or URLs, first wins; an empty tuple means the default channel. ``platforms`` are
    conda subdirs, an empty tuple means the platform of the machine that locks. ``system`` holds declared
    virtual packages as (name, version). ``source_builds`` holds the normalised names of pip packages that
    may be built from source, or ``:all:``. ``constraints`` limit versions but require nothing (``pip -c``).
    ``exact`` holds the archive URLs, with ``#digest``, of an ``@EXPLICIT`` list: then nothing is solved.
    ``base`` is the image that images of it stand on, ``base_dockerfile`` the text that one is built from instead.
    ``exclude_newer`` is the moment (RFC 3339, UTC) after which nothing counts that was published; empty for none.
    """

    channels: tuple[str, ...] = ()
    conda: tuple[CondaRequirement, ...] = ()
    pip: tuple[PipRequirement, ...] = ()
    constraints: tuple[PipRequirement, ...] = ()
    options: PipOptions = PipOptions()
    exact: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    platforms: tuple[str, ...] = ()
    accelerator: Accelerator = Accelerator()
    system: tuple[tuple[str, str], ...] = ()
    base: str = ""
    source_builds: tuple[str, ...] = ()
    base_dockerfile: str = ""
    exclude_newer: str = ""

    def __post_init__(self) -> None:
        for name in ("conda", "pip", "constraints", "variables", "platforms", "system", "source_builds"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    def to_dict(self) -> dict[str, Any]:
        """Give the Spec as canonical JSON values; what has its default is left out."""
        return _without_defaults(
            {
                "channels": list(self.channels),
                "conda": [requirement.to_dict() for requirement in self.conda],
                "pip": [requirement.to_dict() for requirement in self.pip],
                "constraints": [requirement.to_dict() for requirement in self.constraints],
                "options": self.options.to_dict(),
                "exact": list(self.exact),
                "variables": dict(self.variables),
                "platforms": list(self.platforms),
                "accelerator": "" if self.accelerator == Accelerator() else str(self.accelerator),
                "system": dict(self.system),
                "base": self.base,
                "base_dockerfile": sha256_bytes(self.base_dockerfile.encode()) if self.base_dockerfile else "",
                "source_builds": list(self.source_builds),
                "exclude_newer": self.exclude_newer,
            }
        )

    def digest(self) -> str:
        """Give the sha256 over the Spec's meaning."""
        return key("spec/1", self.to_dict())

    def for_platform(self, platform: str) -> Spec:
        """Give what the Spec means on one platform: its requirements only, selectors resolved."""
        return replace(
            self,
            conda=tuple(replace(r, platforms=()) for r in self.conda if not r.platforms or platform in r.platforms),
            pip=tuple(replace(r, platforms=()) for r in self.pip if not r.platforms or platform in r.platforms),
            constraints=tuple(
                replace(r, platforms=()) for r in self.constraints if not r.platforms or platform in r.platforms
            ),
            platforms=(platform,),
        )


def _without_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Drop empty values, so that a field added later changes no digest made before."""
    return {name: value for name, value in values.items() if value not in ("", [], {}, False, MAIN) or name == "match"}
