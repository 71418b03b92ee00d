"""A token server for registries (the token specification of Distribution): the real registry checks what it gives.

It gives tokens by GET (anonymous, or Basic) and by POST (an identity token, as OAuth 2 refreshes). Anybody may pull
what is in ``public/``; the user may do everything.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.needs import require

SERVICE = "registry for tests"


@dataclass
class TokenServer:
    """A running token server: its ``realm``, who may have tokens, and the scopes that were asked for."""

    folder: Path
    user: str = ""
    password: str = ""
    identity: str = ""
    lifetime: int = 300
    realm: str = ""
    asked: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    """(method, scopes, who) of every request."""

    def registry_settings(self) -> dict[str, str]:
        """Give what goes into a registry's ``auth.token``."""
        return {
            "realm": self.realm,
            "service": SERVICE,
            "issuer": "tests",
            "rootcertbundle": str(self.folder / "token.crt"),
        }

    def token(self, scopes: tuple[str, ...], *, anonymous: bool) -> str:
        """Give a signed token for what may be had of the scopes."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = [a for a in actions.split(",") if not anonymous or (name.startswith("public/") and a == "pull")]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {"iss": "tests", "sub": "", "aud": SERVICE, "access": access, "jti": str(time.monotonic_ns())}
        claims |= {"iat": now - 5, "nbf": now - 5, "exp": now + self.lifetime}
        pem = (self.folder / "token.crt").read_text().splitlines()
        header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(pem[1:-1])]}
        body = ".".join(_url64(json.dumps(part).encode()) for part in (header, claims))
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.folder / "token.secret")]
        return body + "." + _url64(subprocess.run(command, input=body.encode(), capture_output=True, check=True).stdout)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, state: TokenServer, **kwargs: Any) -> None:
        self.state = state
        super().__init__(*args, **kwargs)

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        state = self.state
        query = parse_qs(urlsplit(self.path).query)
        sent = self.headers.get("Authorization", "")
        wanted = "Basic " + base64.b64encode(f"{state.user}:{state.password}".encode()).decode()
        if sent and (sent != wanted or not state.user):
            self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]})
            return
        self.give(query, "token", anonymous=not sent, who=state.user if sent else "")

    def do_POST(self) -> None:
        state = self.state
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        if form.get("grant_type") != ["refresh_token"] or form.get("refresh_token") != [state.identity]:
            self.answer(401, {"error": "invalid_grant"})
            return
        self.give(form, "access_token", anonymous=False, who="identity")

    def give(self, form: dict[str, list[str]], name: str, *, anonymous: bool, who: str) -> None:
        scopes = tuple(scope for text in form.get("scope", []) for scope in text.split(" "))
        self.state.asked.append((self.command, scopes, who))
        token = self.state.token(scopes, anonymous=anonymous)
        self.answer(200, {name: token, "expires_in": self.state.lifetime})

    def answer(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def token_server(folder: Path, *, user: str = "", password: str = "", identity: str = "") -> Iterator[TokenServer]:
    """Serve tokens on loopback while the block runs."""
    require(shutil.which("openssl"), "no openssl is installed")
    home = folder / f"tokens-{time.monotonic_ns()}"
    home.mkdir(parents=True)
    for name, data in _signer().items():
        (home / name).write_bytes(data)
    state = TokenServer(home, user, password, identity)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, state=state))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.realm = f"http://127.0.0.1:{server.server_port}/token"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def _signer() -> dict[str, bytes]:
    """Make a key and its certificate: once, because it takes its time."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=tokens -keyout token.secret -out token.crt"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}
