"""Artefacts in Google Cloud Storage, by Google's own client: read by V4 signed URLs.

Credentials are Google's application default ones. What is there is not overwritten: writes ask for generation 0. A
large file goes through a resumable upload, whose last piece is sent once the file's sha256 is known to be right.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from hermetic.errors import CredentialsError
from hermetic.events import SILENT, Reporter
from hermetic.secrets import hide
from hermetic.store.objects.bucket import Bucket
from hermetic.store.objects.gcs_faults import ADVICE, counted, gcs_faults, status_of
from hermetic.store.objects.hushing import hush
from hermetic.store.objects.manners import manners
from hermetic.store.objects.model import MissingObjectError, check_expiry, hidden
from hermetic.store.objects.reading import PART, Outgoing, put_file

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


class GcsObjects:
    """Objects in a part of a bucket. The client is made at the first use."""

    page_size = 1000

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._guard = threading.Lock()

    @property
    def where(self) -> str:
        """Give the bucket's address."""
        return self._bucket.where

    def put(self, key: str, path: Path, *, sha256: str, reporter: Reporter = SILENT) -> bool:
        """Upload a file unless it is there."""

        def send(file: Outgoing) -> bool:
            return self._send(key, file) if file.size > PART else self.put_bytes(key, file.read())

        return put_file(self, key, path, sha256=sha256, reporter=reporter, send=send)

    def put_bytes(self, key: str, data: bytes) -> bool:
        """Upload a document unless it is there."""
        from io import BytesIO

        return self._send(key, BytesIO(data), len(data))

    def get_bytes(self, key: str) -> bytes:
        """Download a document."""
        blob = self._blob(key)
        with gcs_faults(self.where, key):
            return bytes(blob.download_as_bytes(**_options()))

    def size(self, key: str) -> int | None:
        """Ask for an object's length."""
        blob = self._blob(key)
        with gcs_faults(self.where, key):
            found = blob.bucket.get_blob(blob.name, **_options())
            return None if found is None else int(found.size)

    def keys(self, prefix: str) -> Iterator[str]:
        """List the bucket's part, a thousand at a time."""
        client = self._client
        with gcs_faults(self.where, prefix):
            found = client.list_blobs(
                self._bucket.name,
                prefix=self._bucket.beginning(prefix),
                page_size=self.page_size,
                fields="items(name),nextPageToken",
                **_options(),
            )
            for blob in found:
                key = self._bucket.key(blob.name)
                if key is not None:
                    yield key

    def delete(self, key: str) -> None:
        """Delete the object."""
        blob = self._blob(key)
        with suppress(MissingObjectError), gcs_faults(self.where, key):
            blob.delete(**_options())

    def signed_url(self, key: str, *, expires: int) -> str:
        """Give the object's address with a V4 signature for GET: by the service account's key, or by Google's IAM."""
        check_expiry(expires)
        blob = self._blob(key)
        with gcs_faults(self.where, key):
            return hidden(
                blob.generate_signed_url(
                    version="v4", method="GET", expiration=timedelta(seconds=expires), **self._signer()
                )
            )

    def _signer(self) -> dict[str, Any]:
        from google.auth.credentials import Signing

        credentials = self._client._credentials  # noqa: SLF001  what the client itself signs with
        if isinstance(credentials, Signing):
            return {}
        if getattr(credentials, "service_account_email", ""):  # a machine's own account: Google signs for it
            from google.auth.transport.requests import Request

            if not credentials.valid:
                credentials.refresh(Request())
            hide(credentials.token)
            return {"service_account_email": credentials.service_account_email, "access_token": credentials.token}
        raise CredentialsError(
            f"these credentials cannot sign addresses in {self.where}: they are not a service account's",
            remedy=f"{ADVICE}, or gcloud auth application-default login --impersonate-service-account=...",
        )

    def _send(self, key: str, file: Any, size: int | None = None) -> bool:
        blob = self._blob(key)
        blob.chunk_size = PART
        with gcs_faults(self.where, key):
            try:
                blob.upload_from_file(
                    file,
                    size=file.size if size is None else size,
                    content_type="application/json" if key.endswith(".json") else "application/octet-stream",
                    if_generation_match=0,
                    **_options(),
                )
            except Exception as error:
                if status_of(error) == 412:  # taken, also by an earlier try of ours whose answer was lost
                    return False
                raise
        return True

    def _blob(self, key: str) -> Any:
        name = self._bucket.object_name(key)
        return self._client.bucket(self._bucket.name).blob(name)

    @property
    def _client(self) -> Any:
        with self._guard:
            return self._made

    @cached_property
    def _made(self) -> Any:
        from hermetic.store.objects.opening import needs

        with needs("gcs", "google-cloud-storage"):
            import google.auth
            import requests
            from google.auth.credentials import AnonymousCredentials
            from google.auth.transport.requests import AuthorizedSession, Request
            from google.cloud.storage import Client
        with gcs_faults(self.where, ""):
            if os.environ.get("STORAGE_EMULATOR_HOST") and not os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
                credentials = AnonymousCredentials()
            else:
                credentials, _ = google.auth.default(scopes=[_SCOPE])
            asking = requests.Session()
            if trusted := manners().certificates:
                asking.verify = trusted
            session = AuthorizedSession(credentials, auth_request=Request(asking))
            session.verify = asking.verify
            client = Client(project=None, credentials=credentials, _http=session)
        hush("google", "urllib3", "requests")
        return client


def _options() -> dict[str, Any]:
    """Give the options of a request."""
    from google.api_core.retry import Retry

    asked = manners()
    again = Retry(predicate=counted(asked.retries), initial=0.5, maximum=10, multiplier=2, timeout=None)
    return {"timeout": (asked.connect, asked.timeout), "retry": again}
