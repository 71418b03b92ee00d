"""Steps that look outside: what this hermetic is, where packages are, and where images go.

They run when a build system loads or runs something, never in an action.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import hermetic
from hermetic.config import Config, load_config
from hermetic.consume.build_steps.files import copy_out, read_json, read_part, write_json
from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError, Place, UsageError
from hermetic.lock.model import CondaPackage, Wheel
from hermetic.outputs.oci.model import BaseImage, Blob, Descriptor, Image, Layer
from hermetic.outputs.oci.reading import conda_platform
from hermetic.store.index import conda_artifact, locate_wheel

_PARTS = ("py-rattler", "isal", "zstandard", "installer")
"""What beside hermetic's own code decides bytes."""


def describe_tool(out: Path) -> None:
    """Write what this hermetic is: an input of every action, so that another one's results are not taken for its own.

    No path is in it, so machines that have it in other places share a cache.
    """
    root = Path(hermetic.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", ".toml", ".json", ".sh"} and path.is_file():
            digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_bytes(path.read_bytes())}".encode())
    parts = {}
    for name in _PARTS:
        try:
            parts[name] = version(name)
        except PackageNotFoundError:
            parts[name] = ""
    told = {
        "hermetic": version("hermetic"),
        "code": digest.hexdigest(),
        "parts": parts,
        "python": sys.version.split()[0],
    }
    write_json(out, told)


def find_addresses(part: Path, project: Path | None, out: Path) -> None:
    """Write where packages are at this moment, by the machine's configuration: addresses without credentials.

    ``project`` is the folder whose ``hermetic.toml`` names channels. A wheel of an index costs a question to it.
    """
    from hermetic.secrets import public_url

    config, lock = _config(project), read_part(part)
    found: dict[str, list[str]] = {}
    for package in lock.conda:
        found[package.name] = [public_url(url) for url in conda_artifact(config, package).urls]
    for wheel in lock.wheels:
        found[f"pip:{wheel.name}"] = [public_url(locate_wheel(config, wheel))]
    write_json(out, found)


def fetch_package(part: Path, project: Path | None, out: Path) -> None:
    """Write the archive of the one package of ``part``, checked: for packages that need credentials or a signature."""
    from hermetic.store import Store
    from hermetic.store.fetch import fetch
    from hermetic.store.index import wheel_artifact

    config, lock = _config(project), read_part(part)
    packages: list[CondaPackage | Wheel] = [*lock.conda, *lock.wheels]
    if len(packages) != 1:
        raise UsageError(f"it has {len(packages)} packages, not one", place=Place(str(part)))
    store, package = Store.open(config.store), packages[0]
    artifact = (
        conda_artifact(config, package) if isinstance(package, CondaPackage) else wheel_artifact(store, config, package)
    )
    fetch(store, [artifact])
    copy_out(store.sound_blob(package.sha256, package.file_name), out)


def push_layout(layout: Path, reference: str) -> str:
    """Push the image of a layout; give its name with its digest. Raises CredentialsError, NetworkError."""
    from hermetic.outputs.oci.push import push
    from hermetic.store import Store

    config = load_config()
    store = Store.open(config.store)
    return push([_read_layout(layout, store)], reference, store=store, config=config).reference


def load_layout(layout: Path, reference: str) -> str:
    """Put the image of a layout into the Docker Engine; give the engine's name of it. Raises MachineError."""
    from hermetic.outputs.oci.engine import load
    from hermetic.store import Store

    store = Store.open(load_config().store)
    return load(_read_layout(layout, store), reference, store=store).id


def _config(project: Path | None) -> Config:
    if project is None:
        return load_config()
    from hermetic.spec.manifest import find_manifest, load_manifest

    manifest = find_manifest(project)
    return load_config(load_manifest(manifest).channels if manifest else {}, base=project)


def _read_layout(folder: Path, store: Any) -> Image:
    def blob(descriptor: Descriptor) -> Blob:
        path = folder / "blobs" / "sha256" / descriptor.sha256
        store.put_file(path, expected=descriptor.sha256)
        return Blob(descriptor.digest, descriptor.size, (descriptor.sha256,))

    def document(descriptor: Descriptor) -> tuple[Blob, Any]:
        found = blob(descriptor)
        data = store.blob_path(descriptor.sha256).read_bytes()
        return Blob(found.digest, found.size, data=data), read_json(store.blob_path(descriptor.sha256))

    try:
        top = Descriptor.from_dict(read_json(folder / "index.json")["manifests"][0])
        manifest, content = document(top)
        config, settings = document(Descriptor.from_dict(content["config"]))
        layers = tuple(
            Layer(descriptor, diff_id, blob(descriptor))
            for descriptor, diff_id in zip(
                map(Descriptor.from_dict, content["layers"]), settings["rootfs"]["diff_ids"], strict=True
            )
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise IntegrityError(
            "it is no layout of an image for one platform", place=Place(str(folder)), remedy="build it again"
        ) from None
    return Image(conda_platform(settings), manifest, config, layers, BaseImage())
