"""S3 on loopback: moto behind a proxy that verifies every signature (moto does not), as AWS describes it.

with s3_server() as server:
    server.environment          # what AWS clients need to be told
    server.make_bucket("team")
    server.later(3600)          # the server's clock goes ahead: signed URLs expire
    server.faults.append(...)   # see support.forwarding
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from support.forwarding import Fault, Way, forwarding
from support.needs import require

ACCESS, SECRET, REGION = "AKIDEXAMPLE", "a/secret+key", "eu-north-1"


@dataclass
class S3Server:
    """A running server; ``seen`` and ``faults`` are as those of support.forwarding."""

    way: Way
    ahead: float = 0.0

    @property
    def seen(self) -> list[tuple[str, str, int]]:
        return self.way.seen

    @property
    def faults(self) -> list[Fault]:
        return self.way.faults

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.way.url,
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def later(self, seconds: float) -> None:
        """Let the server's clock be ahead of ours."""
        self.ahead = seconds

    def make_bucket(self, name: str) -> None:
        """Make a bucket behind the proxy's back."""
        body = (
            '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        )
        assert self.ask("PUT", f"/{name}", body.encode())[0] == 200

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Ask moto itself, as the bucket's owner would."""
        scope = f"{ACCESS}/20260101/{REGION}/s3/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        connection = http.client.HTTPConnection(self.way.behind)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run moto and the proxy while the block runs, on free ports."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        require(False, "moto is not installed")
        raise
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        with forwarding(":".join(map(str, moto.get_host_and_port()))) as way:
            server = S3Server(way)
            way.writing = threading.Lock()  # between moto's look and its write there is room for another's
            way.headers["x-amz-bucket-region"] = REGION  # S3 tells it to everybody, with a refusal too

            def judge(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
                problem = signature_problem(method, path, headers, body, time.time() + server.ahead)
                if problem is None:
                    return None
                text = f"<Error><Code>{problem[0]}</Code><Message>{problem[1]}</Message></Error>"
                return 400 if problem[0] == "AuthorizationHeaderMalformed" else 403, text.encode()

            way.judge = judge
            yield server
    finally:
        moto.stop()


def signature_problem(
    method: str, target: str, headers: dict[str, str], body: bytes, now: float
) -> tuple[str, str] | None:
    """Give what is wrong with a request's Signature Version 4 (AWS, "Signature Calculations"): code and text."""
    parts = urlsplit(target)
    query = parse_qsl(parts.query, keep_blank_values=True)
    sent = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    asked = dict(query)
    if "X-Amz-Signature" in asked:
        if len(asked) != len(query):
            return "InvalidArgument", "a parameter stands twice"
        claim, moment = asked, asked.get("X-Amz-Date", "")
        query = [(name, value) for name, value in query if name != "X-Amz-Signature"]
        payload = "UNSIGNED-PAYLOAD"
        if asked.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
            return "AuthorizationQueryParametersError", "algorithm"
        until = _moment(moment) + int(asked["X-Amz-Expires"])
        if now > until:
            return "AccessDenied", "Request has expired"
    elif found := re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})",
        sent.get("authorization", ""),
    ):
        claim = {"X-Amz-Credential": found[1], "X-Amz-SignedHeaders": found[2], "X-Amz-Signature": found[3]}
        moment = sent.get("x-amz-date", "")
        payload = sent.get("x-amz-content-sha256", "")
        if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch", "the body is not the one that was signed"
        if abs(now - _moment(moment)) > 900:
            return "RequestTimeTooSkewed", "the clocks differ"
    else:
        return "AccessDenied", "not signed"
    access, day, region, service, last = claim["X-Amz-Credential"].split("/")
    if access != ACCESS:
        return "InvalidAccessKeyId", "no such key"
    if (service, last, region) != ("s3", "aws4_request", REGION) or not moment.startswith(day):
        return "AuthorizationHeaderMalformed", f"the region is {REGION}"
    signed = claim["X-Amz-SignedHeaders"].split(";")
    if "host" not in signed or any(name.startswith("x-amz-") and name not in signed for name in sent):
        return "AccessDenied", "headers that were not signed"
    canonical = "\n".join([
        method,
        quote(unquote(parts.path), safe="/-_.~"),
        "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)),
        *(f"{name}:{sent.get(name, '')}" for name in signed),
        "",
        ";".join(signed),
        payload,
    ])  # fmt: skip
    scope = f"{day}/{region}/{service}/{last}"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, last):
        key = hmac.digest(key, part.encode(), "sha256")
    if hmac.new(key, text.encode(), "sha256").hexdigest() != claim["X-Amz-Signature"]:
        return "SignatureDoesNotMatch", "the signature does not match"
    if body and "x-amz-checksum-sha256" in sent:
        from base64 import b64encode

        if b64encode(hashlib.sha256(body).digest()).decode() != sent["x-amz-checksum-sha256"]:
            return "BadDigest", "the checksum is wrong"
    return None


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
