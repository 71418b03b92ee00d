"""Real things to make images of: a small base from this machine's own programs, and small locks.

base = small_base(store)                 # /bin/sh, a few tools, libc: about 6 MB
lock = image_lock(channel, "idna")       # a Python that runs, and what is named
image = small_image(store, channel)      # both, assembled
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from prefix_samples import config, from_channel, lock_of

from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.model import DOCKER_LAYER, LAYER_GZIP, BaseImage, Blob, Descriptor, Image, Layer, oci_platform
from hermetic.store import Store
from support.needs import require

PROGRAMS = ("sh", "cat", "env", "id", "ls", "sleep", "true", "stat", "grep")
LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
             "libstdc++.so.6", "libgcc_s.so.1")  # fmt: skip
CONFIG = {
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"],
    "Cmd": ["/bin/sh"],
    "WorkingDir": "/",
    "Labels": {"org.example.kind": "test"},
}


def small_base(
    store: Store,
    *,
    reference: str = "registry.example.org/team/small:1",
    platform: str = "linux-64",
    settings: Mapping[str, Any] | None = None,
    docker: bool = False,
    extra_layers: int = 0,
) -> BaseImage:
    """Give a base with a shell and a libc, whose layers are in the store. ``docker`` gives it Docker's media types.

    ``settings`` change the ``config`` member of its configuration; ``extra_layers`` adds layers with a file each.
    """
    layers = [_layer(store, _rootfs(), docker=docker)]
    layers += [_layer(store, _note(f"extra/{n}", b"x\n"), docker=docker) for n in range(extra_layers)]
    document = {
        **oci_platform(platform),
        "created": "2024-01-01T00:00:00Z",
        "config": {**CONFIG, **(settings or {})},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "made by a test"} for _ in layers],
    }
    digest = "sha256:" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return BaseImage(reference, digest, document, tuple(layers))


def image_lock(channel: Path, *names: str, wheels: Iterable[Path] = (), **values: Any) -> PlatformLock:
    """Lock a Python that runs, with what it needs, the named packages of the channel, and wheels."""
    libraries = [path.name.rpartition("-")[0].rpartition("-")[0] for path in (channel / "linux-64").glob("sys-*.conda")]
    wanted = dict.fromkeys(["python", "python_abi", *libraries, *names])
    return lock_of(from_channel(channel, *wanted), wheels, **values)


def one_layer_each(lock: PlatformLock) -> tuple[PlannedLayer, ...]:
    """Plan a layer for Python and what begins with ``sys-``, and one for each other package."""
    low = tuple(p.name for p in lock.conda if p.name.startswith(("sys-", "python")))
    rest = [p.name for p in lock.conda if p.name not in low] + [f"pip:{w.name}" for w in lock.wheels]
    planned = (PlannedLayer("python/1", low),) if low else ()
    return (*planned, *(PlannedLayer(name, (name,)) for name in rest))


def small_image(store: Store, channel: Path, *names: str, **options: Any) -> Image:
    """Build an image of a small environment on the small base. ``options`` are those of ImageOptions."""
    from hermetic.outputs.oci.image import build_image
    from hermetic.outputs.oci.options import ImageOptions

    lock = image_lock(channel, *(names or ("idna", "prefix-probe")), variables={"GREETING": "good morning"})
    return build_image(
        lock,
        one_layer_each(lock),
        small_base(store),
        store=store,
        config=config(channel),
        options=ImageOptions(**options),
    )


def _layer(store: Store, tar: bytes, *, docker: bool) -> Layer:
    data = gzip.compress(tar, 1, mtime=0)
    digest = store.put_bytes(data)
    descriptor = Descriptor(DOCKER_LAYER if docker else LAYER_GZIP, f"sha256:{digest}", len(data))
    diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
    return Layer(descriptor, diff_id, Blob(descriptor.digest, len(data), (digest,)), "base")


@cache
def _rootfs() -> bytes:
    """Make a root file system of this machine's own programs, and of the libraries that they load."""
    found: dict[str, Path] = {}
    for name in PROGRAMS:
        program = shutil.which(name)
        require(program, f"there is no {name} here")
        found[f"bin/{name}"] = Path(str(program)).resolve()
    listing = subprocess.run(["ldd", *found.values()], capture_output=True, text=True, check=False).stdout
    libraries = {Path(path) for path in re.findall(r"(/\S+\.so\S*)", listing)}
    folders = {path.parent for path in libraries}
    libraries |= {folder / name for folder in folders for name in LIBRARIES if (folder / name).exists()}
    for library in libraries:
        found[str(library).lstrip("/")] = library.resolve()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        parents = {str(parent) for path in found for parent in Path(path).parents if str(parent) != "."}
        for folder in sorted(parents | {"etc", "tmp", "usr", "usr/bin", "var", "root", "proc", "sys", "dev"}):
            tar.addfile(_info(folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755))
        for path, source in sorted(found.items()):
            _add(tar, path, source.read_bytes(), 0o755)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
        _add(tar, "etc/group", b"root:x:0:\nuser:x:1000:\n")
        link = _info("usr/bin/env", tarfile.SYMTYPE, 0o777)
        link.linkname = "/bin/env"
        tar.addfile(link)
    return buffer.getvalue()


def _note(path: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_info(path.rpartition("/")[0], tarfile.DIRTYPE, 0o755))
        _add(tar, path, data)
    return buffer.getvalue()


def _info(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.mtime = kind, mode, 1
    return info


def _add(tar: tarfile.TarFile, path: str, data: bytes, mode: int = 0o644) -> None:
    info = _info(path, tarfile.REGTYPE, mode)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
