"""Where a workspace's artefacts are kept: a folder, S3, Azure Blob, Google Cloud Storage, or another's file server."""

from hermetic.store.objects.model import MissingObjectError, ObjectStore
from hermetic.store.objects.opening import open_objects
from hermetic.store.objects.private import PrivateUrl, is_private, parse_private, sign_private

__all__ = [
    "MissingObjectError",
    "ObjectStore",
    "PrivateUrl",
    "is_private",
    "open_objects",
    "parse_private",
    "sign_private",
]
