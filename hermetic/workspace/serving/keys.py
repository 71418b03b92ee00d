"""The file server's keys: ``keys.json`` in the workspace's folder, readable by its owner only.

New URLs are signed with one key; every key that is not revoked verifies. A revoked key's secret is forgotten and its id
kept, so nothing that was signed with it is ever good again. Single objects can be revoked too: no URL of theirs is good
until they are restored. A running server sees all of it at the next request.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hermetic.digest import pretty_json
from hermetic.errors import IntegrityError, MachineError, MissingError, Place, UsageError
from hermetic.files import writing_whole
from hermetic.secrets import hide
from hermetic.store.flock import lock_file
from hermetic.store.objects.signing import SigningKey, encode, is_object_key

FILE = "keys.json"
_VERSION = 1
_PATIENCE = 30.0
"""Seconds that a change waits for another one to end."""
_SETTLED = 2.0
"""Seconds after which a file's time stamp is taken for that of its last change."""
_LONGEST_NOTE = 200


@dataclass(frozen=True)
class ServerKey:
    """One key: its id, what it is for, when it was made and revoked (RFC 3339, UTC), its secret until then."""

    id: str
    note: str = ""
    created_at: str = ""
    revoked_at: str = ""
    secret: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> SigningKey | None:
        """What signs and verifies; None once the key is revoked."""
        return SigningKey(self.id, self.secret) if self.secret else None


@dataclass(frozen=True)
class KeyRing:
    """All that ``keys.json`` says: the keys, oldest first, the one that signs, and the objects that are revoked."""

    keys: tuple[ServerKey, ...] = ()
    signing: str = ""
    revoked: frozenset[str] = frozenset()

    def get(self, kid: str) -> SigningKey | None:
        """Give the key of an id if it is good."""
        return next((item.key for item in self.keys if item.id == kid), None)

    def is_revoked(self, object_key: str) -> bool:
        """Tell whether no URL of an object is good."""
        return object_key in self.revoked

    def to_dict(self) -> dict[str, Any]:
        """Give what people and programs may see: no secret."""
        return {
            "keys": [
                {
                    "id": item.id,
                    "note": item.note,
                    "created_at": item.created_at,
                    "revoked_at": item.revoked_at,
                    "signs": item.id == self.signing,
                }
                for item in self.keys
            ],
            "revoked": sorted(self.revoked),
        }


class KeyFile:
    """The keys of one workspace's folder. Changes are made under a lock, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def read(self) -> KeyRing:
        """Read the keys; none where there is no file yet. Raises IntegrityError, MachineError."""
        try:
            handle = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            return KeyRing()
        except OSError as error:
            raise MachineError(
                f"cannot read the keys: {error.strerror}", place=self._place, remedy="check its permissions"
            ) from None
        with os.fdopen(handle, "rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise MachineError(
                    "other users may read or change the keys of the file server",
                    place=self._place,
                    remedy="chmod 600 the file; if it was so for long, make a new key and revoke the old ones",
                )
            return _parsed(file.read(), self._place)

    def signing_key(self) -> SigningKey:
        """Give the key that signs; the first one is made when it is asked for."""
        ring = self.read()
        if ring.get(ring.signing) is None:
            ring = self.change(_with_a_key)
        found = ring.get(ring.signing)
        assert found
        return found

    def add(self, note: str = "") -> SigningKey:
        """Make a key for another machine, to be revoked alone; the one that signs here stays the same."""
        return self._made(note, signs=False)

    def rotate(self, note: str = "") -> SigningKey:
        """Make a key that signs from now on; the old ones verify until they are revoked."""
        return self._made(note, signs=True)

    def revoke_key(self, kid: str) -> KeyRing:
        """Make a key good for nothing. Raises MissingError for one that is not known.

        Where it was the one that signs, a new one takes its place.
        """

        def revoked(ring: KeyRing) -> KeyRing:
            if kid not in {item.id for item in ring.keys}:
                known = ", ".join(item.id for item in ring.keys if item.secret)
                raise MissingError(f"there is no key {kid!r}", remedy=f"keys that are good: {known or 'none'}")
            keys = tuple(
                replace(item, secret=b"", revoked_at=item.revoked_at or _now()) if item.id == kid else item
                for item in ring.keys
            )
            return _with_a_key(replace(ring, keys=keys))

        return self.change(revoked)

    def revoke_object(self, object_key: str) -> KeyRing:
        """Make every URL of an object useless, those that are out and those to come. Raises UsageError."""
        if not is_object_key(object_key):
            raise UsageError(
                f"{object_key[:120]!r} is no object of a workspace",
                remedy="name it as its URL does: wheels/SHA256/FILE",
            )
        return self.change(lambda ring: replace(ring, revoked=ring.revoked | {object_key}))

    def restore_object(self, object_key: str) -> KeyRing:
        """Make an object's URLs good again. Raises MissingError if they are."""

        def restored(ring: KeyRing) -> KeyRing:
            if object_key not in ring.revoked:
                raise MissingError(f"{object_key[:120]!r} is not revoked", remedy="see 'hermetic workspace key list'")
            return replace(ring, revoked=ring.revoked - {object_key})

        return self.change(restored)

    def change(self, edit: Callable[[KeyRing], KeyRing]) -> KeyRing:
        """Change the file in one step that no other process mixes with, and give what holds now."""
        deadline = time.monotonic() + _PATIENCE

        def wait(seconds: float) -> None:
            if time.monotonic() > deadline:
                raise MachineError("another process holds the keys", place=self._place, remedy="try again later")
            time.sleep(seconds)

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = lock_file(self.path.with_name(f".{FILE}.lock"), wait)
        except OSError as error:
            raise self._refused(error) from None
        try:
            ring = self.read()
            changed = edit(ring)
            if changed != ring:
                self._write(changed)
        finally:
            os.close(handle)
        return changed

    def _made(self, note: str, *, signs: bool) -> SigningKey:
        if len(note) > _LONGEST_NOTE or not note.isprintable():
            raise UsageError(f"a note is one line of at most {_LONGEST_NOTE} characters", remedy="shorten it")
        made = _new_key(note)

        def added(ring: KeyRing) -> KeyRing:
            ring = ring if signs else _with_a_key(ring)
            return replace(ring, keys=(*ring.keys, made), signing=made.id if signs else ring.signing)

        self.change(added)
        return SigningKey(made.id, made.secret)

    def _write(self, ring: KeyRing) -> None:
        document = {
            "version": _VERSION,
            "signing": ring.signing,
            "keys": [
                {
                    "id": item.id,
                    "note": item.note,
                    "created_at": item.created_at,
                    "revoked_at": item.revoked_at,
                    "secret": encode(item.secret),
                }
                for item in ring.keys
            ],
            "revoked": sorted(ring.revoked),
        }
        try:
            with writing_whole(self.path, mode=0o600) as file:
                file.write(pretty_json(document).encode())
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> MachineError:
        if isinstance(error, MachineError):
            return error
        return MachineError(
            f"cannot write the keys: {error.strerror}", place=self._place, remedy="make room, or check the permissions"
        )

    @property
    def _place(self) -> Place:
        return Place(str(self.path))


class WatchedKeys:
    """The keys as a server asks for them at each request: read anew as soon as the file is another one."""

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._stamp: tuple[int, ...] = ()
        self._ring = KeyRing()

    def now(self) -> KeyRing:
        """Give what holds now. Raises IntegrityError, MachineError or UsageError if that cannot be read."""
        stamp = self._look()
        if not stamp or stamp != self._stamp:
            self._stamp = ()  # if reading fails, so does the next request
            self._ring = self._file.read()
            self._stamp = stamp
        return self._ring

    def _look(self) -> tuple[int, ...]:
        """Give the file's stamp; none while it is too young to tell two changes apart."""
        try:
            found = self._file.path.stat()
        except OSError:
            return ()
        if abs(time.time() - found.st_mtime) < _SETTLED:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _with_a_key(ring: KeyRing) -> KeyRing:
    """Give the keys with one that signs: another process may have made it meanwhile."""
    if ring.get(ring.signing):
        return ring
    made = _new_key("")
    return replace(ring, keys=(*ring.keys, made), signing=made.id)


def _new_key(note: str) -> ServerKey:
    secret = secrets.token_bytes(32)
    hide(encode(secret))
    return ServerKey(secrets.token_hex(4), note, _now(), "", secret)


def _parsed(data: bytes, place: Place) -> KeyRing:
    """Read the file's text: whatever is not as it was written makes all of it worthless."""
    damaged = IntegrityError(
        "the keys of the file server are damaged",
        place=place,
        remedy="restore the file, or remove it: new keys are made then, and URLs that are out end",
    )
    try:
        found = json.loads(data)
        version = found["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged from None
    if version != _VERSION:
        raise UsageError(
            f"the keys are of version {str(version)[:20]!r}, which this hermetic does not know",
            place=place,
            remedy="update hermetic",
        )
    try:
        keys = tuple(_parsed_key(item) for item in found["keys"])
        ring = KeyRing(keys, _text(found["signing"]), frozenset(_text(item) for item in found["revoked"]))
    except (ValueError, KeyError, TypeError):
        raise damaged from None
    if len({item.id for item in keys}) != len(keys) or (keys and ring.get(ring.signing) is None):
        raise damaged
    return ring


def _parsed_key(item: Mapping[str, Any]) -> ServerKey:
    kid, note, made, revoked, text = (
        _text(item[name]) for name in ("id", "note", "created_at", "revoked_at", "secret")
    )
    if bool(text) == bool(revoked):
        raise ValueError
    hide(text)
    return ServerKey(kid, note, made, revoked, SigningKey.parse(f"{kid}:{text}").secret if text else b"")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
