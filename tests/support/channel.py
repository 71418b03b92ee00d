"""Hand-made conda channels: real archives with whatever metadata and files a test wants, in milliseconds.

package = write_package(channel, "numpy", "2.0", depends=["python >=3.11"], purls=["pkg:pypi/numpy@2.0"])
index(channel)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hermetic.outputs.channel.archive import EPOCH, PLACEHOLDER, File, Package, write_conda
from hermetic.outputs.channel.index import index_channel

__all__ = ["EPOCH", "PLACEHOLDER", "Link", "index", "write_package", "write_python"]

Content = "str | bytes | Path | Link | File"


@dataclass(frozen=True)
class Link:
    """A symbolic link in a package."""

    target: str


def write_package(
    directory: Path,
    name: str,
    version: str = "1.0",
    *,
    build: str = "",
    build_number: int = 0,
    subdir: str = "",
    noarch: str = "",
    depends: Iterable[str] = (),
    constrains: Iterable[str] = (),
    files: Mapping[str, str | bytes | Path | Link | File] | None = None,
    executable: Iterable[str] = (),
    info: Mapping[str, str | bytes] | None = None,
    timestamp: int = EPOCH * 1000,
    purls: Iterable[str] = (),
    track_features: Iterable[str] = (),
    entry_points: Iterable[str] = (),
    license: str = "",  # noqa: A002  the name of the metadata field
    python_site_packages_path: str = "",
) -> Path:
    """Write one archive to ``directory/SUBDIR`` and give its path; ``index`` the channel when all are written.

    Without ``subdir`` it is a generic noarch package, for all platforms. ``noarch="python"`` packages hold
    ``site-packages/...`` and ``python-scripts/...``. Contents that hold PLACEHOLDER are marked so (binary if
    they hold a zero byte too). What stands in ``bin/``, and link scripts, are executable. ``info`` replaces or
    adds files of the metadata (``paths.json`` to make it wrong). ``timestamp`` counts milliseconds.
    """
    noarch = noarch or ("" if subdir and subdir != "noarch" else "generic")
    package = Package(
        name=name,
        version=version,
        build=build or ("py_0" if noarch == "python" else f"h{build_number}_{build_number}"),
        subdir=subdir or "noarch",
        build_number=build_number,
        depends=tuple(depends),
        constrains=tuple(constrains),
        noarch=noarch,
        license=license,
        timestamp=timestamp,
        purls=tuple(purls),
        track_features=tuple(track_features),
        entry_points=tuple(entry_points),
        python_site_packages_path=python_site_packages_path,
    )
    runnable = set(executable)
    contents = [_file(path, content, runnable) for path, content in (files or {}).items()]
    extra = [File(path, text.encode() if isinstance(text, str) else text) for path, text in (info or {}).items()]
    return write_conda(directory, package, contents, info=extra, level=1)


def write_python(
    directory: Path, version: str = "3.11.9", *, subdirs: Iterable[str] = ("linux-64",), timestamp: int = EPOCH * 1000
) -> None:
    """Write a ``python`` that solvers take for one, and its ``python_abi``; it cannot run (see fixture ``channel``)."""
    minor = ".".join(version.split(".")[:2])
    abi = f"cp{minor.replace('.', '')}"
    for subdir in subdirs:
        write_package(
            directory,
            "python",
            version,
            build="h0_0_cpython",
            subdir=subdir,
            constrains=[f"python_abi {minor}.* *_{abi}"],
            files={f"lib/python{minor}/os.py": "", "bin/python": "#!/bin/sh\nexit 1\n"},
            timestamp=timestamp,
        )
    write_package(
        directory,
        "python_abi",
        minor,
        build=f"8_{abi}",
        build_number=8,
        constrains=[f"python {minor}.* *_cpython"],
        timestamp=timestamp,
    )


def index(directory: Path, *subdirs: str) -> Path:
    """Write ``repodata.json`` for every subdir that has archives (and for those named), and give the channel."""
    index_channel(directory, subdirs)
    return directory


def _file(path: str, content: str | bytes | Path | Link | File, executable: set[str]) -> File:
    if isinstance(content, File):
        return content
    if isinstance(content, Link):
        return File(path, link=content.target)
    data = content.encode() if isinstance(content, str) else content
    raw = data.read_bytes() if isinstance(data, Path) else data
    prefix = ("binary" if b"\0" in raw else "text") if PLACEHOLDER.encode() in raw else ""
    folder, _, name = path.rpartition("/")
    runs = path in executable or folder in ("bin", "python-scripts") or name.startswith(".")
    return File(path, data, executable=runs, prefix=prefix)
