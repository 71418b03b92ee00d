"""Tar headers, byte for byte (POSIX.1-2001 ``ustar``; ``pax`` records only where a field is too small).

Owners are 0:0 without names, times are the one that is given, so an entry's bytes depend on the entry alone.
"""

from __future__ import annotations

from hermetic.plan.files import FILE, FOLDER, LINK, FileEntry

BLOCK = 512
END = bytes(2 * BLOCK)
"""What closes an archive. Fragments of layers have none, so that they can be put one after the other."""

_FLAGS = {FILE: b"0", LINK: b"2", FOLDER: b"5"}
_NAME, _PREFIX = 100, 155
_ZERO = b"%07o\0" % 0
_SIZE_LIMIT = 1 << 33
"""Sizes and times from here on need more than eleven octal digits."""


def header(entry: FileEntry, path: str, time: int) -> bytes:
    """Give what stands before an entry's bytes in an archive, where it has the name ``path`` (no slash at the end)."""
    name = _encoded(f"{path}/" if entry.kind == FOLDER else path)
    target = _encoded(entry.target)
    mode = 0o777 if entry.kind == LINK else entry.mode
    size = entry.size if entry.kind == FILE else 0
    flag = _FLAGS[entry.kind]
    fits = len(name) <= _NAME and len(target) <= _NAME and size < _SIZE_LIMIT and time < _SIZE_LIMIT
    if fits and name.isascii() and target.isascii():
        return _block(name, mode, size, time, flag=flag, target=target)
    return _extended(name, mode, size, time, flag=flag, target=target)


def padding(size: int) -> bytes:
    """Give what follows ``size`` bytes of content."""
    return bytes(-size % BLOCK)


def _extended(name: bytes, mode: int, size: int, time: int, *, flag: bytes, target: bytes) -> bytes:
    short, prefix = _split(name)
    records = []
    if not short or not name.isascii():
        short, prefix = _stand_in(name), b""
        records.append(_record(b"path", name))
    if len(target) > _NAME or not target.isascii():
        records.append(_record(b"linkpath", target))
        target = _stand_in(target)
    if size >= _SIZE_LIMIT:
        records.append(_record(b"size", b"%d" % size))
        size = 0
    if time >= _SIZE_LIMIT:
        records.append(_record(b"mtime", b"%d" % time))
        time = 0
    block = _block(short, mode, size, time, flag=flag, target=target, prefix=prefix)
    if not records:
        return block
    if any(_is_binary(value) for value in (name, target)):
        records.insert(0, _record(b"hdrcharset", b"BINARY"))
    data = b"".join(records)
    own = _block(b"PaxHeaders/" + short[: _NAME - 11], 0o644, len(data), 0, flag=b"x")
    return own + data + padding(len(data)) + block


def _block(
    name: bytes, mode: int, size: int, time: int, *, flag: bytes, target: bytes = b"", prefix: bytes = b""
) -> bytes:
    fields = b"".join(
        (
            name.ljust(_NAME, b"\0"),
            b"%07o\0" % mode,
            _ZERO,  # user and group
            _ZERO,
            b"%011o\0%011o\0" % (size, time),
            b"        ",  # the checksum counts as blanks
            flag,
            target.ljust(_NAME, b"\0"),
            b"ustar\x0000",
            bytes(64),  # names of user and group
            _ZERO,  # device
            _ZERO,
            prefix.ljust(_PREFIX, b"\0"),
            bytes(12),
        )
    )
    return b"%s%06o\0 %s" % (fields[:148], sum(fields), fields[156:])


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Give a name's last and first part, cut at a slash so that both fit; nothing twice if there is no such slash."""
    if len(name) <= _NAME:
        return name, b""
    cut = name.find(b"/", len(name) - _NAME - 1)
    if 0 < cut <= _PREFIX and cut < len(name) - 1:
        return name[cut + 1 :], name[:cut]
    return b"", b""


def _record(keyword: bytes, value: bytes) -> bytes:
    """Give a pax record, which begins with its own length."""
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, keyword, value)


def _stand_in(name: bytes) -> bytes:
    """Give what readers see that know no pax records."""
    return bytes(byte if 32 < byte < 127 else ord("_") for byte in name[:_NAME]).rstrip(b"/")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_binary(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return True
    return False
