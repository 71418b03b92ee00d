"""One blob into a repository: mounted from another one, or sent; piece by piece if it is large, and resumed.

``POST uploads/?mount=D&from=R`` answers 201 (mounted) or 202 with the address of an upload. A small blob goes there by
one PUT. A large one goes by PATCHes with ``Content-Range`` and a closing PUT; after a cut the upload is asked (GET) how
far it came, also by a later process, which finds the address noted in the store. Registries may forget an upload that
was cut in the middle of a PATCH (Distribution 2 does): then it begins anew.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from hermetic import secrets
from hermetic.digest import key
from hermetic.errors import CredentialsError, IntegrityError, NetworkError
from hermetic.outputs.oci.blobs import chunks
from hermetic.outputs.oci.registry import Registry, absolute, said
from hermetic.store.http import Response, Stopped, Transient
from hermetic.store.uploads import UploadNote, forget_upload

if TYPE_CHECKING:
    from hermetic.outputs.oci.model import Blob
    from hermetic.store import Store

_LEAST = 1 << 20
"""Bytes of a PATCH that are not made fewer when a server says that they are too many (413)."""
_PIECE = 1 << 20
_OCTETS = "application/octet-stream"
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)\Z")


class _Gone(Exception):  # noqa: N818  never leaves this module
    """The registry does not know the upload (any more)."""


class _TooLarge(Exception):  # noqa: N818  never leaves this module
    """The registry, or something before it, takes only smaller bodies (413)."""


@dataclass(frozen=True)
class Target:
    """Where blobs go, and what the threads of one push share."""

    registry: Registry
    repository: str
    store: Store
    stop: threading.Event
    sent: Callable[[int], object]
    """Is told every byte that goes over the line, also those that go again."""
    chunk: int

    def scopes(self, *sources: str) -> tuple[str, ...]:
        """Give what a token must allow, to push here and to pull from sources of mounts."""
        more = (self.registry.scope(source) for source in sources)
        return (self.registry.scope(self.repository, push=True), *more)

    def has(self, digest: str, size: int) -> bool:
        """Ask whether a blob is there. Raises IntegrityError if something else is there under its digest."""
        url = self.registry.url(self.repository, "blobs", digest)
        found = self.registry.persist(
            f"{self.repository}@{digest}", lambda: self.registry.head(url, scopes=self.scopes()), self.stop
        )
        if found is None:
            return False
        if found.size not in {-1, size} or (found.digest and found.digest != digest):
            raise IntegrityError(
                f"{secrets.redact(url)}: the registry has something else there "
                f"({found.digest or 'no digest'}, {found.size} bytes instead of {size})",
                remedy="the registry's disk may be damaged: tell its keeper",
            )
        return True

    def note_key(self, digest: str) -> str:
        """Give the key of what is noted of a blob's upload."""
        name = {"registry": self.registry.address.url, "repository": self.registry.address.repository(self.repository)}
        return key("upload/1", {**name, "digest": digest})

    def over(self, digest: str) -> None:
        """Forget an upload that was begun: the blob is there, however it came."""
        forget_upload(self.store, self.note_key(digest))

    def mount(self, digest: str, sources: Iterable[str]) -> tuple[bool, str]:
        """Try to mount a blob from other repositories of this registry.

        Gives whether it is there now, and the address of the upload that the registry may have begun instead.
        """
        location = ""
        for source in sources:
            if source != self.repository:
                mounted, location = self._mount(digest, source)
                if mounted:
                    return True, ""
        return False, location

    def _mount(self, digest: str, source: str) -> tuple[bool, str]:
        query = urlencode({"mount": digest, "from": self.registry.address.repository(source)})
        url = self.registry.url(self.repository, "blobs", "uploads/") + f"?{query}"

        def once() -> tuple[bool, str]:
            with self.registry.ask("POST", url, {"Content-Length": "0"}, scopes=self.scopes(source)) as response:
                location = response.headers.get("Location", "") if response.status == 202 else ""
                return response.status == 201, absolute(response.url, location) if location else ""

        try:
            return self.registry.persist(f"{self.repository}@{digest}", once, self.stop)
        except CredentialsError:  # we may not read the other repository
            return False, ""


class Upload:
    """The sending of one blob; ``location`` is where an upload of it has begun already, if one has."""

    def __init__(
        self, target: Target, blob: Blob, what: str, advance: Callable[[int], object], location: str = ""
    ) -> None:
        self._target = target
        self._registry = target.registry
        self._blob = blob
        self._what = what
        self._advance = advance
        self._location = location
        self._offset = 0
        self._furthest = 0
        self._changed = False
        self._chunk = target.chunk
        self._resumed = False

    def run(self) -> None:
        """Send the blob. Raises NetworkError after the last try, IntegrityError if it is not what its digest says."""
        with UploadNote(self._target.store, self._target.note_key(self._blob.digest)) as note:
            if noted := str(note.read().get("location", "")):
                self._location = noted
            unsure = self._resumed = bool(noted)
            patience = self._registry.patience(self._what, self._target.stop)
            best, failed = 0, False
            while True:
                try:
                    if unsure:
                        self._ask_offset()
                    self._send(note)
                except Transient as failure:
                    if self._offset > best:
                        patience.progressed()
                    best = max(best, self._offset)
                    patience.failed(failure)
                    unsure = failed = bool(self._location)
                except _TooLarge:
                    self._chunk = max(_LEAST, min(self._chunk, self._blob.size) // 4)
                    self._forget(note)
                    unsure = False
                except _Gone:
                    self._forget(note)
                    if self._target.has(self._blob.digest, self._blob.size):  # only the answer was lost
                        self._count(self._blob.size)
                        return
                    if not failed:  # else it was counted already
                        patience.failed(Transient("the registry has forgotten the upload", 0.0))
                    unsure = failed = False
                else:
                    note.clear()
                    return

    def _forget(self, note: UploadNote) -> None:
        note.clear()
        self._location = ""
        self._offset = 0

    def _send(self, note: UploadNote) -> None:
        """Send what is missing."""
        size = self._blob.size
        if not self._location:
            self._begin()
        if size <= self._chunk and not self._offset:
            self._put(size)
            return
        while self._offset < size:
            self._patch(min(self._chunk, size - self._offset))
            note.write({"location": self._location})
        self._put(0)

    def _begin(self) -> None:
        url = self._registry.url(self._target.repository, "blobs", "uploads/")
        with self._registry.ask("POST", url, {"Content-Length": "0"}, scopes=self._target.scopes()) as response:
            if response.status == 404:
                raise NetworkError(
                    f"{self._what}: the registry takes nothing under this name (404){said(response)}",
                    remedy="check the name; some registries want a repository to be made before anything is pushed",
                )
            if response.status != 202:
                raise self._registry.unexpected(response, self._what)
            self._go_on(response)
            least = response.headers.get("OCI-Chunk-Min-Length", "")
            self._chunk = max(self._chunk, int(least)) if least.isdecimal() else self._chunk
        self._offset = 0
        self._resumed = False

    def _ask_offset(self) -> None:
        with self._registry.ask("GET", self._location, scopes=self._target.scopes()) as response:
            if response.status in {400, 404, 410}:
                raise _Gone
            if response.status not in {200, 202, 204}:
                raise self._registry.unexpected(response, self._what)
            self._go_on(response)
            self._offset = _received(response, 0)
        if self._offset > self._blob.size:
            raise _Gone
        self._count(self._offset)

    def _patch(self, length: int) -> None:
        start = self._offset
        headers = {
            "Content-Type": _OCTETS,
            "Content-Length": str(length),
            "Content-Range": f"{start}-{start + length - 1}",
        }
        with self._registry.ask(
            "PATCH", self._location, headers, scopes=self._target.scopes(), body=lambda: self._bytes(start, length)
        ) as response:
            if response.status in {404, 410}:
                raise _Gone
            if response.status == 413 and length > _LEAST:
                raise _TooLarge
            if response.status == 416:
                raise Transient("the registry expects another part of the upload")
            if response.status not in {201, 202, 204}:
                raise self._registry.unexpected(response, self._what)
            self._go_on(response)
            self._offset = _received(response, start + length)
        if not start < self._offset <= start + length:
            raise Transient("the registry did not take what was sent")

    def _put(self, length: int) -> None:
        digest = self._blob.digest
        url = f"{self._location}{'&' if '?' in self._location else '?'}{urlencode({'digest': digest})}"
        headers = {"Content-Length": str(length), **({"Content-Type": _OCTETS} if length else {})}
        with self._registry.ask(
            "PUT", url, headers, scopes=self._target.scopes(), body=(lambda: self._bytes(0, length)) if length else None
        ) as response:
            if response.status in {404, 410}:
                raise _Gone
            if response.status == 413 and length > _LEAST:
                raise _TooLarge
            if response.status == 416:
                raise Transient("the registry lacks a part of the upload")
            if response.status == 400:
                if self._resumed:  # what another process sent was something else
                    raise _Gone
                self._raise_if_damaged(said(response))
            if response.status not in {201, 202, 204}:
                raise self._registry.unexpected(response, self._what)
            kept = response.headers.get("Docker-Content-Digest", "")
        if kept and kept != digest:
            raise IntegrityError(
                f"{self._what}: the registry kept something else ({kept})", remedy="tell the registry's keeper"
            )
        if not kept and not self._target.has(digest, self._blob.size):
            raise NetworkError(f"{self._what}: the registry did not keep it", remedy="tell the registry's keeper")
        self._count(self._blob.size)

    def _go_on(self, response: Response) -> None:
        """Go on where the registry says; every answer may name another address."""
        if location := response.headers.get("Location", ""):
            self._location = absolute(response.url, location)
        elif not self._location:
            raise NetworkError(f"{self._what}: the registry names no address to send it to", remedy="tell its keeper")

    def _bytes(self, start: int, length: int) -> Iterator[bytes]:
        """Give a part of the blob; what cannot be read is no fault of the line, so it must not look like one."""
        position, end = start, start + length
        try:
            for whole in chunks(self._target.store, self._blob, _PIECE, start):
                if self._target.stop.is_set():
                    raise Stopped
                piece = whole[: end - position]
                position += len(piece)
                yield piece
                self._target.sent(len(piece))
                self._count(position)
                if position >= end:
                    return
        except OSError as error:
            raise self._damaged(error.strerror or "it cannot be read") from None
        raise self._damaged("it is shorter than it should be")

    def _count(self, position: int) -> None:
        """Report progress once, though bytes may go twice."""
        if position > self._furthest:
            self._advance(position - self._furthest)
            self._furthest = position

    def _raise_if_damaged(self, told: str) -> None:
        """Say whose fault it is that the registry refuses a blob."""
        hasher = hashlib.sha256()
        for piece in chunks(self._target.store, self._blob):
            hasher.update(piece)
        if f"sha256:{hasher.hexdigest()}" != self._blob.digest:
            for part in self._blob.parts:
                self._target.store.check_blob(part)
            raise self._damaged(f"its bytes have sha256 {hasher.hexdigest()}")
        if "DIGEST" not in told:
            return
        if self._changed:
            raise IntegrityError(
                f"{self._what}: the registry received other bytes than were sent, twice{told}",
                remedy="something between here and the registry changes them: use https, or another way",
            )
        self._changed, self._location, self._offset = True, "", 0
        raise Transient(f"the bytes were changed on the way{told}")

    def _damaged(self, reason: str) -> IntegrityError:
        return IntegrityError(
            f"{self._what}: the store's copy is damaged: {reason}",
            remedy="it was dropped: run the command again to make it anew; if this happens often, check the disk",
        )


def _received(response: Response, otherwise: int) -> int:
    """Read ``Range``: how many bytes an upload has. ``0-0`` means none, as registries say at the beginning."""
    match = _RANGE.match(response.headers.get("Range", "").strip())
    if not match:
        return otherwise
    last = int(match[1])
    return last + 1 if last else 0
