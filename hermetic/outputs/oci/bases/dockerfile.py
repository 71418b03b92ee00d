"""Bases that a user's Dockerfile makes: built by the Docker Engine, kept in the store, pinned by the image's ID.

Such a build is not reproducible, so what was built counts: its layers are taken into the store, and an image that the
store no longer has is built again only to be compared with the pin.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from hermetic.digest import key
from hermetic.errors import BuildError, IntegrityError, MachineError, OfflineError, SpecError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.model import Base
from hermetic.outputs.oci.bases.context import FILE_NAME, Dockerfile
from hermetic.outputs.oci.model import LAYER_GZIP, BaseImage, Blob, Descriptor, Layer, oci_platform

if TYPE_CHECKING:
    from docker import DockerClient

    from hermetic.store import Store

DOCKERFILE = "dockerfile"
_FORMAT = "dockerfile-base/1"
_CHUNK = 1 << 20
_MOST_CONFIG = 8 << 20  # bytes
_TAIL = 15
"""Lines of a failed build that are told."""


def pin_dockerfile(
    dockerfile: Dockerfile, platform: str, *, store: Store, offline: bool = False, reporter: Reporter = SILENT
) -> Base:
    """Build a base from a Dockerfile, take it into the store, and pin it.

    Raises MachineError (no engine), BuildError (with the end of its output), OfflineError.
    """
    if offline:
        raise OfflineError("a base is built from a Dockerfile, which asks the network", remedy="run without --offline")
    with _engine() as client:
        image_id = _build(client, dockerfile, platform, reporter)
        _take(client, image_id, platform, store, reporter)
    return Base(DOCKERFILE, manifest=image_id, dockerfile=dockerfile.digest())


def open_dockerfile(
    base: Base,
    platform: str,
    dockerfile: Dockerfile | None = None,
    *,
    store: Store,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> BaseImage:
    """Give the pinned base from the store; else from the engine, if it has it; else built again and compared.

    Raises IntegrityError if the Dockerfile now builds another image, UsageError if it has changed or is not known.
    """
    if not base.manifest:
        raise UsageError("the base of the Dockerfile is not pinned", remedy="pin it with `hermetic base pin`")
    if dockerfile and dockerfile.digest() != base.dockerfile:
        raise UsageError(
            "the Dockerfile of the base has changed since it was pinned",
            place=dockerfile.place,
            remedy="build and pin it anew with `hermetic base update`",
        )
    known = _known(base.manifest, platform, store)
    if known is None:
        if offline:
            raise OfflineError(
                f"the base {base.manifest[:19]}, which a Dockerfile made, is not in the store",
                remedy="build once without --offline",
            )
        with _engine() as client:
            if not _has(client, base.manifest):
                _build_again(client, base, platform, dockerfile, reporter)
            _take(client, base.manifest, platform, store, reporter)
        known = _known(base.manifest, platform, store)
        assert known is not None
    return known


def _has(client: DockerClient, image_id: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(image_id)
    except ImageNotFound:
        return False
    return True


def _build_again(
    client: DockerClient, base: Base, platform: str, dockerfile: Dockerfile | None, reporter: Reporter
) -> None:
    if dockerfile is None:
        raise UsageError(
            f"the base {base.manifest[:19]} is neither in the store nor in the Docker Engine, and no Dockerfile is at "
            "hand to build it",
            remedy="declare base-dockerfile in hermetic.toml, or choose another base",
        )
    built = _build(client, dockerfile, platform, reporter)
    if built != base.manifest:
        raise IntegrityError(
            f"the Dockerfile builds another image now: {built[:19]} instead of {base.manifest[:19]}, as is usual for "
            "Dockerfiles",
            place=dockerfile.place,
            remedy="pin the new one with `hermetic base update`; to keep one base for all, push it to a registry and "
            "name it there",
        )


@contextmanager
def _engine() -> Iterator[DockerClient]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from hermetic.outputs.oci.engine import NEED_NONE, connect, refuse

    try:
        client = connect()
        try:
            yield client
        except (DockerException, RequestException) as error:
            refuse(error)
        finally:
            client.close()
    except MachineError as error:
        if (remedy := error.remedy or "").endswith(NEED_NONE):  # to deliver an image, that is
            error.remedy = remedy.removesuffix(NEED_NONE) + "; a base made by a Dockerfile needs one"
        raise


def _build(client: DockerClient, dockerfile: Dockerfile, platform: str, reporter: Reporter) -> str:
    """Build, telling the steps; give the image's ID."""
    from docker.errors import APIError

    api: Any = client.api
    architecture = oci_platform(platform)["architecture"]
    lines: list[str] = []
    image_id = ""
    with task(reporter, "dockerfile", "building the base from its Dockerfile"), dockerfile.tar() as context:
        try:
            events = api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=FILE_NAME,
                platform=f"linux/{architecture}",
                rm=True,
                forcerm=True,
                decode=True,
            )
        except APIError as error:
            if "parse error" not in str(error.explanation):
                raise
            said = str(error.explanation)
            raise SpecError(said, place=dockerfile.place, remedy="mend the base's Dockerfile") from error
        for event in events:
            text = str(event.get("stream") or event.get("status") or "").strip()
            if text:
                lines.append(text)
            if text.startswith("Step "):
                reporter.say(text)
            if fault := event.get("error"):
                said = "\n  ".join([*lines[-_TAIL:], str(fault).strip()])
                raise BuildError(
                    f"the base's Dockerfile cannot be built:\n  {said}",
                    place=dockerfile.place,
                    remedy="mend it; what it copies has to lie in base-context; the engine's classic builder is used, "
                    "which knows no RUN --mount",
                )
            image_id = str(event.get("aux", {}).get("ID") or image_id)
    if not image_id:
        raise MachineError("the Docker Engine does not say what it built", remedy="see the engine's log")
    return image_id


def _take(client: DockerClient, image_id: str, platform: str, store: Store, reporter: Reporter) -> None:
    """Bring an image of the engine into the store: its configuration as it is, its layers compressed by us."""
    with task(reporter, "take base", "taking the base out of the engine"), store.staging() as folder:
        saved = folder / "image.tar"
        with saved.open("wb") as file:
            for piece in client.images.get(image_id).save(chunk_size=_CHUNK):
                file.write(piece)
        with tarfile.open(saved) as tar:
            config, layers = _parts(tar)
            about = _json(config)
            diff_ids = about.get("rootfs", {}).get("diff_ids")
            if not isinstance(diff_ids, list) or len(diff_ids) != len(layers):
                raise _damaged("its configuration names other layers")
            if (about.get("architecture"), about.get("os")) != tuple(oci_platform(platform).values()):
                raise UsageError(
                    f"the Dockerfile made an image for {about.get('os')}/{about.get('architecture')}, not {platform}",
                    remedy="name a base of that platform in FROM",
                )
            taken = [_compress(tar, name, str(diff_id), store) for name, diff_id in zip(layers, diff_ids, strict=True)]
    store.put_result(_key(image_id, platform), {"config": store.put_bytes(config), "layers": taken})


def _compress(tar: tarfile.TarFile, name: str, diff_id: str, store: Store) -> dict[str, Any]:
    """Put a layer into the store, compressed, once it is known to be what the configuration says."""
    from hermetic.outputs.oci.compression import compressor
    from hermetic.outputs.oci.options import GZIP
    from hermetic.outputs.oci.reading import unpacked
    from hermetic.store.faults import machine_faults

    packed = tar.extractfile(name)
    if packed is None:
        raise _damaged("a layer is no file")
    plain, made, size = hashlib.sha256(), hashlib.sha256(), 0
    member = compressor(GZIP)
    path = store.temporary()
    try:
        with machine_faults("store a layer", store.root), path.open("wb") as file, unpacked(packed) as stream:
            for piece in _blocks(stream):
                plain.update(piece)
                out = member.compress(piece)
                made.update(out)
                size += file.write(out)
            out = member.flush()
            made.update(out)
            size += file.write(out)
        if f"sha256:{plain.hexdigest()}" != diff_id:
            raise _damaged("a layer has other bytes than its configuration says")
        store.adopt(path, made.hexdigest())
    finally:
        path.unlink(missing_ok=True)
    return {"digest": made.hexdigest(), "size": size, "diff_id": diff_id}


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Give a stream in blocks of one size, because where one ends shows in what a compressor makes of it."""
    while block := stream.read(_CHUNK):
        yield block


def _known(image_id: str, platform: str, store: Store) -> BaseImage | None:
    found = store.get_result(_key(image_id, platform))
    if found is None or not all(store.has_blob(d) for d in (found["config"], *(x["digest"] for x in found["layers"]))):
        return None
    config = _json(store.blob_path(found["config"]).read_bytes())
    layers = []
    for item in found["layers"]:
        descriptor = Descriptor(LAYER_GZIP, f"sha256:{item['digest']}", item["size"])
        blob = Blob(descriptor.digest, descriptor.size, (item["digest"],))
        layers.append(Layer(descriptor, item["diff_id"], blob, DOCKERFILE))
    return BaseImage(DOCKERFILE, image_id, config, tuple(layers))


def _key(image_id: str, platform: str) -> str:
    from hermetic.outputs.oci.compression import fingerprint
    from hermetic.outputs.oci.options import GZIP

    return key(_FORMAT, [image_id, platform, fingerprint(GZIP)])


def _parts(tar: tarfile.TarFile) -> tuple[bytes, list[str]]:
    """Give the configuration and the names of the layers of an image that an engine has saved."""
    try:
        (listed,) = _json_list(_read(tar, "manifest.json"))
        layers = [str(name) for name in listed["Layers"]]
        return _read(tar, str(listed["Config"])), layers
    except (KeyError, TypeError, ValueError):
        raise _damaged("it does not say what it holds") from None


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    data = file.read(_MOST_CONFIG + 1) if file else b""
    if not data or len(data) > _MOST_CONFIG:
        raise ValueError(name)
    return data


def _json_list(data: bytes) -> list[Any]:
    found = json.loads(data)
    if not isinstance(found, list):
        raise TypeError(found)
    return found


def _json(data: bytes) -> dict[str, Any]:
    from hermetic.outputs.oci.reading import parse_json

    return parse_json(data, "the configuration of the base")


def _damaged(reason: str) -> IntegrityError:
    return IntegrityError(
        f"what the Docker Engine gave for the base is damaged: {reason}", remedy="build it again, and see its log"
    )
