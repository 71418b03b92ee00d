"""Debian packages and a Debian archive, made by hand: small ones in the shape of the real ones, and wicked ones."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import zstandard

from hermetic.outputs.oci.bases.apt import ROOTS

Content = bytes | str | tuple[str, str] | None
"""A file's bytes; the target of a link; (``hard``, target) of a hard link, (kind, "") of something odd; a folder."""

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def deb(
    name: str = "sample",
    version: str = "1.0",
    files: Mapping[str, Content] | None = None,
    *,
    architecture: str = "amd64",
    depends: str = "",
    packing: str = ".xz",
    modes: Mapping[str, int] | None = None,
    parts: Sequence[tuple[str, bytes]] | None = None,
) -> bytes:
    """Give a package's bytes. ``parts`` take the place of all that is in it."""
    lines = [f"Package: {name}", f"Version: {version}", f"Architecture: {architecture}", "Maintainer: nobody"]
    lines += [f"Depends: {depends}"] if depends else []
    control = tar({"./control": "\n".join([*lines, f"Description: {name}", " of a test", ""]).encode()})
    data = tar({"./": None, **(files or {})}, modes or {})
    pack = PACKERS[packing]
    return ar(
        parts
        or [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{packing}", pack(control)),
            (f"data.tar{packing}", pack(data)),
        ]
    )


def ar(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """Give an ``ar`` archive."""
    out = b"!<arch>\n"
    for name, data in parts:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return out


def tar(files: Mapping[str, Content], modes: Mapping[str, int] | None = None) -> bytes:
    """Give a tar in the order of the mapping, with times and owners that nobody should see again."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as out:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.mtime, info.uid, info.gid, info.uname = 1_700_000_000, 1000, 50, "somebody"
            info.mode = (modes or {}).get(path, 0o755 if content is None else 0o644)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif isinstance(content, tuple):
                info.type = {"hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}[content[0]]
                info.linkname = content[1]
            else:
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
                continue
            out.addfile(info)
    return buffer.getvalue()


FILES: dict[str, dict[str, Content]] = {
    "base-files": {
        "./bin/": None,
        "./etc/": None,
        "./lib/": None,
        "./root/": None,
        "./tmp/": None,
        "./var/lock/": None,
        "./var/run/": None,
        "./usr/lib/os-release": b"ID=test\n",
        "./etc/os-release": "../usr/lib/os-release",
        "./usr/share/base-files/profile": b"# profile\n",
        "./usr/share/doc/base-files/copyright": b"public domain\n",
        "./usr/share/doc/base-files/changelog.gz": b"long\n",
    },
    "base-passwd": {
        "./usr/share/base-passwd/passwd.master": b"root:*:0:0:root:/root:/bin/bash\n",
        "./usr/share/base-passwd/group.master": b"root:*:0:\n",
    },
    "bash": {"./bin/bash": b"\x7fELF bash", "./bin/rbash": "bash", "./usr/share/man/man1/bash.1.gz": b"manual"},
    "dash": {"./bin/dash": b"\x7fELF dash", "./bin/sh": "dash"},
    "ca-certificates": {
        "./usr/share/ca-certificates/mozilla/B.crt": b"-----BEGIN B",
        "./usr/share/ca-certificates/mozilla/A.crt": b"-----BEGIN A\n",
        "./etc/ssl/certs/": None,
    },
    "libc6": {
        "./lib/x86_64-linux-gnu/libc.so.6": b"\x7fELF libc",
        "./lib/x86_64-linux-gnu/ld.so": b"\x7fELF loader",
        "./lib64/ld-linux-x86-64.so.2": "/lib/x86_64-linux-gnu/ld.so",
        "./usr/lib/x86_64-linux-gnu/libm.so": "../../../lib/x86_64-linux-gnu/libc.so.6",
        "./lib/x86_64-linux-gnu/locale": "../../usr/share/i18n",
    },
    "tzdata": {
        "./usr/share/zoneinfo/Etc/UTC": b"TZif2",
        "./usr/share/zoneinfo/Zulu": ("hard", "./usr/share/zoneinfo/Etc/UTC"),
    },
    "debianutils": {"./usr/bin/which.debianutils": b"#!/bin/sh\n"},
}
MODES = {"./bin/bash": 0o755, "./bin/dash": 0o4755, "./root/": 0o700, "./tmp/": 0o1777}
DEPENDS = {"bash": "libtinfo6 (>= 6)", "ca-certificates": "openssl (>= 1.1.1), debconf (>= 0.5) | debconf-2.0"}


def base_debs(version: str = "1.0") -> dict[str, bytes]:
    """Give what the embedded base is made of, by file name: real names, hardly anything in them."""
    names = (*ROOTS, "libtinfo6")
    found = {}
    for name in names:
        own = "1:2.36-9+deb12u1" if name == "libc6" else version
        data = deb(
            name,
            "6.4" if name == "libtinfo6" else own,
            FILES.get(name, {f"./usr/lib/{name}": name.encode()}),
            depends=DEPENDS.get(name, ""),
            modes=MODES,
            architecture="all" if name in {"tzdata", "netbase"} else "amd64",
        )
        found[f"{name}.deb"] = data
    return found


def write_archive(folder: Path, packages: Mapping[str, bytes]) -> None:
    """Write a flat Debian archive: the packages, and the list that apt reads."""
    from hermetic.outputs.oci.bases.deb import read_deb

    folder.mkdir(exist_ok=True)
    paragraphs = []
    for name, data in sorted(packages.items()):
        path = folder / name
        path.write_bytes(data)

        def ignore(_: object, pieces: object) -> None:
            for _ in pieces:  # type: ignore[attr-defined]
                pass

        fields = {**read_deb(path, ignore), "Filename": f"./{name}", "Size": str(len(data))}
        fields["SHA256"] = sha256(data).hexdigest()
        paragraphs.append("".join(f"{key}: {value}\n" for key, value in fields.items()))
    (folder / "Packages").write_text("\n".join(paragraphs))


def apt_environment(folder: Path, address: str) -> dict[str, str]:
    """Give the variables that make a machine of which apt knows nothing but the archive at an address."""
    (folder / "sources.list").write_text(f"deb [trusted=yes] {address} ./\n")
    (folder / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::parts "/dev/null";\nAcquire::Retries "0";\n'
    )
    return {"APT_CONFIG": str(folder / "apt.conf")}
