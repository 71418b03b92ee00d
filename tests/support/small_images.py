"""Small images by hand: layers of a few files, in a store, as values; also such that no honest builder makes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from hermetic.outputs.oci.model import (
    CONFIG,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
    BaseImage,
    Blob,
    Descriptor,
    Image,
    Layer,
    oci_platform,
)
from hermetic.store import Store

Entry = tuple[tarfile.TarInfo, bytes]


def file(name: str, data: bytes | str = b"", **attributes: Any) -> Entry:
    """A tar entry: a file of mode 0644 unless ``attributes`` (of TarInfo) say otherwise."""
    info = tarfile.TarInfo(name)
    content = data.encode() if isinstance(data, str) else data
    for key, value in {"mode": 0o644, "mtime": 1, "size": len(content), **attributes}.items():
        setattr(info, key, value)
    return info, content


def folder(name: str, **attributes: Any) -> Entry:
    return file(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **attributes})


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Entry:
    return file(name, type=kind, linkname=target, mode=0o777)


def tar(entries: Sequence[Entry]) -> bytes:
    """A tar of the entries, in their order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def layer(store: Store, entries: Sequence[Entry] | bytes, name: str = "", *, packing: str = "gzip") -> Layer:
    """A layer of two members, kept in the store as two parts, as ours are; ``packing``: gzip, zstd, none."""
    data = entries if isinstance(entries, bytes) else tar(entries)
    pack: Callable[[bytes], bytes] = {
        "gzip": lambda piece: gzip.compress(piece, mtime=0),
        "zstd": zstandard.compress,
        "none": bytes,
    }[packing]
    parts = [pack(piece) for piece in (data[:512], data[512:])]
    whole = b"".join(parts)
    digest = f"sha256:{hashlib.sha256(whole).hexdigest()}"
    blob = Blob(digest, len(whole), tuple(store.put_bytes(part) for part in parts))
    diff_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    kind = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD, "none": LAYER_TAR}[packing]
    return Layer(Descriptor(kind, digest, len(whole)), diff_id, blob, name)


def image(layers: Sequence[Layer], *, platform: str = "linux-64", base: int = 0, **config: Any) -> Image:
    """An image of layers, the first ``base`` of them the base's; ``config`` as in a container's configuration."""
    about: Mapping[str, Any] = {
        **oci_platform(platform),
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
        "history": [{"created_by": one.name or "test"} for one in layers],
    }
    configuration = blob(json.dumps(about, sort_keys=True).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor(CONFIG, configuration.digest, configuration.size).to_dict(),
        "layers": [one.descriptor.to_dict() for one in layers],
    }
    return Image(
        platform,
        blob(json.dumps(manifest, sort_keys=True).encode()),
        configuration,
        tuple(layers),
        BaseImage(layers=tuple(layers[:base])),
    )


def blob(data: bytes) -> Blob:
    return Blob(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), data=data)


PROGRAMS = ("/bin/dash", "/bin/cat", "/bin/ls", "/bin/sleep", "/usr/bin/env", "/usr/bin/id", "/bin/stat")


def shell_layer(store: Store) -> Layer:
    """A layer with this machine's shell, a few programs and what they are linked with: enough to run commands."""
    import subprocess

    needed = {Path("/bin/sh").resolve()} | {Path(program) for program in PROGRAMS if Path(program).exists()}
    for program in sorted(needed):
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
        needed |= {Path(word) for word in listed.split() if word.startswith("/")}
    entries = [folder("tmp", mode=0o1777), folder("bin"), link("bin/sh", "dash")]
    entries += [file(str(path).lstrip("/"), path.read_bytes(), mode=0o755) for path in sorted(needed)]
    return layer(store, entries, "shell")
