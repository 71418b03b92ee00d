"""A part of a bucket or container: what its name may be, and how keys become the names of objects in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from hermetic.errors import Place, UsageError
from hermetic.store.objects.model import check_key, is_key

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]\Z")


@dataclass(frozen=True)
class Bucket:
    """A bucket by its name, in an account where there is one, and what all our objects' names in it begin with."""

    scheme: str
    name: str
    prefix: str = ""
    account: str = ""

    @property
    def where(self) -> str:
        """The address, as it is written."""
        return f"{self.scheme}://" + "/".join(part for part in (self.account, self.name, self.prefix) if part)

    def object_name(self, key: str) -> str:
        """Give the name of a key's object. Raises UsageError for what is no key."""
        check_key(key)
        return f"{self.prefix}/{key}" if self.prefix else key

    def beginning(self, prefix: str) -> str:
        """Give what the names of objects begin with whose keys begin with ``prefix``."""
        return f"{self.prefix}/{prefix}" if self.prefix else prefix

    def key(self, object_name: str) -> str | None:
        """Give the key of an object; None for one that is no store's, as consoles make for folders."""
        key = object_name.removeprefix(f"{self.prefix}/") if self.prefix else object_name
        return key if is_key(key) else None


def read_bucket(address: str, place: Place | None = None, *, accounts: bool = False) -> Bucket:
    """Read ``scheme://bucket/prefix``, or ``scheme://account/container/prefix``. Raises UsageError.

    Credentials are the environment's business, and are refused here.
    """
    parts = urlsplit(address)
    form = f"{parts.scheme}://" + ("account/container/prefix" if accounts else "bucket/prefix")
    odd = not address.isprintable() or " " in address  # urlsplit passes over some of it
    if odd or "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"the address of artefacts is more than {form}",
            place=place,
            remedy="credentials and signatures do not belong there: they are taken from the environment",
        )
    names = [parts.netloc, *parts.path.strip("/").split("/")]
    account = names.pop(0) if accounts else ""
    prefix = "/".join(names[1:])
    good = all(_NAME.match(name) for name in names[:1] + [account] * accounts)
    if not good or (prefix and not is_key(prefix)):
        raise UsageError(f"{address!r} is no place for artefacts", place=place, remedy=f"write {form}")
    return Bucket(parts.scheme, names[0], prefix, account)
