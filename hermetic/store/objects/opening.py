"""Which object store an address means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hermetic.errors import UsageError
from hermetic.secrets import expand
from hermetic.store.objects.bucket import read_bucket
from hermetic.store.objects.model import ObjectStore
from hermetic.workspace_config import WorkspaceAddress

FOLDER = "artefacts"
"""The name of the embedded workspace's folder of artefacts."""


def open_objects(address: WorkspaceAddress) -> ObjectStore:
    """Give the store of a workspace's artefacts; nothing is asked of it yet.

    Raises UsageError for an address that is none, or whose client is not installed, and CredentialsError where no
    credentials are to be found.
    """
    where = expand(address.artefacts)
    scheme, slashes, _ = where.partition("://")
    if not slashes:
        from hermetic.store.objects.folder import FolderObjects

        return FolderObjects(Path(where) if where else address.folder / FOLDER)
    if scheme == "s3":
        from hermetic.store.objects.s3 import S3Objects

        return S3Objects(read_bucket(where, address.place))
    if scheme == "az":
        from hermetic.store.objects.azure import AzureObjects

        return AzureObjects(read_bucket(where, address.place, accounts=True))
    if scheme == "gs":
        from hermetic.store.objects.gcs import GcsObjects

        return GcsObjects(read_bucket(where, address.place))
    if scheme in {"http", "https"}:
        from hermetic.store.objects.served import ServedObjects

        return ServedObjects(where, address.place)
    raise UsageError(
        f"workspace {address.name}: {scheme!r} is no store of artefacts that hermetic knows",
        place=address.place,
        remedy="write a folder, s3://bucket, az://account/container, gs://bucket or https://server in 'artefacts'",
    )


@contextmanager
def needs(extra: str, package: str) -> Iterator[None]:
    """Tell what to install if the block cannot import a store's client. Raises UsageError."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"artefacts there need the package {package}, which is not installed ({error})",
            remedy=f"pip install 'hermetic[{extra}]'",
        ) from None
