"""The lock that a version keeps, in the workspace's artefacts: found by its digest, and only ever grown."""

from __future__ import annotations

from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError, UsageError
from hermetic.store.objects.model import ObjectStore


def lock_key(sha256: str) -> str:
    """Give the key of a lock in the object store."""
    return f"locks/{sha256}.lock.json"


def keep_lock(objects: ObjectStore, lock: bytes, name: str) -> str:
    """Put a lock into the artefacts; give its sha256. Raises LockFileError for what is none."""
    from hermetic.lock.file import parse_lock

    parse_lock(lock, f"the lock of {name}")
    sha256 = sha256_bytes(lock)
    objects.put_bytes(lock_key(sha256), lock)
    return sha256


def kept_lock(objects: ObjectStore, sha256: str, name: str) -> bytes:
    """Give a lock's bytes. Raises IntegrityError for other bytes than were kept."""
    data = objects.get_bytes(lock_key(sha256))
    if sha256_bytes(data) != sha256:
        raise IntegrityError(
            f"the lock of {name} is not what was kept: its sha256 is {sha256_bytes(data)}, not {sha256}",
            remedy=f"put {lock_key(sha256)} back from a backup of the workspace's artefacts",
        )
    return data


def check_grown(old: bytes, new: bytes, name: str) -> None:
    """Refuse a lock that takes a platform away from a version's, or changes what a platform has.

    Raises UsageError: then the same version would not give the same bytes any more.
    """
    from hermetic.lock.file import parse_lock

    before, after = (parse_lock(data, f"the lock of {name}").platforms for data in (old, new))
    for platform, was in before.items():
        found = after.get(platform)
        if found is None:
            change = "is no longer in it"
        elif found.key() != was.key():
            change = "would get other packages"
        elif was.image and found.image != was.image:
            change = "would get another image"
        else:
            continue
        raise UsageError(
            f"the lock of {name} holds: {platform} {change}",
            remedy="a version keeps what it was locked to; change the definition, and register the next version",
        )
