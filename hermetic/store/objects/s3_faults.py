"""What S3 and its client complain about, in a user's terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hermetic.errors import CredentialsError, HermeticError, MachineError, NetworkError, UsageError
from hermetic.secrets import redact
from hermetic.store.objects.model import missing

_REFUSED = {
    "AccessDenied", "AccountProblem", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity",
    "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired",
}  # fmt: skip
_REGION = {"PermanentRedirect", "IllegalLocationConstraintException", "AuthorizationHeaderMalformed"}
_ADVICE = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or AWS_PROFILE; they need s3:GetObject, "
    "s3:PutObject and s3:ListBucket there"
)


@contextmanager
def s3_faults(where: str, key: str) -> Iterator[None]:
    """Turn what botocore raises inside the block into errors of ours."""
    from botocore import exceptions

    try:
        yield
    except HermeticError:
        raise
    except exceptions.ClientError as error:
        raise _refused(error.response, where, key) from None
    except exceptions.ProfileNotFound:
        raise CredentialsError(
            f"{where}: AWS_PROFILE names a profile that is not configured",
            remedy="set AWS_PROFILE to one of ~/.aws/config, or unset it",
        ) from None
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.UnauthorizedSSOTokenError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
    ) as error:
        reason = redact(str(error))
        raise CredentialsError(f"no credentials for {where}: {reason}", remedy=_ADVICE) from None
    except (exceptions.ParamValidationError, exceptions.InvalidConfigError, exceptions.InvalidRegionError) as error:
        raise UsageError(
            f"{where}: {redact(str(error))}", remedy="check 'artefacts' and the AWS configuration"
        ) from None
    except ValueError as error:  # an endpoint that is no URL
        raise UsageError(
            f"{where}: {redact(str(error))}", remedy="check AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL"
        ) from None
    except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
        raise _unreachable(error, where) from None
    except Exception as error:
        from urllib3.exceptions import HTTPError

        if isinstance(error, HTTPError):
            raise _unreachable(error, where) from None
        raise


def _unreachable(error: Exception, where: str) -> NetworkError:
    reason = redact(str(error)).strip().rstrip(".")
    return NetworkError(f"{where}: {reason}", remedy="check the connection and AWS_ENDPOINT_URL_S3, or try again later")


def _refused(response: dict[str, Any], where: str, key: str) -> HermeticError:
    found = response.get("Error", {})
    code, text = str(found.get("Code", "")), redact(str(found.get("Message", ""))).rstrip(".")
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return UsageError(f"{where}: there is no such bucket", remedy="check its name, or make it: aws s3 mb")
    if code == "NoSuchKey" or (status == 404 and key):
        return missing(key, where)
    if code == "RequestTimeTooSkewed":
        return MachineError(f"{where}: this machine's clock is wrong: {text}", remedy="set the clock")
    if status == 501:
        return UsageError(
            f"{where}: the server does not know conditional writes (If-None-Match)",
            remedy="use a newer one: without them two who write at once would undo each other's work",
        )
    if code in _REGION or status == 301:
        return UsageError(f"{where}: the bucket is in another region", remedy="set AWS_REGION to the bucket's region")
    if code in _REFUSED or status in {401, 403} or code == "400":  # to HEAD no reason is given; 400 is an old token
        said = f" ({text})" if text and not code.isdecimal() else ": expired credentials, or a clock that is wrong?"
        return CredentialsError(
            f"{where}: access is refused: {code or status}{said}",
            remedy=_ADVICE,
        )
    return NetworkError(
        f"{where}: the server answers {status} {code}: {text}".rstrip(": "),
        remedy="try again later, or ask who keeps the bucket",
    )
