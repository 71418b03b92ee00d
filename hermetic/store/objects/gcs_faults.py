"""What Google Cloud Storage and its client complain about, in a user's terms; and which complaints may pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hermetic.errors import CredentialsError, HermeticError, NetworkError, UsageError
from hermetic.secrets import redact
from hermetic.store.objects.model import missing

ADVICE = "set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file"
_LATER = {408, 429, 500, 502, 503, 504}
_QUERY = re.compile(r"\?[^\s'\"]+")


@contextmanager
def gcs_faults(where: str, key: str) -> Iterator[None]:
    """Turn what the client raises inside the block into errors of ours."""
    import requests
    import urllib3
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from google.cloud.storage import exceptions as media

    try:
        yield
    except HermeticError:
        raise
    except (auth.TransportError, requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise NetworkError(f"{where}: {_short(error)}", remedy="check the connection, or try again later") from None
    except auth.DefaultCredentialsError as error:
        raise CredentialsError(f"no credentials for {where}: {_short(error)}", remedy=_to_write()) from None
    except auth.GoogleAuthError as error:
        raise CredentialsError(f"{where}: the credentials are refused: {_short(error)}", remedy=_to_write()) from None
    except (api.GoogleAPIError, media.InvalidResponse) as error:
        raise _refused(error, where, key) from None
    except media.DataCorruption:
        raise NetworkError(
            f"{where}: {key} arrived damaged, and was taken back", remedy="run the command again"
        ) from None
    except ValueError as error:
        raise UsageError(f"{where}: {_short(error)}", remedy="check 'artefacts' and STORAGE_EMULATOR_HOST") from None


def counted(retries: int) -> Callable[[Exception], bool]:
    """Give what tells whether a failure is worth another try, so many times."""
    left = retries

    def again(error: Exception) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and _may_pass(error)

    return again


def status_of(error: Exception) -> int:
    """Give the HTTP status that an error tells; 0 if none."""
    found = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "code", None)
    return int(found) if isinstance(found, int) else 0


def _may_pass(error: Exception) -> bool:
    import requests
    import urllib3
    from google.auth.exceptions import TransportError

    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, ConnectionError)
    return isinstance(error, (*broken, urllib3.exceptions.HTTPError, TransportError)) or status_of(error) in _LATER


def _refused(error: Exception, where: str, key: str) -> HermeticError:
    status, text = status_of(error), _short(error)
    if status == 404 and "bucket does not exist" in text:
        return UsageError(
            f"{where}: there is no such bucket", remedy="check its name, or make it: gcloud storage buckets create"
        )
    if status == 404:
        return missing(key, where)
    if status in {401, 403}:
        return CredentialsError(f"{where}: access is refused ({status}): {text}", remedy=_to_write())
    return NetworkError(f"{where}: {status or ''} {text}", remedy="try again later, or ask who keeps the bucket")


def _to_write() -> str:
    return f"{ADVICE}, or gcloud auth application-default login; the role Storage Object User is needed"


def _short(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error).partition("\n")[0]
    return redact(_QUERY.sub("", text)).strip().rstrip(".")
