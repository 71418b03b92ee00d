"""The embedded base: a small Debian, made from its packages on any machine that has apt or has the packages.

About 33 MB of files: a shell, core tools, libc and libstdc++, certificates, time zones. The packages are what is
pinned; the same packages give the same bytes, whoever makes them and when.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hermetic.digest import canonical_json, key, sha256_file
from hermetic.errors import IntegrityError, OfflineError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.model import Base, DebianPackage
from hermetic.outputs.oci.bases.apt import ARCHITECTURES, Apt
from hermetic.outputs.oci.model import (
    CONFIG,
    LAYER_GZIP,
    MANIFEST,
    BaseImage,
    Blob,
    Descriptor,
    Layer,
    oci_platform,
)
from hermetic.plan.files import FILE

if TYPE_CHECKING:
    from hermetic.store import Store

EMBEDDED = "embedded"
_FORMAT = "embedded-base/1"
_TIME = 1
_CREATED = "1970-01-01T00:00:01Z"
_SETTINGS = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "Cmd": ["/bin/bash"],
    "WorkingDir": "/",
}


def pin_embedded(platform: str, *, store: Store, offline: bool = False, reporter: Reporter = SILENT) -> Base:
    """Choose the newest packages that apt has on this machine, and put their archives into the store.

    Raises MachineError without apt, NetworkError, and OfflineError if the network may not be asked.
    """
    if offline:
        raise OfflineError(
            "the embedded base is pinned to what Debian's mirror has now, and the network may not be asked",
            remedy="pin it without --offline",
        )
    with _apt(store, platform, reporter) as apt:
        apt.update(reporter)
        packages = apt.plan()
        _fetch(apt, packages, store, reporter)
    return Base(EMBEDDED, packages=packages)


def open_embedded(
    base: Base, platform: str, *, store: Store, offline: bool = False, reporter: Reporter = SILENT
) -> BaseImage:
    """Give the base as an image whose layer is in the store; it is made if need be, of packages that are fetched.

    Raises UsageError for a platform that the packages are not for, MachineError, NetworkError, IntegrityError.
    """
    from hermetic.outputs.oci.compression import closing, fingerprint
    from hermetic.outputs.oci.options import GZIP

    architecture = _architecture(platform)
    if foreign := [p.name for p in base.packages if p.architecture not in {architecture, "all"}]:
        raise UsageError(
            f"the embedded base is pinned for another platform than {platform}: {', '.join(foreign[:3])}",
            remedy="pin it anew with `hermetic base update`",
        )
    if not base.packages:
        raise UsageError("the embedded base is not pinned", remedy="pin it with `hermetic base pin --base embedded`")
    made = key(
        _FORMAT,
        [[[p.name, p.version, p.architecture, p.sha256] for p in base.packages], fingerprint(GZIP), platform],
    )
    known = store.get_result(made)
    if known is None or not store.has_blob(str(known["blob"])):
        with store.lock(made):  # two builds at once make it once
            known = store.get_result(made)
            if known is None or not store.has_blob(str(known["blob"])):
                known = _make(base.packages, platform, store=store, offline=offline, reporter=reporter)
                store.put_result(made, known)
    end = closing(GZIP)
    size = int(known["size"]) + len(end)
    digest = f"sha256:{known['layer_digest']}"
    descriptor = Descriptor(LAYER_GZIP, digest, size)
    blob = Blob(digest, size, (str(known["blob"]), store.put_bytes(end)))
    layer = Layer(descriptor, f"sha256:{known['diff_id']}", blob, EMBEDDED)
    config = _config(platform, layer.diff_id)
    return BaseImage(EMBEDDED, _manifest_digest(config, layer), config, (layer,))


def _make(
    packages: Sequence[DebianPackage], platform: str, *, store: Store, offline: bool, reporter: Reporter
) -> dict[str, Any]:
    from hermetic.outputs.oci.bases.rootfs import Root
    from hermetic.outputs.oci.members import MemberWriter
    from hermetic.outputs.oci.options import GZIP
    from hermetic.store.faults import machine_faults

    missing = [package for package in packages if not store.has_blob(package.sha256)]
    if missing and offline:
        raise OfflineError(
            f"{len(missing)} packages of the embedded base are not in the store, {missing[0].name} among them",
            remedy="build once without --offline",
        )
    if missing:
        with _apt(store, platform, reporter) as apt:
            apt.update(reporter)
            _fetch(apt, missing, store, reporter)
    with (
        machine_faults("make the embedded base", store.root),
        task(reporter, "embedded base", "making the embedded base", len(packages), "packages"),
        store.staging() as folder,
        tempfile.TemporaryFile(dir=folder) as spool,
        MemberWriter(store, GZIP, None, _TIME) as writer,
    ):
        root = Root(spool)
        for package in packages:
            label = f"{package.name} {package.version}"
            control = root.add(store.sound_blob(package.sha256, label), label)
            if (control["Package"], control["Version"]) != (package.name, package.version):
                raise IntegrityError(
                    f"{label}: the archive says that it is {control['Package']} {control['Version']}",
                    remedy="pin the base anew with `hermetic base update`",
                )
            reporter.advance("embedded base")
        root.finish()
        for entry, pieces in root.entries():
            writer.begin(entry, entry.path)
            if entry.kind == FILE:
                for piece in pieces():
                    writer.write(piece)
            writer.end(entry)
        return writer.finish().to_dict()


def _fetch(apt: Apt, packages: Sequence[DebianPackage], store: Store, reporter: Reporter) -> None:
    """Put archives into the store, each checked by its locked digest. Raises IntegrityError for another one."""
    wanted = {package.sha256: package for package in packages if not store.has_blob(package.sha256)}
    if not wanted:
        return
    with store.staging() as folder:
        apt.download(list(wanted.values()), folder, reporter)
        for path in sorted(folder.glob("*.deb")):
            digest = sha256_file(path)
            if wanted.pop(digest, None):
                store.put_file(path, expected=digest)
    for package in wanted.values():
        raise IntegrityError(
            f"the mirror's {package.name} {package.version} is not the one of the lock ({package.sha256})",
            remedy="find out why before you trust either; pin the base anew with `hermetic base update`",
        )


@contextmanager
def _apt(store: Store, platform: str, reporter: Reporter) -> Iterator[Apt]:
    architecture = _architecture(platform)
    from hermetic.store.faults import machine_faults

    with store.lock(f"apt-{architecture}", reporter=reporter), machine_faults("run apt", store.root):
        yield Apt(store.root / "apt" / architecture, architecture)


def _architecture(platform: str) -> str:
    if platform not in ARCHITECTURES:
        raise UsageError(
            f"there is no embedded base for {platform}", remedy=f"there is one for {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[platform]


def _config(platform: str, diff_id: str) -> dict[str, Any]:
    return {
        **oci_platform(platform),
        "created": _CREATED,
        "config": _SETTINGS,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": _CREATED, "created_by": "hermetic base: embedded"}],
    }


def _manifest_digest(config: dict[str, Any], layer: Layer) -> str:
    """Give the digest of the base's own manifest, were it an image."""
    from hermetic.digest import sha256_bytes

    data = canonical_json(config)
    own = Descriptor(CONFIG, f"sha256:{sha256_bytes(data)}", len(data))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": own.to_dict(),
        "layers": [layer.descriptor.to_dict()],
    }
    return f"sha256:{sha256_bytes(canonical_json(manifest))}"
