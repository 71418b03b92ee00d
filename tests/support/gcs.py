"""As much of Google Cloud Storage on loopback as its own client needs, which verifies tokens and V4 signatures.

with gcs_server(tmp_path) as server:
    server.environment          # what Google's clients need to be told; a service account's key file is in it
    server.buckets["team"] = {}
    server.later(3600)          # the server's clock goes ahead: signed URLs expire
    server.faults.append(...)   # (method, path) -> a status, or "drop"
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

EMAIL = "robot@team.example.org"
Fault = Callable[[str, str], int | str | None]


@dataclass
class GcsServer:
    """A running server; ``seen`` are the (method, raw path with query, status) of all requests."""

    url: str
    key: rsa.RSAPrivateKey
    key_file: Path
    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    sessions: dict[str, tuple[str, str, bytearray, bool]] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)
    ahead: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.key_file),
            "NO_GCE_CHECK": "true",
        }

    def later(self, seconds: float) -> None:
        """Let the server's clock be ahead of ours."""
        self.ahead = seconds


@contextmanager
def gcs_server(folder: Path) -> Iterator[GcsServer]:
    """Run the server while the block runs, on a free port."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    listening.daemon_threads = True
    url = f"http://127.0.0.1:{listening.server_port}"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file = folder / "service-account.json"
    account = {
        "type": "service_account", "project_id": "team", "private_key_id": "1", "private_key": pem.decode(),
        "client_email": EMAIL, "client_id": "1", "token_uri": f"{url}/token",
    }  # fmt: skip
    key_file.write_text(json.dumps(account))
    server = GcsServer(url, key, key_file)
    listening.gcs = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Answer(Exception):  # noqa: N818  ends a request
    def __init__(self, status: int, body: bytes | dict[str, Any] | str = b"", **headers: str) -> None:
        super().__init__(status)
        self.status = status
        if isinstance(body, str):
            body = {"error": {"code": status, "message": body}}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        gcs: GcsServer = self.server.gcs  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        faults = [fault(self.command, self.path) for fault in list(gcs.faults)]
        if "drop" in faults:
            self.close_connection = True
            return
        try:
            self._serve(gcs, body, next((int(fault) for fault in faults if fault), 0))
        except _Answer as answer:
            gcs.seen.append((self.command, self.path, answer.status))
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _serve(self, gcs: GcsServer, body: bytes, fault: int) -> None:
        if fault:
            raise _Answer(fault, "not now")
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.path == "/token":
            self._token(gcs, body)
        if not re.match(r"/(upload/|download/)?storage/v1/", parts.path):
            self._signed(gcs, parts.path, query)
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in gcs.tokens:
            raise _Answer(401, "Invalid Credentials")
        found = re.fullmatch(r"/(upload/|download/)?storage/v1/b/([^/]+)/o(?:/([^/]+))?", parts.path)
        if not found:
            raise _Answer(400, f"not known here: {self.command} {self.path}")
        bucket, name = unquote(found[2]), unquote(found[3] or "")
        if bucket not in gcs.buckets:
            raise _Answer(404, "The specified bucket does not exist.")
        objects = gcs.buckets[bucket]
        if found[1] == "upload/":
            self._upload(gcs, bucket, query, body)
        elif not name:
            self._list(objects, query)
        elif name not in objects:
            raise _Answer(404, f"No such object: {bucket}/{name}")
        elif self.command == "DELETE":
            del objects[name]
            raise _Answer(204)
        elif query.get("alt") == "media":
            raise _Answer(200, objects[name], X_Goog_Hash=f"crc32c={_crc32c(objects[name])}")
        else:
            raise _Answer(200, _metadata(name, objects[name]))

    def _token(self, gcs: GcsServer, body: bytes) -> None:
        """Give a token for an assertion that the account's key signed (RFC 7523)."""
        head, claims, signature = dict(parse_qsl(body.decode()))["assertion"].split(".")
        try:
            gcs.key.public_key().verify(
                _unpadded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            raise _Answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}) from None
        assert json.loads(_unpadded(claims))["iss"] == EMAIL
        token = f"ya29.{uuid.uuid4().hex}"
        gcs.tokens.add(token)
        raise _Answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _upload(self, gcs: GcsServer, bucket: str, query: dict[str, str], body: bytes) -> None:
        only_new = query.get("ifGenerationMatch") == "0"
        if query["uploadType"] == "multipart":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            told, data = (part.get_payload(decode=True) for part in BytesParser().parsebytes(head + body).walk()
                          if not part.is_multipart())  # fmt: skip
            raw = body[body.index(b"\r\n\r\n", body.index(b"\r\n\r\n") + 4) + 4 : body.rindex(b"\r\n--")]
            assert len(raw) >= len(data)
            about = json.loads(told)
            if about.get("crc32c", _crc32c(raw)) != _crc32c(raw):
                raise _Answer(400, "Provided CRC32C does not match")
            self._keep(gcs, bucket, about["name"], raw, only_new=only_new)
        if "upload_id" not in query:
            session = uuid.uuid4().hex
            gcs.sessions[session] = (bucket, json.loads(body)["name"], bytearray(), only_new)
            raise _Answer(200, Location=f"{gcs.url}{self.path}&upload_id={session}")
        bucket, name, data, only_new = gcs.sessions[query["upload_id"]]
        first, last, total = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", self.headers["Content-Range"]).groups()  # type: ignore[union-attr]
        assert int(first) == len(data)
        assert int(last) - int(first) + 1 == len(body)
        data += body
        if total == "*" or len(data) < int(total):
            raise _Answer(308, Range=f"bytes=0-{len(data) - 1}")
        self._keep(gcs, bucket, name, bytes(data), only_new=only_new)

    def _keep(self, gcs: GcsServer, bucket: str, name: str, data: bytes, *, only_new: bool) -> None:
        with gcs.guard:
            if only_new and name in gcs.buckets[bucket]:
                raise _Answer(412, "At least one of the pre-conditions you specified did not hold.")
            gcs.buckets[bucket][name] = data
        raise _Answer(200, _metadata(name, data))

    def _list(self, objects: dict[str, bytes], query: dict[str, str]) -> None:
        names = sorted(name for name in objects if name.startswith(query.get("prefix", "")))
        names = [name for name in names if name > query.get("pageToken", "")]
        most = int(query.get("maxResults", 1000))
        page: dict[str, Any] = {"items": [{"name": name} for name in names[:most]]}
        if len(names) > most:
            page["nextPageToken"] = names[most - 1]
        raise _Answer(200, page)

    def _signed(self, gcs: GcsServer, path: str, query: dict[str, str]) -> None:
        """Serve the XML API's object GET to a V4 signature (Google, "V4 signing process")."""
        problem = self._problem(gcs, path, query)
        if problem:
            raise _Answer(403, f"<Error><Code>{problem}</Code></Error>".encode(), Content_Type="application/xml")
        _, bucket, name = unquote(path).split("/", 2)
        data = gcs.buckets.get(bucket, {}).get(name)
        if data is None:
            raise _Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", Content_Type="application/xml")
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
            raise _Answer(206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}")
        raise _Answer(200, data)

    def _problem(self, gcs: GcsServer, path: str, query: dict[str, str]) -> str:
        if query.get("X-Goog-Algorithm") != "GOOG4-RSA-SHA256":
            return "AccessDenied"
        moment = query["X-Goog-Date"]
        started = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        if time.time() + gcs.ahead > started + int(query["X-Goog-Expires"]):
            return "ExpiredToken"
        email, scope = query["X-Goog-Credential"].split("/", 1)
        if email != EMAIL or scope != f"{moment[:8]}/auto/storage/goog4_request":
            return "AccessDenied"
        pairs = sorted((name, value) for name, value in query.items() if name != "X-Goog-Signature")
        canonical = "\n".join([
            self.command,
            path,
            "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs),
            *(f"{name}:{self.headers[name].strip()}" for name in query["X-Goog-SignedHeaders"].split(";")),
            "",
            query["X-Goog-SignedHeaders"],
            "UNSIGNED-PAYLOAD",
        ])  # fmt: skip
        text = f"GOOG4-RSA-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        try:
            signature = bytes.fromhex(query.get("X-Goog-Signature", ""))
            gcs.key.public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return "SignatureDoesNotMatch"
        return ""


def _metadata(name: str, data: bytes) -> dict[str, Any]:
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    return {"name": name, "size": str(len(data)), "generation": "1", "crc32c": _crc32c(data), "md5Hash": md5}


def _crc32c(data: bytes) -> str:
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
