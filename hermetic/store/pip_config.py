"""The indexes that uv and pip use on this machine, read as they read them, without running them.

Default index, first found wins: ``UV_DEFAULT_INDEX``, ``UV_INDEX_URL``, ``PIP_INDEX_URL``, uv.toml, pip.conf, and
last pip's own built-in default, which pip is asked for. Extra indexes count too: a file is known by its digest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Any

from hermetic.errors import UsageError


def default_indexes(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Give the addresses of the indexes that stand behind the default one, the default itself first."""
    environ = os.environ if environ is None else environ
    default, extra = _environment(environ)
    for more_default, more_extra in (_uv_files(environ), _pip_files(environ)):
        default = default or more_default
        extra += more_extra
    return tuple(dict.fromkeys([default or _built_in(), *extra]))


def _environment(environ: Mapping[str, str]) -> tuple[str, list[str]]:
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    default = next((text for name in names if (text := _address(environ.get(name, "")))), "")
    extra = [
        address
        for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")
        for text in environ.get(name, "").split()
        if (address := _address(text))
    ]
    return default, extra


def _address(text: str) -> str:
    """Give the address of uv's ``name=address`` form, or a plain one."""
    text = text.strip()
    name, equals, address = text.partition("=")
    return address if equals and "/" not in name and ":" not in name else text


def _uv_files(environ: Mapping[str, str]) -> tuple[str, list[str]]:
    import tomllib

    default = ""
    extra: list[str] = []
    named = environ.get("UV_CONFIG_FILE")
    paths = [Path(named)] if named else [_config_home(environ) / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
    if environ.get("UV_NO_CONFIG"):
        paths = []
    for path in paths:
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # uv itself will say what is wrong with it
        for table in (found, _table(found.get("pip"))):
            for index in _list(table.get("index")):
                entry = _table(index)
                url = _text(entry.get("url"))
                if url and entry.get("default"):
                    default = default or url
                elif url:
                    extra.append(url)
            default = default or _text(table.get("index-url"))
            extra += [_text(url) for url in _list(table.get("extra-index-url")) if _text(url)]
    return default, extra


def _pip_files(environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Read pip's files in its own order; a later one overrides (pip's documentation, "Configuration")."""
    default = ""
    extra: list[str] = []
    for path in _pip_paths(environ):
        parser = ConfigParser(interpolation=None)
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, Error, UnicodeError):
            continue
        for section in ("global", "install", "download"):
            default = parser.get(section, "index-url", fallback="").strip() or default
            found = parser.get(section, "extra-index-url", fallback="").split()
            extra = found or extra
    return default, extra


def _pip_paths(environ: Mapping[str, str]) -> Iterable[Path]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ()
    if sys.platform == "win32":  # pragma: no cover  not run here: Linux first
        paths = [Path(environ.get("PROGRAMDATA", "C:/ProgramData")) / "pip" / "pip.ini",
                 Path(environ.get("APPDATA", "")) / "pip" / "pip.ini", Path(sys.prefix) / "pip.ini"]  # fmt: skip
    else:
        shared = [Path(folder) / "pip" / "pip.conf" for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
        paths = [*shared, Path("/etc/pip.conf"), Path.home() / ".pip" / "pip.conf",
                 _config_home(environ) / "pip" / "pip.conf", Path(sys.prefix) / "pip.conf"]  # fmt: skip
    return [*paths, Path(named)] if named else paths


def _built_in() -> str:
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        raise UsageError(
            "no package index is configured, and pip, which knows the default one, is not installed",
            remedy="set UV_DEFAULT_INDEX or PIP_INDEX_URL, or default-index in hermetic's config.toml",
        ) from None
    return str(PyPI.simple_url)


def _config_home(environ: Mapping[str, str]) -> Path:
    named = environ.get("XDG_CONFIG_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".config"


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
