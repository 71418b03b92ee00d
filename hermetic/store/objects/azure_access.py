"""Who we are to Azure Blob: what the environment says, in the variables that ``az`` and the SDKs read.

First found wins: ``AZURE_STORAGE_CONNECTION_STRING``, ``AZURE_STORAGE_KEY``, ``AZURE_STORAGE_SAS_TOKEN`` (which cannot
sign for others), then azure-identity's default chain if it is installed (``AZURE_CLIENT_ID`` and the like, a managed
identity, ``az login``), whose addresses are signed by a user delegation key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hermetic.errors import CredentialsError, UsageError
from hermetic.secrets import hide
from hermetic.store.objects.bucket import Bucket
from hermetic.store.objects.model import hidden

STRING, KEY, TOKEN = "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"
ENDPOINT = "AZURE_STORAGE_SERVICE_ENDPOINT"
ADVICE = f"set {STRING}, or {KEY}"


@dataclass(frozen=True)
class AzureAccess:
    """Where an account answers, and how to ask it. ``key`` is the account's own, if that is known."""

    endpoint: str
    source: str
    credential: Any = field(repr=False)
    key: str = field(default="", repr=False)


def azure_access(bucket: Bucket, environ: Mapping[str, str] | None = None) -> AzureAccess:
    """Find the access to an account. Raises CredentialsError naming the variables, UsageError for unsound ones."""
    environ = os.environ if environ is None else environ
    endpoint = environ.get(ENDPOINT, "") or f"https://{bucket.account}.blob.core.windows.net"
    if text := environ.get(STRING, "").strip():
        return _from_string(text, bucket)
    named = environ.get("AZURE_STORAGE_ACCOUNT", "").strip()
    if key := environ.get(KEY, "").strip():
        if named and named != bucket.account:
            raise _other(bucket, named, "AZURE_STORAGE_ACCOUNT")
        return _with_key(endpoint, bucket.account, key, KEY)
    if token := environ.get(TOKEN, "").strip().lstrip("?"):
        hidden(f"https://x/?{token}")
        return AzureAccess(endpoint, TOKEN, token)
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise CredentialsError(
            f"no credentials for {bucket.where}",
            remedy=f"{ADVICE}; or pip install azure-identity, and az login",
        ) from None
    return AzureAccess(endpoint, "azure-identity", DefaultAzureCredential())


def _from_string(text: str, bucket: Bucket) -> AzureAccess:
    values = {}
    for item in text.split(";"):
        name, equals, value = item.partition("=")
        if item and not equals:
            raise UsageError(f"{STRING} is no connection string", remedy="copy it anew: az storage account "
                             "show-connection-string")  # fmt: skip
        values[name.strip().lower()] = value.strip()
    account = values.get("accountname", "")
    if account and account != bucket.account:
        raise _other(bucket, account, STRING)
    suffix = values.get("endpointsuffix", "core.windows.net")
    scheme = values.get("defaultendpointsprotocol", "https")
    endpoint = values.get("blobendpoint", "") or f"{scheme}://{bucket.account}.blob.{suffix}"
    if key := values.get("accountkey", ""):
        return _with_key(endpoint, bucket.account, key, STRING)
    if token := values.get("sharedaccesssignature", "").lstrip("?"):
        hidden(f"https://x/?{token}")
        return AzureAccess(endpoint, STRING, token)
    raise CredentialsError(f"{STRING} holds neither AccountKey nor SharedAccessSignature", remedy="copy it anew")


def _with_key(endpoint: str, account: str, key: str, source: str) -> AzureAccess:
    import binascii
    from base64 import b64decode

    hide(key)
    try:
        b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise CredentialsError(
            f"the account's key in {source} is not base64", remedy="copy it anew: az storage account keys list"
        ) from None
    return AzureAccess(endpoint, source, {"account_name": account, "account_key": key}, key)


def _other(bucket: Bucket, account: str, variable: str) -> CredentialsError:
    return CredentialsError(
        f"{variable} is for the account {account!r}, and the artefacts are in {bucket.where}",
        remedy=f"set {variable} to what belongs to {bucket.account!r}",
    )
