"""Tiny real wheels: installable by pip, uv and installer, the same bytes for the same arguments."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_TIME = (2023, 11, 14, 22, 13, 20)


def make_wheel(
    directory: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Iterable[str] = (),
    extras: Iterable[str] = (),
    requires_python: str = ">=3.8",
    scripts: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    data: Mapping[str, str | bytes] | None = None,
    tag: str = "py3-none-any",
    metadata: str = "",
    executable: Iterable[str] = (),
) -> Path:
    """Write ``NAME-VERSION-TAG.whl`` to a folder and give its path.

    ``requires`` are ``Requires-Dist`` values (with ``extra ==`` markers for those of ``extras``). ``scripts``
    maps console scripts to ``module:function``. ``files`` go to the root (default: a module that knows its
    version), ``data`` below ``.data/`` (``scripts/tool``, ``headers/a.h``, ``data/share/x``). ``metadata`` is
    added to METADATA as it is.
    """
    distribution = name.replace("-", "_").replace(".", "_")
    stem = f"{distribution}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Requires-Python: {requires_python}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    if metadata:
        lines.append(metadata.rstrip("\n"))
    pure = tag.endswith("-none-any")
    members: dict[str, bytes] = {
        path: content.encode() if isinstance(content, str) else content
        for path, content in (files if files is not None else {f"{distribution}.py": _module(version)}).items()
    }
    for path, content in (data or {}).items():
        members[f"{stem}.data/{path}"] = content.encode() if isinstance(content, str) else content
    info = f"{stem}.dist-info"
    members[f"{info}/METADATA"] = ("\n".join(lines) + "\n").encode()
    tags = "".join(f"Tag: {part}\n" for part in _tags(tag))
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {str(pure).lower()}\n{tags}".encode()
    )
    if scripts:
        entries = "".join(f"{script} = {target}\n" for script, target in scripts.items())
        members[f"{info}/entry_points.txt"] = f"[console_scripts]\n{entries}".encode()
    record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{stem}-{tag}.whl"
    runnable = set(executable)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            entry = zipfile.ZipInfo(member, _TIME)
            entry.external_attr = (0o100755 if member in runnable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return path


def _module(version: str) -> str:
    return f'VERSION = "{version}"\n\n\ndef main():\n    print(VERSION)\n'


def _tags(tag: str) -> list[str]:
    pythons, abis, platforms = tag.split("-")
    return [f"{p}-{a}-{f}" for p in pythons.split(".") for a in abis.split(".") for f in platforms.split(".")]


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
