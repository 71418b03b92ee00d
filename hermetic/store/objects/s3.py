"""Artefacts in S3, or in what speaks like it (MinIO, Ceph, R2 ...), by AWS's own client and its configuration.

Credentials, region and endpoint are where all AWS clients look for them: ``AWS_*`` variables, profiles, roles. What
is there is not overwritten: writes carry ``If-None-Match: *``. A large file is sent in parts and completed by one
request once its sha256 is known to be right, so nobody ever sees a part of it.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from hashlib import sha256 as hash_sha256
from pathlib import Path
from typing import Any

from hermetic.events import SILENT, Reporter
from hermetic.store.objects.bucket import Bucket
from hermetic.store.objects.hushing import hush
from hermetic.store.objects.manners import manners
from hermetic.store.objects.model import check_expiry, hidden
from hermetic.store.objects.reading import PART, Outgoing, put_file, send_parts
from hermetic.store.objects.s3_faults import s3_faults

_ANY_REGION = "us-east-1"
_MAYBE_TAKEN = {404, 409, 412}
"""Answers to a write where there is something already; 404 if it was an earlier try of ours that ended the upload."""
_OF_A_PART = ("ETag", "ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256")


class S3Objects:
    """Objects in a part of an S3 bucket. The client is made at the first use."""

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
        return put_file(self, key, path, sha256=sha256, reporter=reporter, send=lambda file: self._send(key, file))

    def put_bytes(self, key: str, data: bytes) -> bool:
        """Upload a document unless it is there."""
        client, target = self._object(key)
        digest = b64encode(hash_sha256(data).digest()).decode()
        return self._unless_taken(
            key,
            lambda: client.put_object(
                **target, Body=data, ContentType=_type(key), ChecksumSHA256=digest, IfNoneMatch="*"
            ),
        )

    def get_bytes(self, key: str) -> bytes:
        """Download a document."""
        client, target = self._object(key)
        for again in reversed(range(manners().retries + 1)):
            with s3_faults(self.where, key):
                try:
                    with client.get_object(**target)["Body"] as body:
                        return bytes(body.read())
                except _broken_off():
                    if not again:
                        raise
        raise AssertionError

    def size(self, key: str) -> int | None:
        """Ask for an object's length."""
        client, target = self._object(key)
        with s3_faults(self.where, key):
            try:
                return int(client.head_object(**target)["ContentLength"])
            except client.exceptions.ClientError as error:
                if _status(error) == 404:
                    return None
                raise

    def keys(self, prefix: str) -> Iterator[str]:
        """List the bucket's part, a thousand at a time."""
        client = self._client
        with s3_faults(self.where, prefix):
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name,
                Prefix=self._bucket.beginning(prefix),
                PaginationConfig={"PageSize": self.page_size},
            )
            for page in pages:
                found = (self._bucket.key(item["Key"]) for item in page.get("Contents", ()))
                yield from (key for key in found if key is not None)

    def delete(self, key: str) -> None:
        """Delete the object."""
        client, target = self._object(key)
        with s3_faults(self.where, key):
            client.delete_object(**target)

    def signed_url(self, key: str, *, expires: int) -> str:
        """Presign a GET (Signature Version 4). It holds no longer than the credentials that sign it."""
        check_expiry(expires)
        client, target = self._object(key)
        with s3_faults(self.where, key):
            return hidden(client.generate_presigned_url("get_object", Params=target, ExpiresIn=expires))

    def _send(self, key: str, file: Outgoing) -> bool:
        if file.size <= PART:
            return self.put_bytes(key, file.read())
        client, target = self._object(key)
        with s3_faults(self.where, key):
            target["UploadId"] = client.create_multipart_upload(**target, ContentType=_type(key))["UploadId"]

        def send(number: int, piece: bytes) -> dict[str, Any]:
            with s3_faults(self.where, key):
                sent = client.upload_part(**target, PartNumber=number, Body=piece)
            return {"PartNumber": number, **{name: sent[name] for name in _OF_A_PART if name in sent}}

        done = False
        try:
            parts = {"Parts": send_parts(file, send)}
            done = self._unless_taken(
                key, lambda: client.complete_multipart_upload(**target, MultipartUpload=parts, IfNoneMatch="*")
            )
        finally:
            if not done:
                with suppress(Exception):  # the bucket's own rules for what was never completed do it too
                    client.abort_multipart_upload(**target)
        return done

    def _unless_taken(self, key: str, act: Callable[[], object]) -> bool:
        """Write; False if the key is taken, also by an earlier try of ours whose answer was lost."""
        client = self._client
        with s3_faults(self.where, key):
            try:
                act()
            except client.exceptions.ClientError as error:
                if _status(error) not in _MAYBE_TAKEN or self.size(key) is None:
                    raise
                return False
        return True

    def _object(self, key: str) -> tuple[Any, dict[str, str]]:
        name = self._bucket.object_name(key)
        return self._client, {"Bucket": self._bucket.name, "Key": name}

    @property
    def _client(self) -> Any:
        with self._guard:
            return self._made

    @cached_property
    def _made(self) -> Any:
        from hermetic.store.objects.opening import needs

        with needs("s3", "botocore"):
            import botocore.session
        session = botocore.session.Session()
        with s3_faults(self.where, ""):
            region = session.get_config_variable("region") or _ANY_REGION
            client = _make(session, region)
            hush("botocore", "urllib3")
            if (found := self._region(client)) not in {None, region}:  # a signed URL must name the right one
                client = _make(session, found)
        return client

    def _region(self, client: Any) -> str | None:
        """Ask where the bucket is: S3 tells it also to those whom it lets in nowhere else."""
        try:
            answer = client.head_bucket(Bucket=self._bucket.name)
        except client.exceptions.ClientError as error:
            answer = error.response
        found = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
        return str(found) if found else None


def _make(session: Any, region: str) -> Any:
    from botocore.config import Config

    asked = manners()
    config = Config(
        signature_version="s3v4",
        connect_timeout=asked.connect,
        read_timeout=asked.timeout,
        retries={"mode": "standard", "total_max_attempts": asked.retries + 1},
        user_agent_extra="hermetic",
    )
    verify = session.get_config_variable("ca_bundle") or asked.certificates or None
    return session.create_client("s3", region_name=region, config=config, verify=verify)


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _type(key: str) -> str:
    return "application/json" if key.endswith(".json") else "application/octet-stream"


def _broken_off() -> tuple[type[Exception], ...]:
    from botocore import exceptions
    from urllib3.exceptions import HTTPError

    return (exceptions.ResponseStreamingError, exceptions.IncompleteReadError, exceptions.ReadTimeoutError, HTTPError)
