"""``hermetic.toml``: the manifest in which a project declares its environments by name.

Reading it parses TOML and nothing else, so a no-op pays for no solver and no YAML; ``load_environment`` reads
the spec files that an environment names, and what it declares in place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from hermetic.errors import Place, SpecError, UsageError
from hermetic.platforms import Accelerator, check_platform, check_system
from hermetic.spec.images import base_reference
from hermetic.spec.load import LoadedSpec, load, merge
from hermetic.spec.model import CondaRequirement, Spec
from hermetic.spec.passwords import check_dockerfile, check_variable
from hermetic.spec.pep508 import Origin, normal_name
from hermetic.spec.requirements_txt import Requirements, read_lines
from hermetic.spec.text import quoted, read_text
from hermetic.spec.times import parse_time, time_text
from hermetic.spec.toml_file import TomlFile, read_toml
from hermetic.spec.urls import carries_secret, is_promise

FILE_NAME = "hermetic.toml"
DEFAULT = "default"

_ENVIRONMENT = (
    "from", "channels", "dependencies", "pip", "wheels", "platforms", "accelerator", "system", "variables", "base",
    "base-dockerfile", "base-context", "base-registry", "source-builds", "extras", "groups", "categories", "lock",
    "exclude-newer",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Declared:
    """One environment of a manifest: its name, the spec files that it is made from, and where its lock stands.

    ``dockerfile`` is the file that its base is built from, ``context`` the folder that this copies from. ``login`` is
    the user and the password for the base's registry, as they are written: ``${VARIABLE}``.
    """

    name: str
    files: tuple[Path, ...]
    lock: Path
    dockerfile: Path | None = None
    context: Path | None = None
    login: tuple[str, str] = field(default=("", ""), repr=False)


@dataclass(frozen=True)
class Manifest:
    """A project's ``hermetic.toml``. ``channels`` maps channel names to addresses as they are written."""

    path: Path
    name: str
    channels: Mapping[str, str]
    environments: Mapping[str, Declared]
    file: TomlFile

    @property
    def root(self) -> Path:
        """The project's folder, which relative paths start from."""
        return self.path.parent

    def environment(self, name: str) -> Declared:
        """Give an environment by name. Raises UsageError, with the names there are, for an unknown one."""
        if name in self.environments:
            return self.environments[name]
        close = get_close_matches(name, self.environments, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(self.environments) or 'none'}"
        raise UsageError(f"no environment {name!r}", place=Place(str(self.path)), remedy=hint)


def find_manifest(start: Path) -> Path | None:
    """Give the ``hermetic.toml`` of a folder or of the nearest folder above it."""
    for folder in (start, *start.absolute().parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def load_manifest(path: Path | str) -> Manifest:
    """Read a ``hermetic.toml`` (or the one in a folder). Raises SpecError with file, line and remedy."""
    path = Path(path)
    if path.is_dir():
        path /= FILE_NAME
    return read_manifest(read_toml(path))


def read_manifest(file: TomlFile) -> Manifest:
    """Check a parsed ``hermetic.toml`` and give what it declares."""
    file.only(("project", "channels", "environments", "workspace"))
    file.only(("name",), "project")
    name = file.text_at("project", "name") or ""
    environments: dict[str, Declared] = {}
    locks: dict[Path, str] = {}
    for key in file.table("environments"):
        if not _NAME.match(key):
            raise file.error(
                f"{quoted(key)} is no name of an environment",
                "use letters, digits, '-', '_' and '.'",
                "environments",
                key,
            )
        file.only(_ENVIRONMENT, "environments", key)
        declared = _declared(file, key)
        if other := locks.get(declared.lock):
            raise file.error(
                f"the environments {other} and {key} have one lock", "give each its own", "environments", key, "lock"
            )
        locks[declared.lock] = key
        environments[key] = declared
    channels = file.pairs_at("channels")
    for channel, address in channels.items():
        if not address.strip() or not channel or "::" in channel or any(c.isspace() for c in channel):
            raise file.error(
                f"the channel {quoted(channel)} needs a name and an address",
                'write name = "./folder"',
                "channels",
                channel,
            )
        if carries_secret(address):
            raise _secret(file.place("channels", channel))
    return Manifest(file.path, name, channels, environments, file)


def load_environment(manifest: Manifest, name: str = DEFAULT, *, platforms: Sequence[str] = ()) -> LoadedSpec:
    """Give the Spec of one environment: what it declares in place, then what its files say.

    ``platforms`` take the place of the declared ones. Raises SpecError and UsageError.
    """
    declared = manifest.environment(name)
    keys = ("environments", name)
    places = {
        f"variable {item}": manifest.file.place(*keys, "variables", item)
        for item in manifest.file.pairs_at(*keys, "variables")
    }
    used = (manifest.path, declared.dockerfile) if declared.dockerfile else (manifest.path,)
    inline = LoadedSpec(_inline(manifest.file, declared), name, used, (), places)
    found = inline
    for text, path in zip(manifest.file.texts_at(*keys, "from"), declared.files, strict=True):
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name that is too long
            place = manifest.file.item_place(text, *keys, "from")
            raise SpecError(f"there is no {quoted(text)}", place=place, remedy="correct the path: it starts from here")
    if declared.files:
        extras, groups, categories = (manifest.file.texts_at(*keys, key) for key in ("extras", "groups", "categories"))
        from_files = load(declared.files, extras=extras, groups=groups, categories=categories, root=manifest.root)
        if inline.spec.platforms:
            from_files = replace(from_files, spec=replace(from_files.spec, platforms=()))
        found = replace(merge([inline, from_files]), name=name)
    if platforms:
        chosen = tuple(check_platform(platform) for platform in platforms)
        found = replace(found, spec=replace(found.spec, platforms=chosen))
    return found


def _declared(file: TomlFile, name: str) -> Declared:
    keys = ("environments", name)
    root = file.path.parent
    files = tuple(root / item for item in file.texts_at(*keys, "from"))
    if not files:
        for key in ("extras", "groups", "categories"):
            if file.texts_at(*keys, key):
                raise file.error(
                    f"{key} choose among what 'from' names, which is empty", "add from = [...]", *keys, key
                )
    lock = file.text_at(*keys, "lock", default=f"lockfiles/{name}.lock.json")
    if not lock.endswith(".json"):
        raise file.error("a lock is a JSON file", f'write lock = "lockfiles/{name}.lock.json"', *keys, "lock")
    dockerfile, context = file.text_at(*keys, "base-dockerfile"), file.text_at(*keys, "base-context")
    if dockerfile and file.text_at(*keys, "base"):
        raise file.error("a base is named or built, not both", "keep base or base-dockerfile", *keys, "base-dockerfile")
    if context and not dockerfile:
        raise file.error("a context is for a Dockerfile", "add base-dockerfile", *keys, "base-context")
    return Declared(
        name,
        files,
        root / lock,
        root / dockerfile if dockerfile and "\n" not in dockerfile else None,
        root / context if context else None,
        _login(file, keys),
    )


def _login(file: TomlFile, keys: tuple[str, ...]) -> tuple[str, str]:
    table = file.pairs_at(*keys, "base-registry")
    file.only(("address", "username", "password"), *keys, "base-registry")
    password = table.get("password", "")
    if password and not is_promise(password):
        raise file.error(
            "a password in a manifest is known to everybody",
            'treat it as published and replace it; then write password = "${secret:NAME}", and keep it with '
            "'hermetic secret set NAME'; or \"${NAME}\", and set that variable",
            *keys,
            "base-registry",
            "password",
        )
    return table.get("username", ""), password


def _base(file: TomlFile, declared: Declared) -> tuple[str, str]:
    """Give the reference of the base, its registry's address included, and the text of its Dockerfile."""
    keys = ("environments", declared.name)
    base = file.text_at(*keys, "base").strip()
    address = file.pairs_at(*keys, "base-registry").get("address", "").rstrip("/")
    if address and "://" in address:
        raise file.error(
            "a registry's address here is its host", "leave https:// out", *keys, "base-registry", "address"
        )
    base = base_reference(base, address)
    text = file.text_at(*keys, "base-dockerfile")
    if declared.dockerfile:
        if not declared.dockerfile.is_file():
            raise file.error(
                f"there is no {quoted(text)}", "correct the path: it starts from here", *keys, "base-dockerfile"
            )
        text = read_text(declared.dockerfile)
    if text:
        check_dockerfile(text, Place(str(declared.dockerfile)) if declared.dockerfile else None)
    return base, text


def _inline(file: TomlFile, declared: Declared) -> Spec:
    keys = ("environments", declared.name)
    platforms = []
    for item in file.texts_at(*keys, "platforms"):
        with _placed(file.item_place(item, *keys, "platforms")):
            platforms.append(check_platform(item))
    accelerator = Accelerator()
    if text := file.text_at(*keys, "accelerator"):
        with _placed(file.place(*keys, "accelerator")):
            accelerator = Accelerator.parse(text)
    system = []
    for item, version in file.pairs_at(*keys, "system").items():
        with _placed(file.place(*keys, "system", item)):
            system.append(check_system(item, version))
    variables = file.pairs_at(*keys, "variables")
    for item, value in variables.items():
        if not _VARIABLE.match(item) or "\n" in value or "\0" in value:
            raise file.error(
                f"{quoted(item)} is no variable of one line", "use letters, digits and _", *keys, "variables", item
            )
        check_variable(item, value, file.place(*keys, "variables", item))
    requirements = _pip(file, keys)
    base, dockerfile = _base(file, declared)
    spec = Spec(
        channels=_channels(file, keys),
        conda=_conda(file, keys),
        pip=tuple(requirements.pip),
        constraints=tuple(requirements.constraints),
        options=requirements.options,
        variables=tuple(variables.items()),
        platforms=tuple(platforms),
        accelerator=accelerator,
        system=tuple(system),
        base=base,
        base_dockerfile=dockerfile,
        exclude_newer=_moment(file, keys),
    )
    return replace(spec, source_builds=_source_builds(file, keys))


def _moment(file: TomlFile, keys: tuple[str, ...]) -> str:
    """Give the date of ``exclude-newer`` in its one spelling; TOML's own dates do, too."""
    value = file.table(*keys).get("exclude-newer", "")
    text = value.isoformat() if isinstance(value, date) else file.text_at(*keys, "exclude-newer")  # a datetime is one
    with _placed(file.place(*keys, "exclude-newer")):
        return time_text(parse_time(text))


def _channels(file: TomlFile, keys: tuple[str, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for item in file.texts_at(*keys, "channels"):
        from hermetic.spec.matchspec import channel_name

        place = file.item_place(item, *keys, "channels")
        if carries_secret(item):
            raise _secret(place)
        name = channel_name(item, place)
        if not name:
            raise SpecError("a channel without a name", place=place, remedy="write its name or URL")
        if name != "nodefaults" and name not in found:
            found.append(name)
    return tuple(found)


def _secret(place: Place) -> SpecError:
    return SpecError(
        "the address holds a password or token, and this file is to be committed",
        place=place,
        remedy="write ${secret:NAME} in its place and keep it with 'hermetic secret set NAME', or ${VARIABLE} and set "
        "that when you run hermetic; renew the secret if it was shared",
    )


def _conda(file: TomlFile, keys: tuple[str, ...]) -> tuple[CondaRequirement, ...]:
    items = file.texts_at(*keys, "dependencies")
    if not items:
        return ()
    from hermetic.spec.matchspec import canonical_match

    return tuple(canonical_match(item, file.item_place(item, *keys, "dependencies")) for item in items)


def _pip(file: TomlFile, keys: tuple[str, ...]) -> Requirements:
    lines = [
        (item, Origin(file.item_place(item, *keys, key)))
        for key in ("pip", "wheels")
        for item in file.texts_at(*keys, key)
    ]
    for item in file.texts_at(*keys, "wheels"):
        if not item.split("#", maxsplit=1)[0].endswith(".whl"):
            raise SpecError(
                f"{quoted(item)} is no wheel",
                place=file.item_place(item, *keys, "wheels"),
                remedy="name a .whl file, relative to this file",
            )
    return read_lines(iter(lines), file.path, file.path.parent)


def _source_builds(file: TomlFile, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(item if item == ":all:" else normal_name(item) for item in file.texts_at(*keys, "source-builds"))


@contextmanager
def _placed(place: Place) -> Iterator[None]:
    """Give an error that knows no place its place in the manifest."""
    try:
        yield
    except UsageError as error:
        raise SpecError(error.message, place=place, remedy=error.remedy) from None
