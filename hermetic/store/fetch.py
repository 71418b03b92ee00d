"""Artefacts into the store: side by side, resumed, tried again, and checked on entry whatever the scheme.

A download goes into ``partial/<sha256>``, locked by who downloads it: a second process waits, and finds the blob.
What was received stays there when a download breaks off, and the next try, in this process or another, asks for
the rest. The digest is computed over every byte, those of an earlier try included, and only a file with the right
one gets a blob's name. A wrong one is thrown away; if it was pieced together, it is fetched once more as a whole.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hermetic.errors import CredentialsError, HermeticError, IntegrityError, NetworkError, OfflineError
from hermetic.events import SILENT, Reporter
from hermetic.secrets import redact
from hermetic.spec.private_urls import is_private, parse_private
from hermetic.store.faults import free_bytes, full_disk, machine_faults
from hermetic.store.http import Client, NotFoundError, Patience, Refused, Response, Stopped, Transient
from hermetic.store.intake import copy_hashed
from hermetic.store.partial import Partial, sweep_partials
from hermetic.store.threads import side_by_side

if TYPE_CHECKING:
    from hermetic.store.store import Store

JOBS = 12
"""Downloads at once unless told otherwise: enough to hide latency, few enough for a server to be kind."""
_PROGRESS = 1 << 14
"""New bytes that make a failed attempt count as progress, so that a long download may break off often."""
_NAMED = 20


@dataclass(frozen=True)
class Artifact:
    """A file that is wanted: what it is called, where it may be (best first), and what it is.

    ``find`` gives more addresses when none of ``urls`` has it: an index that is asked only then. Addresses may hold
    credentials and ``${VAR}``; the label may not. ``size`` counts bytes.

    ``sign`` gives an address for those of ``urls`` that are a workspace's (``hermetic://``): signed, good for a while,
    and told to nobody. It is called before each attempt, so what expires in the middle of a download is renewed, and
    the download goes on. ``near`` says that it leads to a file of this machine.
    """

    label: str
    urls: tuple[str, ...]
    sha256: str
    size: int | None = None
    md5: str = ""
    find: Callable[[], Sequence[str]] | None = field(default=None, compare=False, repr=False)
    sign: Callable[[], str] | None = field(default=None, compare=False, repr=False)
    near: bool = False

    def is_near(self, url: str) -> bool:
        """Tell whether one of the addresses leads to a file of this machine."""
        return is_local(url) or (self.near and is_private(url))


def fetch(
    store: Store,
    artifacts: Sequence[Artifact],
    *,
    reporter: Reporter = SILENT,
    offline: bool = False,
    jobs: int | None = None,
    client: Client | None = None,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Get all artefacts into the store; those that it has cost a look each.

    ``ready`` is told the sha256 of each one that was fetched as soon as it is in the store, from any thread.
    Raises IntegrityError for wrong bytes, NetworkError and CredentialsError after the last try of the last address,
    OfflineError naming all that is missing, MachineError for a full disk.
    """
    missing = list({a.sha256: a for a in artifacts if not store.has_blob(a.sha256)}.values())
    if not missing:
        return
    remote = [a for a in missing if not any(map(a.is_near, a.urls))]
    if offline and remote:
        raise _offline(remote)
    total = sum(a.size or 0 for a in missing)
    if total > free_bytes(store.root):
        raise full_disk(f"download {_count(missing)}", store.root, needed=total)
    with machine_faults("use the store", store.root):
        sweep_partials(store.root / "partial")
    work = _Work(store, client or Client(connections=jobs or JOBS), reporter, offline=offline, ready=ready)
    reporter.start("fetch", f"fetching {_count(missing)}", total or None, "bytes")
    note = "failed"
    try:
        side_by_side(work.get, sorted(missing, key=lambda a: -(a.size or 0)), jobs or JOBS, work.stop)
        note = _count(missing)
    finally:
        reporter.finish("fetch", note)


def is_local(url: str) -> bool:
    """Tell whether an address is a file of this machine: ``file://``, or a plain path."""
    return url.startswith("file:") or "://" not in url


def local_path(url: str) -> Path:
    """Give the path of a ``file://`` URL or a plain path."""
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else Path(url).expanduser()


class _Work:
    """What the threads of one fetch share."""

    def __init__(
        self,
        store: Store,
        client: Client,
        reporter: Reporter,
        *,
        offline: bool,
        ready: Callable[[str], object] | None = None,
    ) -> None:
        self.store = store
        self.client = client
        self.reporter = reporter
        self.offline = offline
        self.ready = ready
        self.stop = threading.Event()

    def get(self, artifact: Artifact) -> None:
        """Get one artefact from the first address that has it."""
        with (
            machine_faults(f"download {artifact.label}", self.store.root, needed=artifact.size),
            Partial(self.store, artifact.sha256, self._wait) as partial,
        ):
            if not self.store.has_blob(artifact.sha256):  # else another process was faster
                self._from_any(artifact, partial)
            partial.done()
        if self.ready:
            self.ready(artifact.sha256)

    def _wait(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped

    def _from_any(self, artifact: Artifact, partial: Partial) -> None:
        faults: list[HermeticError] = []
        for url in self._addresses(artifact, faults):
            try:
                if is_local(url):
                    self._copy(artifact, local_path(url))
                elif artifact.sign and artifact.is_near(url):
                    self._copy(artifact, local_path(artifact.sign()), url)
                else:
                    self._download(artifact, url, partial)
            except (IntegrityError, NetworkError) as fault:
                faults.append(fault)
            else:
                return
        if not faults:
            raise NetworkError(f"{artifact.label}: no address is known", remedy="name its channel or index again")
        faults.sort(key=_rank)
        raise faults[0]

    def _addresses(self, artifact: Artifact, faults: list[HermeticError]) -> Iterable[str]:
        yield from (url for url in artifact.urls if artifact.is_near(url) or not self.offline)
        if self.offline:
            raise _offline([artifact])
        if artifact.find is None or any(not isinstance(fault, NotFoundError | CredentialsError) for fault in faults):
            return
        yield from (url for url in artifact.find() if url not in artifact.urls)

    def _copy(self, artifact: Artifact, path: Path, named: str = "") -> None:
        temporary = self.store.temporary()
        try:
            digest, size = copy_hashed(path, temporary)
            if digest != artifact.sha256:
                raise _wrong(artifact, named or str(path), digest, size)
            self.store.adopt(temporary, digest)
            self.reporter.advance("fetch", size)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            if named:
                raise _absent(artifact, named) from None
            raise NotFoundError(f"{artifact.label}: no file {path}", remedy="check the address") from None
        finally:
            temporary.unlink(missing_ok=True)

    def _download(self, artifact: Artifact, url: str, partial: Partial) -> None:
        patience = Patience(self.client.policy, f"{artifact.label} from {redact(url)}", self.stop)
        best, again = 0, True
        refused = -1
        while True:
            try:
                digest, sure = self._attempt(artifact, url, partial)
            except Refused as failure:  # signed anew at once; twice at the same byte, and it is not for its age
                if partial.size <= refused:
                    raise _refused(artifact, url, failure) from None
                refused = partial.size
                continue
            except Transient as failure:
                if partial.size >= best + _PROGRESS:
                    patience.progressed()
                best = max(best, partial.size)
                patience.failed(failure)
                continue
            if digest == artifact.sha256:
                partial.adopt()
                return
            fault = _wrong(artifact, redact(url), digest, partial.size, head=partial.head())
            partial.clear()
            if sure or not again:
                raise fault
            again = False

    def _attempt(self, artifact: Artifact, url: str, partial: Partial) -> tuple[str, bool]:
        """Get the rest of a file; give the digest over all of it, and whether another try would give the same.

        It might not if the file was pieced together, or if the server never said how long it is.
        """
        if artifact.size is not None and partial.size > artifact.size:
            partial.clear()
        hasher, have = partial.hashed()
        if have and (have == artifact.size or hasher.hexdigest() == artifact.sha256):
            return hasher.hexdigest(), False
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with self._asked(artifact, url, headers) as response:
            if response.status == 416 or (response.status == 206 and not response.starts_at(have)):
                partial.clear()
                raise Transient("the server cannot continue where it stopped")
            if have and response.status != 206:  # it sends all of it again
                partial.clear()
                hasher, have = hashlib.sha256(), 0
            for piece in response.pieces():
                if self.stop.is_set():
                    raise Stopped
                hasher.update(piece)
                partial.write(piece)
                self.reporter.advance("fetch", len(piece))
                if artifact.size is not None and partial.size > artifact.size:
                    break
            announced = response.length() is not None
            if artifact.size is not None and partial.size < artifact.size and not announced:
                raise Transient(f"the connection was dropped {artifact.size - partial.size} bytes before the end")
        return hasher.hexdigest(), have == 0 and (announced or artifact.size is not None)

    @contextmanager
    def _asked(self, artifact: Artifact, url: str, headers: Mapping[str, str]) -> Iterator[Response]:
        if artifact.sign is None or not is_private(url):
            with self.client.attempt(url, headers) as response:
                yield response
            return
        try:
            with self.client.signed_attempt(artifact.sign(), headers) as response:
                yield response
        except NotFoundError:
            raise _absent(artifact, url) from None


def _refused(artifact: Artifact, url: str, failure: Refused) -> CredentialsError:
    return CredentialsError(
        f"{artifact.label}: the keeper of {url} refuses even an address that was signed just now: {failure.reason}",
        remedy="check the clock of this machine, and that its key or account for the workspace's artefacts holds still",
    )


def _absent(artifact: Artifact, url: str) -> NotFoundError:
    return NotFoundError(
        f"{artifact.label}: the workspace {parse_private(url).workspace} does not have it ({url})",
        remedy="add that very wheel to it again: 'hermetic wheel add'; another one has another URL",
    )


def _rank(fault: HermeticError) -> int:
    """Wrong bytes say more than a refusal, a refusal more than a broken line, and that more than an absence."""
    return 0 if isinstance(fault, IntegrityError) else 3 if isinstance(fault, NotFoundError) else 1


def _wrong(artifact: Artifact, where: str, digest: str, size: int, *, head: bytes = b"") -> IntegrityError:
    wanted, came = f"sha256 {artifact.sha256}", f"sha256 {digest} ({size} bytes)"
    if artifact.size is not None:
        wanted += f" ({artifact.size} bytes)"
        came = came if size <= artifact.size else f"more than {artifact.size} bytes"
    page = head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))
    hint = "; what came is an HTML page, as proxies and sign-in pages send" if page else ""
    return IntegrityError(
        f"{artifact.label}: wrong bytes from {where}: {came}, locked is {wanted}{hint}",
        remedy="nothing was kept; if the change is meant, lock again, else use another mirror and tell its keeper",
    )


def _offline(missing: Sequence[Artifact]) -> OfflineError:
    names = sorted(artifact.label for artifact in missing)
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    size = sum(artifact.size or 0 for artifact in missing)
    amount = f" ({size / 1e6:,.1f} MB)" if size else ""
    return OfflineError(
        f"offline, and the store lacks {_count(missing)}{amount}: {listed}",
        remedy="run the same command once without --offline, or set HERMETIC_STORE to a store that has them",
    )


def _count(artifacts: Sequence[Artifact]) -> str:
    return artifacts[0].label if len(artifacts) == 1 else f"{len(artifacts)} files"
