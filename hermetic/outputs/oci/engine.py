"""Images in a Docker Engine, through the ``docker`` package: put in thin, found again, read out.

An engine keeps layers unpacked, chained by their diff IDs. What it has of a chain already is left out of the tar
that it is sent: that is not a documented way, so the image's ID afterwards has to be the configuration's digest,
and where it is not (or the engine complains) the whole image is sent.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from hermetic.digest import canonical_json
from hermetic.errors import HermeticError, MachineError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.outputs.oci.blobs import chunks, open_blob
from hermetic.outputs.oci.model import INDEX, LAYER_ZSTD, Blob, Image
from hermetic.outputs.oci.reading import layer_blob, unpacked
from hermetic.outputs.oci.reference import Reference, parse_reference
from hermetic.secrets import redact

if TYPE_CHECKING:
    from docker import DockerClient

    from hermetic.store import Store

TIMEOUT = 300
"""Seconds without a word from the engine before it is given up."""

_ASKED = 200
"""Images of an engine that are looked at for common layers, a few milliseconds each."""

_BLOCK = 512
_CHUNK = 1 << 20
NEED_NONE = "; --oci-layout and --push need none"
"""The end of the remedy for a missing engine."""


@dataclass(frozen=True)
class Loaded:
    """What loading came to: the image's ID, bytes sent, and how many layers the engine had already."""

    tag: str
    id: str
    sent: int
    present: int
    tagged: bool = False
    """Whether the name was given to the image now."""


def connect(timeout: int = TIMEOUT) -> DockerClient:
    """Give a client of the engine that ``DOCKER_HOST``, or the docker client's current context, names.

    Raises MachineError, with what to do, if none answers.
    """
    import docker
    from docker.errors import DockerException

    host = os.environ.get("DOCKER_HOST") or _context_host()
    try:
        environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
        return docker.DockerClient.from_env(timeout=timeout, environment=environment)
    except DockerException as error:
        refuse(error, host)


def _context_host() -> str:
    """Give the address of the docker client's current context, as rootless engines and Docker Desktop set it up."""
    with suppress(Exception):  # no configuration, or one that only newer clients understand: the default then
        from docker.context import ContextAPI

        context = ContextAPI.get_current_context()
        if context is not None and context.Name != "default":
            return str(context.Host)
    return ""


def refuse(error: Exception, host: str = "") -> NoReturn:
    """Raise what the user can do something about in place of an error of the docker package."""
    where = redact(host or os.environ.get("DOCKER_HOST", "")) or "its usual place"
    text = f"{error} {error.__cause__ or ''} {error.__context__ or ''}"
    if "Permission denied" in text or "PermissionError" in text:
        raise MachineError(
            f"this user may not talk to the Docker Engine at {where}",
            remedy="join the group 'docker', run a rootless engine, or write a layout with --oci-layout instead",
        ) from error
    if "bind address" in text or "Invalid host" in text or "Unsupported" in text:
        raise UsageError(
            f"DOCKER_HOST is {where}, which is no engine's address", remedy="unset it, or mend it"
        ) from error
    if any(word in text for word in ("No such file", "FileNotFound", "Connection refused", "Name or service", "Max ")):
        raise MachineError(
            f"no Docker Engine answers at {where}",
            remedy=f"start it, or set DOCKER_HOST to where one is{NEED_NONE}",
        ) from error
    if "timed out" in text.lower():
        raise MachineError(
            f"the Docker Engine at {where} does not answer in time", remedy="see whether it is well, then try again"
        ) from error
    _complain(_explanation(error), error)


def _complain(message: str, error: Exception | None = None) -> NoReturn:
    remedy = "see the engine's log"
    if "unable to find user" in message or ("network" in message and "not found" in message):
        remedy = "choose another with --user or --network"
    if "no space left" in message.lower():
        remedy = "make room where the engine keeps its images ('docker system prune' removes what nobody uses)"
    raise MachineError(f"the Docker Engine refused: {redact(message)}", remedy=remedy) from error


def _explanation(error: Exception) -> str:
    return str(getattr(error, "explanation", "") or error).strip()


def load(
    image: Image, tag: str, *, store: Store, reporter: Reporter = SILENT, client: DockerClient | None = None
) -> Loaded:
    """Put an image into the engine as ``tag``; if it is there already, nothing is sent.

    Raises MachineError (no engine, or it refuses), IntegrityError, NetworkError (a layer of the base).
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    reference = checked_tag(tag)
    client = client or connect()
    wanted = image.config.digest
    try:
        sent = present = 0
        if not _has(client, wanted):
            present = _present(client, [layer.diff_id for layer in image.layers], tag)
            proof = ""
            if present:
                sent, proof = _send(client, image, tag, present=present, store=store, reporter=reporter)
            if proof != wanted:
                present = 0
                more, proof = _send(client, image, tag, present=0, store=store, reporter=reporter)
                sent += more
            if proof not in {wanted, image.manifest.digest}:  # engines on containerd name images by their manifests
                raise MachineError(
                    f"the Docker Engine took {tag}, but made another image of it ({proof or 'none'})",
                    remedy="see the engine's log; 'hermetic verify' tells what it has",
                )
            wanted = proof
        tagged = client.images.get(wanted).id != _id_of(client, tag)
        if tagged:
            client.api.tag(wanted, reference.name, reference.tag)
    except (DockerException, RequestException) as error:
        refuse(error)
    return Loaded(tag, wanted, sent, present, tagged)


def checked_tag(tag: str) -> Reference:
    """Give what an image's name in an engine means. Raises UsageError for what cannot be one."""
    reference = parse_reference(tag)
    if reference.digest:
        raise UsageError(f"{tag} names an image by its digest, which cannot be given", remedy="use a tag: team/demo:1")
    return reference.with_tag(reference.tag_or_latest)


def _has(client: DockerClient, image_id: str) -> bool:
    return bool(_id_of(client, image_id))


def _id_of(client: DockerClient, name: str) -> str:
    from docker.errors import ImageNotFound

    try:
        return str(client.images.get(name).id)
    except ImageNotFound:
        return ""


def _present(client: DockerClient, diff_ids: Sequence[str], tag: str) -> int:
    """Count the layers, from the bottom, that the engine has as the same chain in one of its images."""
    from docker.errors import DockerException

    if _on_containerd(client):
        return 0
    name = tag.rpartition(":")[0] or tag
    known = client.api.images(all=True)
    # those of the same name first, then the oldest: times of ours are those of 1970
    known.sort(key=lambda one: (not any(str(t).startswith(name) for t in one.get("RepoTags") or ()), one["Created"]))
    best = 0
    for one in known[:_ASKED]:
        with suppress(DockerException):  # one that is removed meanwhile
            there = client.images.get(one["Id"]).attrs.get("RootFS", {}).get("Layers") or []
            best = max(best, _common(there, diff_ids))
        if best >= len(diff_ids) - 1:
            break
    return best


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _on_containerd(client: DockerClient) -> bool:
    """Tell whether the engine keeps images in containerd, which wants every blob that a manifest names."""
    status = client.info().get("DriverStatus") or []
    return any("containerd" in str(value) for pair in status for value in pair)


def _send(
    client: DockerClient, image: Image, tag: str, *, present: int, store: Store, reporter: Reporter
) -> tuple[int, str]:
    """Send an image without its first ``present`` layers; give the bytes sent and the ID that came of it.

    A thin image that the engine does not take gives no ID; a whole one raises what it says.
    """
    from docker.errors import APIError
    from requests.exceptions import ConnectionError as Broken

    members = _members(image, tag, present, store)
    total = sum(_BLOCK + _padded(member.size) for member in members) + 2 * _BLOCK
    sent = [0]
    failure = ""
    with task(reporter, "load", f"loading {tag}", total, "bytes"):
        try:
            api: Any = client.api
            for line in api.load_image(_tar(members, sent, reporter), quiet=False):
                failure = str(line.get("error") or failure)
        except APIError as error:
            failure = _explanation(error)
        except Broken as error:  # in the middle: what it thinks of the rest is not heard
            if not present:
                raise MachineError(
                    "the connection to the Docker Engine broke off", remedy="see whether it is well, then try again"
                ) from error
            failure = "broke off"
    if failure and not present:
        _complain(failure)
    return sent[0], "" if failure else _id_of(client, image.config.digest) or _id_of(client, tag)


@dataclass(frozen=True)
class _Member:
    """A file of the tar: what it is named, how long it is, and its bytes; ``plain``: a blob to be unpacked."""

    name: str
    size: int
    blob: Blob
    store: Store
    plain: bool = False

    def pieces(self) -> Iterator[bytes]:
        if not self.plain:
            yield from chunks(self.store, self.blob, _CHUNK)
            return
        with open_blob(self.store, self.blob) as packed, unpacked(packed) as stream:
            while piece := stream.read(_CHUNK):
                yield piece


def _members(image: Image, tag: str, present: int, store: Store) -> list[_Member]:
    """Give the files of the tar: an OCI layout, and the older ``manifest.json`` that names its blobs."""
    reference = checked_tag(tag)
    named: list[_Member] = []
    files: dict[str, _Member] = {}

    def add(name: str, data: bytes) -> None:
        named.append(_Member(name, len(data), Blob("", len(data), data=data), store))

    def blob_name(digest: str) -> str:
        return f"blobs/sha256/{digest.removeprefix('sha256:')}"

    layers = []
    oci = True
    for number, layer in enumerate(image.layers):
        packed = layer.descriptor.media_type == LAYER_ZSTD
        name = f"layers/{layer.diff_id.removeprefix('sha256:')}.tar" if packed else blob_name(layer.descriptor.digest)
        oci = oci and not packed
        layers.append(name)
        if number < present or name in files:
            continue
        blob = layer_blob(image, layer, store)
        size = _unpacked_size(blob, store) if packed else blob.size
        files[name] = _Member(name, size, blob, store, plain=packed)
    if oci:  # engines that know zstd know this too; others would take neither
        add("oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
        add(
            "index.json",
            canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [_named(image, reference)]}),
        )
    config = blob_name(image.config.digest)
    add("manifest.json", canonical_json([{"Config": config, "RepoTags": [str(reference)], "Layers": layers}]))
    named += [_Member(blob_name(blob.digest), blob.size, blob, store) for blob in (image.manifest, image.config)]
    return [*named, *files.values()]


def _named(image: Image, reference: Reference) -> Mapping[str, Any]:
    names = {"io.containerd.image.name": str(reference), "org.opencontainers.image.ref.name": reference.tag}
    return {**image.descriptor.to_dict(), "annotations": names}


def _unpacked_size(blob: Blob, store: Store) -> int:
    size = 0
    with open_blob(store, blob) as packed, unpacked(packed) as stream:
        while piece := stream.read(_CHUNK):
            size += len(piece)
    return size


def _tar(members: Sequence[_Member], sent: list[int], reporter: Reporter) -> Iterator[bytes]:
    """Give a tar's bytes as they are wanted; ``sent`` counts them."""

    def out(data: bytes) -> bytes:
        sent[0] += len(data)
        reporter.advance("load", len(data))
        return data

    for member in members:
        info = tarfile.TarInfo(member.name)
        info.size, info.mtime, info.mode = member.size, 1, 0o644
        yield out(info.tobuf(tarfile.USTAR_FORMAT))
        given = 0
        for piece in member.pieces():
            given += len(piece)
            yield out(piece)
        if given != member.size:
            raise HermeticError(f"{member.name} is not as long as it was")  # cannot be: sizes are of checked blobs
        yield out(bytes(_padded(member.size) - member.size))
    yield out(bytes(2 * _BLOCK))


def _padded(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK
