"""More ways for ``support.faulty`` to misbehave: redirects, servers that cannot resume, trickles, bearer tokens."""

from __future__ import annotations

from typing import Any

from support.faulty import Fault, status

__all__ = ["bearer", "chunked", "redirect", "trickle", "whole", "wrong_range"]


def redirect(target: str, code: int = 302) -> Fault:
    """Send the client to another address."""
    return status(code, {"Location": target})


def whole(handler: Any) -> None:
    """Answer every range with all of the file, as servers may that do not know ranges."""
    del handler.headers["Range"]
    handler.behave()


def wrong_range(handler: Any) -> None:
    """Answer a range with another one."""
    if not handler.headers.get("Range"):
        handler.behave()
        return
    honest = handler.honest()
    head = honest.head.replace(b"Content-Range: bytes ", b"Content-Range: bytes 1")
    handler.wfile.write(head + b"\r\n\r\n" + honest.body)


def trickle(handler: Any) -> None:
    """Send one byte at a time, slower than anybody can wait for."""
    honest = handler.honest()
    handler.wfile.write(honest.head + b"\r\n\r\n")
    for position in range(len(honest.body)):
        handler.wfile.write(honest.body[position : position + 1])
        handler.wfile.flush()
        if handler.server_state.closing.wait(0.05):
            break
    handler.close_connection = True


def chunked(share: float = 1.0) -> Fault:
    """Send a share of the body in chunks, without saying before how long it is (RFC 9112, 7.1)."""

    def answer(handler: Any) -> None:
        honest = handler.honest()
        lines = [line for line in honest.head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        handler.wfile.write(b"\r\n".join(lines) + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = honest.body[: int(len(honest.body) * share)]
        for start in range(0, len(body), 10_000):
            piece = body[start : start + 10_000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if share == 1.0:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.close_connection = True

    return answer


def bearer(token: str) -> Fault:
    """Demand a bearer token."""

    def answer(handler: Any) -> None:
        if handler.headers.get("Authorization") == f"Bearer {token}":
            handler.behave()
        else:
            status(401, {"WWW-Authenticate": "Bearer"})(handler)

    return answer
