"""The embedded base from Debian's own packages, by the machine's apt, in a real engine: containers start and work."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefix_samples import config
from support.engine import Engine
from support.images import image_lock, one_layer_each
from support.needs import require, suits

from hermetic.errors import NetworkError
from hermetic.lock.model import Base
from hermetic.outputs.oci.bases.embedded import open_embedded, pin_embedded
from hermetic.outputs.oci.engine import load
from hermetic.outputs.oci.image import build_image
from hermetic.store import Store


@pytest.fixture(scope="module")
def pinned(store: Store) -> Base:
    require(shutil.which("apt-get"), "there is no apt here")
    try:
        return pin_embedded("linux-64", store=store)
    except NetworkError as error:
        suits(False, f"Debian's mirror is not to be had: {error.message}")
        raise


@pytest.fixture
def tag(engine: Engine) -> Iterator[str]:
    found = f"test/{uuid.uuid4().hex}:1"
    yield found
    engine.client.images.remove(found, force=True)


def test_numpy_and_a_shell_run_on_it(engine: Engine, store: Store, pinned: Base, channel: Path, tag: str) -> None:
    base = open_embedded(pinned, "linux-64", store=store)
    assert base.layers[0].descriptor.size < 30 << 20
    lock = image_lock(channel, "numpy")
    image = build_image(lock, one_layer_each(lock), base, store=store, config=config(channel))
    load(image, tag, store=store, client=engine.client)

    def ran(*command: str) -> str:
        return engine.docker("run", "--rm", "--network", "none", tag, *command).strip()

    code = "import json, numpy, ssl, time; print(json.dumps([int(numpy.arange(4).sum()), time.tzname[0]]))"
    assert json.loads(ran("/opt/hermetic/env/bin/python", "-c", code)) == [6, "UTC"]
    words = ran("sh", "-c", "id -un; locale -a | grep -ci utf8; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt")
    user, locales, certificates = words.split()
    assert (user, locales) == ("root", "1")
    assert int(certificates) > 50
    assert ran("bash", "-lc", "which ls; ls -d /tmp; find /bin/bash; echo a | sed s/a/b/").split() == [
        "/usr/bin/ls", "/tmp", "/bin/bash", "b",
    ]  # fmt: skip
    assert engine.docker("run", "--rm", "--network", "none", "--user", "65534", tag, "id", "-un").strip() == "nobody"


def test_it_has_what_scanners_look_for(store: Store, pinned: Base) -> None:
    names = {package.name for package in pinned.packages}
    assert {"libc6", "bash", "ca-certificates", "tzdata"} <= names
    assert not {"perl-base", "dpkg", "debconf", "openssl"} & names
    assert sum(package.size for package in pinned.packages) < 30 << 20
