"""Spec to text: an ``environment.yml`` that means the same, the same bytes for the same Spec.

What conda's format cannot say (accelerator, base, system, source builds, exact archives) is told in the
message of the error, or left out where the caller says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hermetic.errors import UsageError
from hermetic.platforms import PLATFORMS, Accelerator
from hermetic.spec.model import MAIN, CondaRequirement, PipOptions, PipRequirement, Spec

_SAFE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./+<>=-]|::(?=[A-Za-z0-9_]))*\Z")
_AMBIGUOUS = re.compile(
    r"(?i)(?:y|n|yes|no|on|off|true|false|null|~|[-+.0-9][0-9_.eE:+-]*|0x[0-9a-f_]+|0b[01_]+|0o?[0-7_]+)\Z"
)
_SELECTORS = {"linux": "linux-", "osx": "osx-", "win": "win-"}
_ONE = {"linux64": "linux-64", "aarch64": "linux-aarch64", "ppc64le": "linux-ppc64le", "s390x": "linux-s390x",
        "osx64": "osx-64", "osx and arm64": "osx-arm64", "win64": "win-64", "win and arm64": "win-arm64"}  # fmt: skip


def environment_yml(spec: Spec, name: str = "", *, lossy: bool = False) -> str:
    """Give a Spec as the text of an ``environment.yml``; reading it again gives an equal Spec.

    Raises UsageError for a Spec that says what such a file cannot, unless ``lossy``.
    """
    category = _category(spec)
    _refuse(spec, category, lossy=lossy)
    lines: list[str] = []
    if name:
        lines.append(f"name: {yaml_scalar(name)}")
    if category != MAIN:
        lines.append(f"category: {yaml_scalar(category)}")
    lines += _list("channels", spec.channels)
    lines += _list("platforms", spec.platforms)
    dependencies = [
        f"  - {yaml_scalar(conda_text(item))}{selector_comment(item.platforms)}"
        for item in sorted(spec.conda, key=_by_name)
    ]
    pip = [
        *(f"      - {yaml_scalar(line)}" for line in option_lines(spec.options)),
        *(f"      - {yaml_scalar(pip_line(item))}{selector_comment(item.platforms)}" for item in spec.pip),
    ]
    if pip:
        dependencies += ["  - pip:", *pip]
    lines += ["dependencies:", *dependencies] if dependencies else ["dependencies: []"]
    if spec.constraints:
        lines += ["pip-constraints:"]
        lines += [f"  - {yaml_scalar(item.text)}{selector_comment(item.platforms)}" for item in spec.constraints]
    if spec.variables:
        lines += ["variables:", *(f"  {yaml_scalar(name)}: {yaml_quoted(value)}" for name, value in spec.variables)]
    return "\n".join(lines) + "\n"


def conda_text(requirement: CondaRequirement) -> str:
    """Give a conda requirement in the spelling that people use most: ``numpy>=1.26,<2``, ``python=3.11``."""
    name, _, rest = requirement.match.partition(" ")
    channel = f"{requirement.channel}::" if requirement.channel else ""
    plain = rest and not re.search(r"[ |\[(]", rest)
    if not plain:
        return channel + requirement.match
    if re.fullmatch(r"[A-Za-z0-9_.+!-]+\.\*", rest):
        return f"{channel}{name}={rest.removesuffix('.*')}"
    if rest[0] in "<>=!~" and not re.search(r"(?:^|,)[^<>=!~]", rest):
        return f"{channel}{name}{rest}"
    return channel + requirement.match


def pip_line(requirement: PipRequirement) -> str:
    """Give a pip requirement as a line of a requirements file, with its digests."""
    hashes = "".join(f" --hash={digest}" for digest in requirement.hashes)
    if not requirement.editable:
        return f"{requirement.text}{hashes}"
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    if requirement.name:
        url, _, fragment = requirement.url.partition("#")
        tail = f"&{fragment}" if fragment else ""
        return f"-e {url}#egg={requirement.name}{extras}{tail}{marker}"
    return f"-e {requirement.url}{extras}{marker}"


def option_lines(options: PipOptions) -> Iterable[str]:
    """Give pip's options as lines of a requirements file."""
    if options.index:
        yield f"--index-url {options.index}"
    yield from (f"--extra-index-url {url}" for url in options.extra_indexes)
    yield from (f"--find-links {place}" for place in options.find_links)
    if options.no_index:
        yield "--no-index"
    for option, names in (("--only-binary", options.only_binary), ("--no-binary", options.no_binary)):
        # :all: empties the other list, so it comes first; single names then make their exceptions
        if names == (":all:",):
            yield f"{option} :all:"
    for option, names in (("--only-binary", options.only_binary), ("--no-binary", options.no_binary)):
        if names and names != (":all:",):
            yield f"{option} {','.join(names)}"
    if options.pre:
        yield "--pre"


def requirements_txt(spec: Spec) -> str:
    """Give a Spec's pip side as the text of a requirements file; constraints are not in it."""
    lines = [*option_lines(spec.options), *(pip_line(item) for item in spec.pip)]
    return "".join(f"{line}\n" for line in lines)


def _all(spec: Spec) -> Sequence[CondaRequirement | PipRequirement]:
    return [*spec.conda, *spec.pip]


def _refuse(spec: Spec, category: str, *, lossy: bool) -> None:
    if lossy:
        return
    unsayable = [
        what
        for what, there in (
            ("an explicit list of archives", spec.exact),
            ("an accelerator", spec.accelerator != Accelerator()),
            ("system properties", spec.system),
            ("a base image", spec.base or spec.base_dockerfile),
            ("source builds", spec.source_builds),
            ("a date after which nothing counts", spec.exclude_newer),
            ("several categories", any(item.category != category for item in _all(spec))),
        )
        if there
    ]
    if unsayable:
        raise UsageError(
            f"an environment.yml cannot say: {', '.join(unsayable)}", remedy="declare the environment in hermetic.toml"
        )


def _category(spec: Spec) -> str:
    found = {item.category for item in _all(spec)}
    return found.pop() if len(found) == 1 else MAIN


def _by_name(item: CondaRequirement) -> tuple[bool, CondaRequirement]:
    return item.name != "python", item  # python first, as people write it


def _list(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}:", *(f"  - {yaml_scalar(value)}" for value in values)] if values else []


def selector_comment(platforms: tuple[str, ...]) -> str:
    """Give the comment that limits a dependency to platforms; nothing for all of them."""
    if not platforms:
        return ""
    words = []
    rest = set(platforms)
    for word, start in _SELECTORS.items():
        family = {platform for platform in PLATFORMS if platform.startswith(start)}
        if family <= rest:
            words.append(word)
            rest -= family
    words += [f"({word})" if " " in word else word for word, platform in _ONE.items() if platform in rest]
    return f"  # [{' or '.join(words)}]"


def yaml_scalar(text: str) -> str:
    """Give a text as a YAML scalar: plain where no reader could take it for anything else."""
    return text if _SAFE.match(text) and not _AMBIGUOUS.match(text) else yaml_quoted(text)


def yaml_quoted(text: str) -> str:
    """Give a text as a quoted YAML scalar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff]", lambda c: f"\\u{ord(c[0]):04x}", escaped) + '"'
