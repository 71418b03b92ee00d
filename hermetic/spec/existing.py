"""An existing conda environment, by folder or by name, as a Spec: versions without builds, channels, wheels.

What conda installed is told by ``conda-meta/*.json`` (CEP 32), what pip installed by ``*.dist-info`` folders
that no conda package owns (PEP 376, PEP 610), variables by ``conda-meta/state``. Versions are exact
(``numpy ==1.26.4``), where ``conda env export --no-builds`` writes ``numpy=1.26.4``, which would let
``1.26.4.1`` in.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermetic.errors import HermeticError, Place, SpecError
from hermetic.platforms import PLATFORMS
from hermetic.spec.matchspec import canonical_match, channel_name
from hermetic.spec.model import CondaRequirement, PipRequirement, Spec
from hermetic.spec.passwords import check_variable
from hermetic.spec.pep508 import Origin, normal_name, pip_requirement
from hermetic.spec.urls import clean_url, is_url

_DEFAULTS_PATHS = ("/pkgs/main", "/pkgs/r", "/pkgs/msys2", "/pkgs/free", "/pkgs/pro")


@dataclass(frozen=True)
class ExistingEnvironment:
    """What an installed environment declares of itself."""

    spec: Spec
    name: str = ""
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def read_existing(name_or_path: str, *, environ: Mapping[str, str] | None = None) -> ExistingEnvironment:
    """Read a conda environment by its folder, or by its name as conda finds it.

    Raises SpecError if there is none, with the names there are.
    """
    environ = os.environ if environ is None else environ
    if os.sep in name_or_path or name_or_path in {".", ".."} or (Path(name_or_path) / "conda-meta").is_dir():
        return read_prefix(Path(name_or_path))
    places = dict(environments(environ))
    if name_or_path not in places:
        known = ", ".join(sorted(places)) or "none was found"
        raise SpecError(
            f"no conda environment is called {name_or_path[:80]!r}", remedy=f"give its folder, or one of: {known}"
        )
    return read_prefix(places[name_or_path])


def environments(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Give every conda environment that this user's conda or mamba would find by name; the first of a name wins."""
    found: dict[str, Path] = {}

    def note(name: str, path: Path) -> None:
        if (path / "conda-meta").is_dir():
            found.setdefault(name, path)

    if active := environ.get("CONDA_PREFIX"):
        note(environ.get("CONDA_DEFAULT_ENV", "") or Path(active).name, Path(active))
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    roots = [environ[key] for key in ("MAMBA_ROOT_PREFIX", "CONDA_ROOT") if environ.get(key)]
    if executable := environ.get("CONDA_EXE"):
        roots.append(str(Path(executable).parent.parent))
    folders = [
        folder for key in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS") for folder in environ.get(key, "").split(os.pathsep)
    ]
    for folder in (*folders, *(f"{root}/envs" for root in roots), str(home / ".conda" / "envs")):
        if folder and Path(folder).expanduser().is_dir():
            for path in sorted(Path(folder).expanduser().iterdir()):
                note(path.name, path)
    for root in roots:
        note("base", Path(root))
    listing = home / ".conda" / "environments.txt"
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip():
                note(Path(line.strip()).name, Path(line.strip()))
    yield from found.items()


def read_prefix(prefix: Path) -> ExistingEnvironment:
    """Read the environment in a folder. Raises SpecError if the folder holds no conda environment."""
    meta = prefix / "conda-meta"
    if not meta.is_dir():
        what = "no conda environment: it has no conda-meta" if prefix.is_dir() else "no folder"
        raise SpecError(
            f"this is {what}",
            place=Place(str(prefix)),
            remedy="give an environment's folder ('conda env list' shows them)",
        )
    conda: list[CondaRequirement] = []
    owned: set[str] = set()
    channels: Counter[str] = Counter()
    platforms: set[str] = set()
    files = sorted(path for path in meta.iterdir() if path.suffix == ".json")
    for path in files:
        record = _record(path)
        place = Place(str(path))
        conda.append(canonical_match(f"{record['name']}=={record['version']}", place))
        owned.update(str(item) for item in record.get("files") or [])
        if channel := _channel(record, place):
            channels[channel] += 1
        if record.get("subdir") in PLATFORMS:
            platforms.add(str(record["subdir"]))
    warnings: list[str] = []
    pip = tuple(_pip(prefix, owned, warnings))
    state = meta / "state"
    ranked = sorted(channels, key=lambda channel: (-channels[channel], channel))
    spec = Spec(
        channels=tuple(ranked),
        conda=tuple(conda),
        pip=pip,
        variables=tuple(_variables(state, warnings)),
        platforms=tuple(platforms) if len(platforms) == 1 else (),
    )
    read = (*files, state) if state.is_file() else files
    return ExistingEnvironment(spec, prefix.resolve().name, tuple(read), tuple(warnings))


def _record(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise SpecError(
            f"cannot be read: {error.strerror}", place=Place(str(path)), remedy="check permissions"
        ) from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("name", "version")):
        raise SpecError(
            "this is no conda-meta record", place=Place(str(path)), remedy="the environment is damaged; make it anew"
        )
    return record


def _channel(record: Mapping[str, Any], place: Place) -> str:
    """Give the channel of a record: its name if the channel is a well-known one, its URL otherwise."""
    text = record.get("channel")
    if not isinstance(text, str) or not text or text in {"<unknown>", "@"}:
        return ""
    text = text.rstrip("/")
    subdir = record.get("subdir")
    if isinstance(subdir, str) and text.endswith(f"/{subdir}"):
        text = text.removesuffix(f"/{subdir}")
    if text.endswith(_DEFAULTS_PATHS) or (not is_url(text) and text.startswith("pkgs/")):
        return "defaults"
    text = channel_name(clean_url(text, place) if is_url(text) else text, place)
    if not text.startswith("http"):
        return text
    from rattler import Channel

    # A name stands for a URL only where that name's own address is this URL; rattler drops foreign hosts from names.
    name = Channel(text).name
    return name if name and Channel(name).base_url.rstrip("/") == text else text


def _pip(prefix: Path, owned: set[str], warnings: list[str]) -> Iterator[PipRequirement]:
    """Give what pip installed: the metadata folders that no conda record lists."""
    for folder in sorted(_site_packages(prefix)):
        for info in sorted(folder.iterdir()):
            if info.suffix not in {".dist-info", ".egg-info"} or not info.is_dir():
                continue
            relative = info.relative_to(prefix).as_posix()
            metadata = info / ("METADATA" if info.suffix == ".dist-info" else "PKG-INFO")
            if f"{relative}/{metadata.name}" in owned or not metadata.is_file():
                continue
            name, version = _metadata(metadata)
            if name:
                yield _wheel(name, version, info / "direct_url.json", Place(str(metadata)), warnings)


def _site_packages(prefix: Path) -> Iterator[Path]:
    folders = (*prefix.glob("lib/python3*"), prefix / "Lib")  # conda's python has symlinks such as lib/python3.1
    seen = {folder.resolve() for folder in folders if (folder / "site-packages").is_dir() and not folder.is_symlink()}
    yield from (prefix / folder.relative_to(prefix.resolve()) / "site-packages" for folder in seen)


def _metadata(path: Path) -> tuple[str, str]:
    name = version = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line:
            break
        key, _, value = line.partition(":")
        if key.lower() == "name":
            name = normal_name(value.strip())
        elif key.lower() == "version":
            version = value.strip()
    return name, version


def _wheel(name: str, version: str, direct: Path, place: Place, warnings: list[str]) -> PipRequirement:
    """Give a distribution as a requirement: its version, or where it came from directly (PEP 610)."""
    origin = Origin(place)
    try:
        source = json.loads(direct.read_bytes()) if direct.is_file() else None
    except (OSError, ValueError, RecursionError):
        source = None
    if isinstance(source, dict) and isinstance(url := source.get("url"), str):
        url = clean_url(url, place) if is_url(url) else url  # what a tool wrote down, nobody typed into a spec
        folder, vcs, archive = (source.get(f"{kind}_info") for kind in ("dir", "vcs", "archive"))
        if isinstance(vcs, dict) and vcs.get("vcs") and vcs.get("commit_id"):
            tail = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
            return pip_requirement(f"{name} @ {vcs['vcs']}+{url}@{vcs['commit_id']}{tail}", origin)
        if isinstance(archive, dict) and not url.startswith("file:"):
            digest = (archive.get("hashes") or {}).get("sha256")
            return pip_requirement(f"{name} @ {url}", origin, hashes=(f"sha256:{digest}",) if digest else ())
        editable = bool(isinstance(folder, dict) and folder.get("editable"))
        warnings.append(
            f"{place}: {name} was installed from a local {'folder' if folder else 'file'}; its path is kept"
        )
        if not editable:
            return pip_requirement(f"{name} @ {url}", origin)
        return pip_requirement(f"{name} @ {url}", origin, editable=True)
    try:
        return pip_requirement(f"{name}=={version}", origin)
    except HermeticError:
        return pip_requirement(f"{name}==={version}", origin)


def _variables(state: Path, warnings: list[str]) -> Iterator[tuple[str, str]]:
    """Give the environment's variables; one that holds a password stays where it is, and that is said."""
    for name, value in _declared(state):
        try:
            check_variable(name, value)
        except SpecError as error:
            warnings.append(f"{state}: {error.message}, so it is left out; {error.remedy}")
        else:
            yield name, value


def _declared(state: Path) -> tuple[tuple[str, str], ...]:
    if not state.is_file():
        return ()
    try:
        found = json.loads(state.read_bytes()).get("env_vars", {})
    except (OSError, ValueError, AttributeError, RecursionError):
        return ()
    if not isinstance(found, dict):
        return ()
    return tuple((name, value) for name, value in found.items() if isinstance(name, str) and isinstance(value, str))
