"""Operating a workspace's file server: which workspace it is, and what may be said about its keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import MissingError, UsageError
from hermetic.secrets import expand
from hermetic.spec.private_urls import is_private, parse_private
from hermetic.store.objects.folder import FolderObjects
from hermetic.store.objects.model import check_expiry, check_key
from hermetic.store.objects.opening import open_objects
from hermetic.store.objects.served import check_server
from hermetic.store.objects.signing import sign_url
from hermetic.workspace.opening import opened
from hermetic.workspace.serving.files import open_object
from hermetic.workspace.serving.keys import KeyFile
from hermetic.workspace_config import WorkspaceAddress

if TYPE_CHECKING:
    from hermetic.workspace.serving.run import Serving, Settings


def key_file(address: WorkspaceAddress) -> KeyFile:
    """Give the keys of a workspace whose artefacts stand in a folder. Raises UsageError for any other."""
    _folder(address)
    return KeyFile(address.folder)


def make_server(
    address: WorkspaceAddress,
    settings: Settings,
    *,
    log: Callable[[str], None],
    warn: Callable[[str], None],
) -> Serving:
    """Give the server of a workspace, listening and not yet answering. Raises UsageError, MachineError."""
    from hermetic.workspace.serving.run import Serving

    folder = _folder(address)
    if settings.private_key and not settings.certificate:
        raise UsageError("--key needs --certificate", remedy="give both, as PEM files")
    server = Serving(folder, KeyFile(address.folder), settings, log=log, warn=warn)
    if settings.is_open:
        warn(f"{settings.host} is reached from elsewhere, and without a certificate signatures travel in the clear")
    return server


def sign_artefact(address: WorkspaceAddress, text: str, server: str, expires: int) -> str:
    """Give a URL that reads an artefact from the workspace's server for some seconds. Raises UsageError, MissingError.

    ``text`` is as in ``object_key_of``.
    """
    object_key = check_key(object_key_of(text))
    check_expiry(expires)
    server = check_server(server)
    folder = _folder(address)
    file = open_object(folder, object_key)
    if file is None:
        raise MissingError(f"there is no {object_key} in {folder}", remedy="see 'hermetic wheel list'")
    file.close()
    ring = KeyFile(address.folder)
    if object_key in ring.read().revoked:
        raise UsageError(f"{object_key} is revoked", remedy="see 'hermetic workspace key restore'")
    return sign_url(server, object_key, ring.signing_key(), expires=int(time.time()) + expires)


def object_key_of(text: str) -> str:
    """Give the key of an artefact that is named by its key or by a private wheel's URL."""
    return parse_private(text).key if is_private(text) else text


def _folder(address: WorkspaceAddress) -> Path:
    """Give the folder that is served; the workspace is made where it is not there yet."""
    where = expand(address.artefacts)
    if "://" in where:
        scheme = where.partition("://")[0]
        served = scheme in {"http", "https"}
        raise UsageError(
            f"the artefacts of {address.name!r} stand behind {scheme}://, "
            + ("a file server that runs elsewhere" if served else "which signs URLs of its own"),
            place=address.place,
            remedy="run this where the workspace stands" if served else "nothing has to be served",
        )
    opened(address)
    objects = open_objects(address)
    assert isinstance(objects, FolderObjects)
    return objects.root
