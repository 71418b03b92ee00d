"""Tiny projects that build themselves: a backend in the source tree, so that no package index is needed."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

BACKEND = """
import os, zipfile

NAME, VERSION, TAG = {name!r}, {version!r}, "py3-none-any"

def files():
    return {{NAME + ".py": "version = %r\\n" % version()}}

def version():
    return VERSION

{body}

def get_requires_for_build_wheel(config_settings=None):
    return {asks!r}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    info = "%s-%s.dist-info" % (NAME, version())
    found = dict(files())
    found[info + "/METADATA"] = "Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (NAME, version())
    found[info + "/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: %s\\n" % TAG
    found[info + "/RECORD"] = "".join(path + ",,\\n" for path in found)
    name = "%s-%s-%s.whl" % (NAME, version(), TAG)
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, data in found.items():
            archive.writestr(path, data)
    return name
"""


def write_project(
    folder: Path,
    body: str = "",
    *,
    name: str = "demo",
    version: str = "1.0",
    requires: Iterable[str] = (),
    asks: Iterable[str] = (),
    static: bool = True,
) -> Path:
    """Write a project whose own backend builds it.

    ``body`` is Python that may replace ``files()``, ``version()``, ``TAG``; ``asks`` is what the backend requires
    when it is asked; ``static`` says whether ``pyproject.toml`` tells the version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    project = f'name = "{name}"\n' + (f'version = "{version}"\n' if static else 'dynamic = ["version"]\n')
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {list(requires)}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f"[project]\n{project}"
    )
    (folder / "backend.py").write_text(BACKEND.format(name=name, version=version, body=body, asks=list(asks)))
    return folder


def write_sdist(folder: Path, target: Path, stem: str = "demo-1.0") -> Path:
    """Pack a folder as an sdist, the same bytes every time."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            info = tar.gettarinfo(path, f"{stem}/{path.relative_to(folder).as_posix()}")
            info.mtime, info.uid, info.gid, info.uname, info.gname = 1_700_000_000, 0, 0, "", ""
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(data.getvalue(), mtime=0))
    return target


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as nobody in particular, at no time in particular."""
    settings = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *settings, "-C", str(folder), *arguments], capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def write_repository(folder: Path, *, tag: str = "") -> str:
    """Make a folder a Git repository with all its files in one commit, and give that."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    if tag:
        git(folder, "tag", tag)
    return git(folder, "rev-parse", "HEAD")
