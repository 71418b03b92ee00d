"""The no-op of images: whether an image is where it is wanted, told without reading spec, lock or layers.

While all files that an image was decided by are as they were, it is the same image; then only the places are asked:
one HEAD of a registry, one question to the engine, one look at a folder.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hermetic.project.layout import find_project
from hermetic.project.memo import read_memo, write_memo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hermetic.config import Config
    from hermetic.project.layout import Layout

_KIND = "image-build"


def image_built_already(
    start: str | None, name: str | None, asked: Mapping[str, Any], *, offline: bool = False
) -> dict[str, Any] | None:
    """Give the result of an earlier build if the same image is still where ``asked`` wants it, else None."""
    from hermetic.config import load_config

    layout = find_project(start)
    config = load_config(base=layout.root, offline=offline)
    wanted = question(name, asked, config)
    memo = read_memo(_memo(layout, wanted), wanted)
    if memo is None or not (_is_pushed(memo, config) and _is_loaded(memo) and _is_written(memo)):
        return None
    return {**memo, "changed": False, "sent": 0 if memo["sent"] is not None else None}


def remember_image(layout: Layout, asked: Mapping[str, Any], files: Iterable[Path], result: Mapping[str, Any]) -> None:
    """Remember what an image build came to that was asked for so (see ``question``), and the files that decided it."""
    write_memo(_memo(layout, asked), files, result, asked)


def _memo(layout: Layout, asked: Mapping[str, Any]) -> Path:
    """Give the place of a memo: each way of asking has its own, because one image may go to several places."""
    from hermetic.digest import key

    return layout.memo(_KIND, f"{asked['name']}-{key('question/1', asked)[:16]}")


def question(name: str | None, asked: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Give what an image build was asked for, as its memo records it."""
    found = {"name": name or "", "asked": dict(asked), "registry": config.registry, "store": str(config.store or "")}
    again: dict[str, Any] = json.loads(json.dumps(found))  # as it is when it is read
    return again


def _is_pushed(memo: Mapping[str, Any], config: Config) -> bool:
    if memo["sent"] is None:
        return True
    if config.offline:
        return False
    from hermetic.outputs.oci.presence import glance
    from hermetic.outputs.oci.reference import parse_reference

    digest: str = memo["digest"]
    return glance(parse_reference(memo["reference"], config.registries), config) == digest


def _is_loaded(memo: Mapping[str, Any]) -> bool:
    if not memo["loaded"]:
        return True
    from hermetic.outputs.oci.engine_glance import image_id

    loaded: str = memo["loaded"]
    return image_id(memo["reference"]) == loaded


def _is_written(memo: Mapping[str, Any]) -> bool:
    folder = memo["layout"]
    if not folder:
        return True
    try:
        with open(f"{folder}/index.json", "rb") as file:  # noqa: PTH123  no pathlib here
            (top,) = json.load(file)["manifests"]
        sizes = {layer["digest"]: layer["size"] for found in memo["platforms"].values() for layer in found["layers"]}
        digest: str = memo["digest"]
        return digest == top["digest"] and all(
            os.stat(f"{folder}/blobs/{layer.replace(':', '/')}").st_size == size  # noqa: PTH116
            for layer, size in sizes.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
