"""Assembled images in containers: Python runs what is installed, as whoever is asked, with what activation sets."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from image_samples import image_of
from prefix_samples import config
from support.channel import write_package
from support.engine import Engine
from support.images import image_lock, one_layer_each, small_base

from hermetic.outputs.oci.engine import load
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.options import ImageOptions
from hermetic.store import Store


@pytest.fixture
def tag() -> str:
    """A name that no other test has: the engine is shared."""
    return f"test/{uuid.uuid4().hex[:12]}:1"


def test_a_container_imports_numpy_from_its_pyc_files(engine: Engine, store: Store, channel: Path, tag: str) -> None:
    lock = image_lock(channel, "numpy", "idna", variables={"GREETING": "good morning"})
    image = build_image(
        lock, one_layer_each(lock), small_base(store), store=store, config=config(channel),
        options=ImageOptions(user="1000:1000"),
    )  # fmt: skip
    load(image, tag, store=store, client=engine.client)
    code = """
import os, sys, numpy, idna
print(numpy.arange(4).sum(), sys.prefix, os.getuid(), os.environ["GREETING"], os.path.exists(numpy.__cached__))
"""
    assert "6 /opt/hermetic/env 1000 good morning True" in engine.run(tag, "python", "-c", code)


def test_activation_scripts_set_what_a_command_sees(engine: Engine, tmp_path: Path, tag: str) -> None:
    store = Store.open(tmp_path / "store")
    one = write_package(
        tmp_path,
        "one",
        files={
            "etc/conda/activate.d/a.sh": 'export DATA="$CONDA_PREFIX/share/data"\necho not for standard output\n',
            "etc/conda/activate.d/b.sh": 'if [ -e "$DATA" ]; then export FOUND=yes; fi\n',
            "share/data": "x",
        },
    )
    image = image_of(store, [one], base=small_base(store), variables={"OMP": "2"})
    load(image, tag, store=store, client=engine.client)
    said = engine.run(tag, "sh", "-c", 'echo "$DATA $FOUND $OMP [$0] [$1]"', "a b", "c  d")
    assert said.strip() == "/opt/hermetic/env/share/data yes 2 [a b] [c  d]"
