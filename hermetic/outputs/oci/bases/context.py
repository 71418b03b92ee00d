"""What a Dockerfile is built from: its text, and the folder that it copies from, as values with a digest."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hermetic.digest import key, sha256_bytes, sha256_file
from hermetic.errors import Place, UsageError

FILE_NAME = ".hermetic.Dockerfile"
"""What the Dockerfile is called in the context that the engine gets; it may stand elsewhere on the disk."""


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile's text, and the folder that ``COPY`` takes from, if any. ``place`` is where it stands."""

    text: str
    context: Path | None = None
    place: Place | None = None

    def digest(self) -> str:
        """Give the sha256 of the text; with a context, over the text and the files that ``.dockerignore`` leaves."""
        text = sha256_bytes(self.text.encode())
        if self.context is None:
            return text
        return key("dockerfile-context/1", [text, [list(item) for item in _files(self.context)]])

    def tar(self) -> IO[bytes]:
        """Give the context as a tar, with the Dockerfile in it; times and owners are not those of the disk."""
        spool = tempfile.TemporaryFile()  # noqa: SIM115  whoever sends it closes it
        with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, kind, _ in _files(self.context) if self.context else ():
                assert self.context is not None
                path = self.context / name
                info = tarfile.TarInfo(name)
                info.mtime, info.mode = 1, 0o755 if kind == "x" else 0o644
                if kind == "l":
                    info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
                    tar.addfile(info)
                else:
                    with path.open("rb") as file:
                        info.size = path.stat().st_size
                        tar.addfile(info, file)
            data = self.text.encode()
            info = tarfile.TarInfo(FILE_NAME)
            info.size, info.mtime = len(data), 1
            tar.addfile(info, io.BytesIO(data))
        spool.seek(0)
        return spool


def _files(context: Path) -> Iterator[tuple[str, str, str]]:
    """Give the files of a context: path, ``x`` for a program, ``l`` for a link, else ``-``, and a digest."""
    from docker.utils.build import exclude_paths

    if not context.is_dir():
        raise UsageError("the context of the base's Dockerfile is no folder", place=Place(str(context)))
    ignored = context / ".dockerignore"
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for name in sorted(exclude_paths(str(context), patterns)):
        path = context / name
        if path.is_symlink():
            yield name, "l", sha256_bytes(str(path.readlink()).encode())
        elif path.is_file():
            yield name, "x" if path.stat().st_mode & 0o100 else "-", sha256_file(path)
