"""Artefacts in Azure Blob, by Microsoft's own client: read by service SAS, or by user delegation SAS.

What is there is not overwritten: writes carry ``If-None-Match: *``. A large file is sent in blocks and committed by one
request once its sha256 is known to be right; blocks that are never committed vanish after a week.
"""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from hermetic.errors import CredentialsError
from hermetic.events import SILENT, Reporter
from hermetic.store.objects.azure_access import ADVICE, AzureAccess, azure_access
from hermetic.store.objects.azure_faults import azure_faults
from hermetic.store.objects.bucket import Bucket
from hermetic.store.objects.hushing import hush
from hermetic.store.objects.manners import manners
from hermetic.store.objects.model import check_expiry, hidden
from hermetic.store.objects.reading import PART, Outgoing, put_file, send_parts

_MAYBE_TAKEN = {400, 409, 412}
"""Answers to a write where there is something already; 400 if another's commit threw our blocks away."""
_CLOCKS = timedelta(minutes=15)
"""How far apart the clocks of ours and Azure's may be."""


class AzureObjects:
    """Objects in a part of a container. The client is made at the first use."""

    page_size = 1000

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._guard = threading.Lock()
        self._delegated: tuple[datetime, Any] | None = None

    @property
    def where(self) -> str:
        """Give the container's address."""
        return self._bucket.where

    def put(self, key: str, path: Path, *, sha256: str, reporter: Reporter = SILENT) -> bool:
        """Upload a file unless it is there."""

        def send(file: Outgoing) -> bool:
            return self._in_blocks(key, file) if file.size > PART else self.put_bytes(key, file.read())

        return put_file(self, key, path, sha256=sha256, reporter=reporter, send=send)

    def put_bytes(self, key: str, data: bytes) -> bool:
        """Upload a document unless it is there."""
        blob = self._blob(key)
        return self._unless_taken(
            key,
            lambda: blob.upload_blob(data, overwrite=False, validate_content=True, content_settings=_settings(key)),
        )

    def get_bytes(self, key: str) -> bytes:
        """Download a document."""
        blob = self._blob(key)
        with self._faults(key):
            return bytes(blob.download_blob(max_concurrency=1).readall())

    def size(self, key: str) -> int | None:
        """Ask for an object's length."""
        blob = self._blob(key)
        from azure.core.exceptions import ResourceNotFoundError

        with self._faults(key):
            try:
                return int(blob.get_blob_properties().size)
            except ResourceNotFoundError as error:
                if str(getattr(error, "error_code", "")).endswith("ContainerNotFound"):
                    raise
                return None

    def keys(self, prefix: str) -> Iterator[str]:
        """List the container's part, a thousand at a time."""
        client = self._client
        with self._faults(prefix):
            beginning = self._bucket.beginning(prefix)
            for name in client.list_blob_names(name_starts_with=beginning, results_per_page=self.page_size):
                key = self._bucket.key(name)
                if key is not None:
                    yield key

    def delete(self, key: str) -> None:
        """Delete the blob."""
        blob = self._blob(key)
        from azure.core.exceptions import ResourceNotFoundError

        with self._faults(key):
            try:
                blob.delete_blob()
            except ResourceNotFoundError as error:
                if str(getattr(error, "error_code", "")).endswith("ContainerNotFound"):
                    raise

    def signed_url(self, key: str, *, expires: int) -> str:
        """Give the blob's address with a shared access signature: read, until a second, over https if there is any."""
        check_expiry(expires)
        blob = self._blob(key)
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        until = _now() + timedelta(seconds=expires)
        with self._faults(key):
            signature = generate_blob_sas(
                self._bucket.account,
                self._bucket.name,
                blob.blob_name,
                permission=BlobSasPermissions(read=True),
                expiry=until,
                protocol="https" if blob.url.startswith("https:") else None,
                **self._signer(until),
            )
        return hidden(f"{blob.url.partition('?')[0]}?{signature}")

    def _signer(self, until: datetime) -> dict[str, Any]:
        if self._access.key:
            return {"account_key": self._access.key}
        if isinstance(self._access.credential, str):
            raise CredentialsError(
                f"{self._access.source} cannot sign addresses in {self.where}: it is a signature itself", remedy=ADVICE
            )
        with self._guard:
            if self._delegated is None or self._delegated[0] < until:
                from azure.storage.blob import BlobServiceClient

                service = BlobServiceClient(self._access.endpoint, self._access.credential, **_options())
                last = until + timedelta(hours=1)
                key = service.get_user_delegation_key(_now() - _CLOCKS, min(last, _now() + timedelta(days=7)))
                self._delegated = (min(last, _now() + timedelta(days=7)), key)
            return {"user_delegation_key": self._delegated[1]}

    def _in_blocks(self, key: str, file: Outgoing) -> bool:
        blob = self._blob(key)
        from azure.core import MatchConditions
        from azure.storage.blob import BlobBlock

        ours = os.urandom(12)  # two who send one key at once do not write each other's blocks

        def send(number: int, piece: bytes) -> Any:
            name = b64encode(ours + number.to_bytes(6, "big")).decode()
            with self._faults(key):
                blob.stage_block(name, piece, length=len(piece), validate_content=True)
            return BlobBlock(name)

        blocks = send_parts(file, send)
        return self._unless_taken(
            key,
            lambda: blob.commit_block_list(
                blocks, content_settings=_settings(key), match_condition=MatchConditions.IfMissing
            ),
        )

    def _unless_taken(self, key: str, act: Callable[[], object]) -> bool:
        """Write; False if the key is taken, also by an earlier try of ours whose answer was lost."""
        from azure.core.exceptions import HttpResponseError

        with self._faults(key):
            try:
                act()
            except HttpResponseError as error:
                if error.status_code not in _MAYBE_TAKEN or self.size(key) is None:
                    raise
                return False
        return True

    def _blob(self, key: str) -> Any:
        name = self._bucket.object_name(key)
        return self._client.get_blob_client(name)

    def _faults(self, key: str) -> AbstractContextManager[None]:
        return azure_faults(self.where, key, self._access.source, ADVICE)

    @cached_property
    def _access(self) -> AzureAccess:
        return azure_access(self._bucket)

    @property
    def _client(self) -> Any:
        with self._guard:
            return self._made

    @cached_property
    def _made(self) -> Any:
        from hermetic.store.objects.opening import needs

        with needs("azure", "azure-storage-blob"):
            from azure.storage.blob import ContainerClient
        with self._faults(""):
            client = ContainerClient(
                self._access.endpoint, self._bucket.name, credential=self._access.credential, **_options()
            )
        hush("azure", "urllib3", "requests", "msal")
        return client


def _options() -> dict[str, Any]:
    """Give the options of a client."""
    from azure.storage.blob import ExponentialRetry

    asked = manners()
    return {
        **({"connection_verify": asked.certificates} if asked.certificates else {}),
        "connection_timeout": asked.connect,
        "read_timeout": asked.timeout,
        "retry_policy": ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=asked.retries, random_jitter_range=1
        ),
        "logging_enable": False,
    }


def _settings(key: str) -> Any:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_type="application/json" if key.endswith(".json") else "application/octet-stream")


def _now() -> datetime:
    return datetime.now(UTC)
