"""What Azure Blob and its client complain about, in a user's terms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hermetic.errors import CredentialsError, HermeticError, NetworkError, UsageError
from hermetic.secrets import redact
from hermetic.store.objects.model import missing

_QUERY = re.compile(r"\?[^\s'\"]+")


@contextmanager
def azure_faults(where: str, key: str, source: str, advice: str) -> Iterator[None]:
    """Turn what the SDK raises inside the block into errors of ours; ``source`` is where the credentials are from."""
    from azure.core import exceptions

    try:
        yield
    except HermeticError:
        raise
    except exceptions.HttpResponseError as error:
        raise _refused(error, where, key, source, advice) from None
    except exceptions.AzureError as error:
        raise NetworkError(f"{where}: {_short(error)}", remedy="check the connection, or try again later") from None
    except ValueError as error:
        raise UsageError(
            f"{where}: {_short(error)}", remedy="check 'artefacts' and the AZURE_STORAGE_ variables"
        ) from None


def _refused(error: Any, where: str, key: str, source: str, advice: str) -> HermeticError:
    status, code = error.status_code or 0, str(getattr(error, "error_code", None) or "")
    code = code.rpartition(".")[2]
    if code in {"ContainerNotFound", "CONTAINER_NOT_FOUND"}:
        return UsageError(
            f"{where}: there is no such container", remedy="check its name, or make it: az storage container create"
        )
    if status == 404:
        return missing(key, where)
    if status in {401, 403} or not status:
        return CredentialsError(
            f"{where}: access is refused by what {source} says: {code or status or _short(error)}",
            remedy=f"{advice} (for identities, the role Storage Blob Data Contributor is needed)",
        )
    return NetworkError(
        f"{where}: the server answers {status} {code}".rstrip(), remedy="try again later, or ask who keeps the account"
    )


def _short(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error).partition("\n")[0]
    return redact(_QUERY.sub("", text)).strip().rstrip(".")
