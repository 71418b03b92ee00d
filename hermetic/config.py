"""The machine's configuration: addresses behind channels', indexes' and registries' names, and where the store stands.

A name's address, first found wins:

1. the environment: ``HERMETIC_CHANNELS``, ``HERMETIC_INDEXES`` and ``HERMETIC_REGISTRIES``, each
   ``name=address name2=address2``;
2. the project's ``hermetic.toml``, ``[channels]`` (relative paths are relative to it);
3. the user's file: ``$HERMETIC_CONFIG``, else ``~/.config/hermetic/config.toml`` (relative paths likewise);
4. the defaults of the field's own clients: py-rattler's for a channel, uv's and pip's for an index, the docker
   SDK's for a registry.

A registry's name is the first part of an image's reference. Its address may have a path, which then stands before
the repository's, and is plain http where it says so.

::

    offline = false
    store = "~/big-disk/hermetic"
    default-index = "https://mirror.example.org/simple"
    registry = "registry.example.org/team"      # where images are pushed that no other place is named for
    [channels]
    conda-forge = "https://mirror.example.org/conda-forge"
    [indexes]
    internal = "https://${USER_NAME}:${TOKEN}@wheels.example.org/simple"
    [registries]
    "registry.example.org" = "https://mirror.example.org/proxy"
    lab = "http://10.0.0.7:5000"
    [workspaces.team]                           # as [workspace] in hermetic.toml: for locks that name its wheels
    artefacts = "s3://bucket/prefix"

Nothing of it reaches a lock. ``${VAR}`` is put in at the moment of use.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermetic.errors import Place, UsageError
from hermetic.workspace_config import WorkspaceAddress, find_workspace, table_address

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\Z")
_LOCAL = re.compile(r"[/.~]|[A-Za-z]:[\\/]")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
_REGISTRY = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:\]_-]*\Z")
_REGISTRY_ADDRESS = re.compile(r"(https?://|\$\{)\S+\Z")
_REPOSITORY = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:\]_-]*(?<!:)(/[a-z0-9._/-]*[a-z0-9])?\Z")
_KEYS = ("channels", "indexes", "registries", "workspaces", "default-index", "registry", "offline", "store")


@dataclass(frozen=True)
class Config:
    """What a name means on this machine at this moment.

    ``channels``, ``indexes`` and ``registries`` map names to addresses where they are not the default ones: URLs, for
    channels and indexes absolute paths too. An empty ``default_index`` means what uv and pip use. ``base`` is the
    folder that relative paths of a lock are relative to. ``registry`` is where images are pushed to that no other place
    is named for: a registry's name, with the beginning of a repository's if need be. ``workspaces`` are those that are
    known by name beside the one that ``base`` is in.
    """

    channels: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    default_index: str = ""
    offline: bool = False
    store: Path | None = None
    base: Path | None = None
    registries: Mapping[str, str] = field(default_factory=dict)
    registry: str = ""
    workspaces: Mapping[str, WorkspaceAddress] = field(default_factory=dict)


def load_config(
    manifest_channels: Mapping[str, str] | None = None,
    *,
    base: Path | None = None,
    environ: Mapping[str, str] | None = None,
    offline: bool = False,
) -> Config:
    """Put the configuration together. Raises UsageError for what cannot be understood, with its place."""
    environ = os.environ if environ is None else environ
    user = _read_user_file(environ)
    channels = dict(user.get("channels", {}))
    channels.update({name: _absolute(text, base or Path.cwd()) for name, text in (manifest_channels or {}).items()})
    channels.update(_pairs("HERMETIC_CHANNELS", environ))
    indexes = {**user.get("indexes", {}), **_pairs("HERMETIC_INDEXES", environ)}
    store = environ.get("HERMETIC_STORE", "") or user.get("store", "")
    return Config(
        channels=channels,
        indexes=indexes,
        default_index=user.get("default-index", ""),
        offline=offline or _switch("HERMETIC_OFFLINE", environ) or bool(user.get("offline", False)),
        store=Path(_absolute(store, Path.cwd())) if store else None,
        base=base,
        registries={**user.get("registries", {}), **_pairs("HERMETIC_REGISTRIES", environ, registries=True)},
        registry=_home(environ.get("HERMETIC_REGISTRY", "").strip() or user.get("registry", "")),
        workspaces=user.get("workspaces", {}),
    )


def workspace_named(config: Config, name: str) -> WorkspaceAddress:
    """Give the workspace that a wheel's URL names: a known one, else the one that the project is in.

    Names are compared without case, as hosts are. Raises UsageError for one that nothing here names.
    """
    wanted = name.lower()
    for known, address in config.workspaces.items():
        if known.lower() == wanted:
            return address
    found = find_workspace(config.base)
    if found and found.name.lower() == wanted:
        return found
    raise UsageError(
        f"nothing here tells where the workspace {name!r} is",
        remedy=f"run in its folder, or write [workspaces.{name}] into {config_path()}",
    )


def channel_url(config: Config, channel: str, subdir: str = "") -> str:
    """Give the address of a channel, or of one of its subdirs, at this moment, credentials included.

    Raises UsageError if its ``${VAR}`` are not set.
    """
    from hermetic.secrets import expand

    return _located(config, channel, expand(config.channels.get(channel, channel)), subdir)


def public_channel_url(config: Config, channel: str, subdir: str = "") -> tuple[str, bool]:
    """Give a channel's address as it may be written into a file, and whether credentials were left out of it.

    ``${VAR}`` in the user part needs not be set. Raises UsageError for another one that is not.
    """
    from hermetic.secrets import expand, public_url

    configured = config.channels.get(channel, channel)
    clean = public_url(configured)
    expanded = expand(clean)
    address = public_url(expanded)  # a variable may hold a whole address
    return _located(config, channel, address, subdir), clean != configured or address != expanded


def _located(config: Config, channel: str, address: str, subdir: str) -> str:
    if "://" not in address:
        if channel in config.channels or _LOCAL.match(address):
            address = Path(_absolute(address, config.base or Path.cwd())).as_uri()
        else:
            from rattler import Channel  # a bare name: the field's default place, which only the client knows

            address = str(Channel(address).base_url)
    address = address.rstrip("/")
    return f"{address}/{subdir}" if subdir else address


@dataclass(frozen=True)
class Patience:
    """How long a silent server is waited for, in seconds, and how often a failing one is asked again."""

    timeout: float = 30.0
    retries: int = 3


def patience(environ: Mapping[str, str] | None = None) -> Patience:
    """Read ``HERMETIC_HTTP_TIMEOUT`` and ``HERMETIC_HTTP_RETRIES``. Raises UsageError for what is no such number."""
    environ = os.environ if environ is None else environ
    timeout = _number(environ, "HERMETIC_HTTP_TIMEOUT", Patience.timeout)
    if not timeout:
        raise UsageError("HERMETIC_HTTP_TIMEOUT is 0 seconds", remedy="unset it, or give the seconds to wait")
    return Patience(timeout, int(_number(environ, "HERMETIC_HTTP_RETRIES", Patience.retries)))


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise UsageError(f"{name} is {text!r}, which is no number of that kind", remedy=f"unset {name}, or mend it")
    return value


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Give the path of the user's configuration file, whether it exists or not."""
    environ = os.environ if environ is None else environ
    if named := environ.get("HERMETIC_CONFIG"):
        return Path(named).expanduser()
    base = environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "hermetic" / "config.toml"


def _read_user_file(environ: Mapping[str, str]) -> dict[str, Any]:
    path = config_path(environ)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if environ.get("HERMETIC_CONFIG"):
            raise UsageError(
                "HERMETIC_CONFIG names a file that is not there", place=Place(str(path)), remedy="mend or unset it"
            ) from None
        return {}
    except OSError as error:
        raise UsageError(f"cannot read it: {error.strerror}", place=Place(str(path))) from None
    import tomllib

    try:
        found = tomllib.loads(data.decode())
    except (ValueError, UnicodeDecodeError) as error:
        line = re.search(r"at line (\d+)", str(error))
        raise UsageError(
            f"not TOML: {error}", place=Place(str(path), int(line[1]) if line else None), remedy="mend the file"
        ) from None
    return _checked(found, path, data.decode())


def _checked(found: Mapping[str, Any], path: Path, text: str) -> dict[str, Any]:
    """Give the file's values if each is what it should be, paths made absolute."""

    def fault(key: str, message: str, remedy: str) -> UsageError:
        lines = text.splitlines()
        number = next((n for n, line in enumerate(lines, 1) if re.match(rf'\s*\[?\s*"?{re.escape(key)}\b', line)), None)
        return UsageError(message, place=Place(str(path), number), remedy=remedy)

    values: dict[str, Any] = {}
    for key, value in found.items():
        if key not in _KEYS:
            raise fault(key, f"unknown key {key!r}", f"use: {', '.join(_KEYS)}")
        if key in {"channels", "indexes"}:
            if not isinstance(value, dict):
                raise fault(key, f"{key!r} is no table", f'write [{key}] and lines of name = "address"')
            for name, address in value.items():
                if not isinstance(address, str) or not address or not _NAME.match(name):
                    raise fault(name, f"{key}: {name!r} has no address", f'write {name} = "address"')
            values[key] = {name: _absolute(address, path.parent) for name, address in value.items()}
        elif key == "registries":
            if not isinstance(value, dict):
                raise fault(key, f"{key!r} is no table", f'write [{key}] and lines of "name" = "https://address"')
            for name, address in value.items():
                if not _is_registry(name, address):
                    raise fault(name, f"{key}: {name!r} has no http(s) address", f'write "{name}" = "https://address"')
            values[key] = dict(value)
        elif key == "workspaces":
            if not isinstance(value, dict):
                raise fault(key, f"{key!r} is no table", "write [workspaces.NAME]")
            values[key] = {name: table_address(name, table, path) for name, table in value.items()}
        elif key == "offline":
            if not isinstance(value, bool):
                raise fault(key, "'offline' is neither true nor false", "write offline = true")
            values[key] = value
        else:
            if not isinstance(value, str) or not value:
                raise fault(key, f"{key!r} is no text", f'write {key} = "..."')
            values[key] = value if key == "registry" else _absolute(value, path.parent)
    return values


def _home(text: str) -> str:
    """Check what images' names begin with."""
    text = text.rstrip("/")
    if text and not _REPOSITORY.match(text):
        raise UsageError(
            f"{text.rpartition('@')[2]!r} is no place for images in a registry",
            remedy="write registry.example.org/team in 'registry' or HERMETIC_REGISTRY, without https:// and password",
        )
    return text


def _is_registry(name: str, address: object) -> bool:
    return bool(_REGISTRY.match(name)) and isinstance(address, str) and bool(_REGISTRY_ADDRESS.match(address))


def _pairs(variable: str, environ: Mapping[str, str], *, registries: bool = False) -> dict[str, str]:
    found = {}
    for item in environ.get(variable, "").split():
        name, equals, address = item.partition("=")
        sound = _is_registry(name, address) if registries else equals and address and _NAME.match(name)
        if not sound:
            # The item itself may hold a secret: only its name is told.
            raise UsageError(
                f"{variable}: {name.partition('://')[0]!r} has no address{' with http:// or https://' * registries}",
                remedy="write name=address name2=address2",
            )
        found[name] = address if registries else _absolute(address, Path.cwd())
    return found


def _absolute(address: str, base: Path) -> str:
    """Give a URL (or what starts as one) as it is, a path as an absolute one."""
    if "://" in address or address.startswith("${"):
        return address
    return os.path.abspath(base / Path(address).expanduser())  # noqa: PTH100  resolve() would follow the user's links


def _switch(variable: str, environ: Mapping[str, str]) -> bool:
    text = environ.get(variable, "").strip().lower()
    if text not in _TRUE | _FALSE:
        raise UsageError(f"{variable} is {text!r}", remedy="set it to 1 or 0")
    return text in _TRUE
