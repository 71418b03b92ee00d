"""The question that every build asks first: at a glance where that is enough, properly where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from registry_samples import made, send
from support.registries import Registry, registry
from support.registry_proxy import Fault, Proxy, header, lose_answer, status

from hermetic.config import Config
from hermetic.outputs.oci.model import Image
from hermetic.outputs.oci.presence import glance, image_exists
from hermetic.outputs.oci.reference import parse_reference
from hermetic.store import Store

pytestmark = pytest.mark.usefixtures("home")

NAME = "team/app:1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def picture(store: Store, real: Registry) -> Image:
    """An image that the registry has."""
    found = made(store, 1000)
    send(store, real.host, found)
    return found


def look(host: str, name: str = NAME, **registries: str) -> str | None:
    return glance(parse_reference(f"{host}/{name}"), Config(registries=registries), {})


def test_a_yes_and_a_no(real: Registry, picture: Image) -> None:
    assert look(real.host) == picture.manifest.digest
    assert look(real.host, "team/app:2") == ""


@pytest.mark.parametrize(
    "fault",
    [
        status(401),
        status(403),
        status(429),
        status(500),
        status(302, {"Location": "http://127.0.0.1:1/"}),
        header("Docker-Content-Digest", "sha256:12"),
        lose_answer,
        status(200),
    ],
)
def test_anything_else_is_left_to_the_patient(middle: Proxy, picture: Image, fault: Fault) -> None:
    middle.fault("HEAD", "/manifests/", fault, times=1)
    assert look(middle.host) is None
    middle.fault("HEAD", "/manifests/", fault, times=1)
    assert image_exists(f"{middle.host}/{NAME}", config=Config()) == picture.manifest.digest


def test_over_tls(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(tmp_path, tls=True) as real:
        config = {real.host: real.url}
        assert look(real.host, **config) is None  # nobody vouches for it
        monkeypatch.setenv("SSL_CERT_FILE", str(real.ca))
        assert look(real.host, **config) == ""
        picture = made(store, 10)
        send(store, real.host, picture, config=Config(registries=config))
        assert look(real.host, **config) == picture.manifest.digest


def test_a_path_before_the_repositories(store: Store, real: Registry) -> None:
    picture = made(store, 10)
    send(store, real.host, picture, name=f"deep/down/{NAME}")
    assert look("lab.example.org", **{"lab.example.org": f"{real.url}/deep/down"}) == picture.manifest.digest


def test_a_proxy_is_not_passed_by(real: Registry, picture: Image) -> None:
    assert picture
    for name in ("http_proxy", "HTTPS_PROXY", "all_proxy"):
        assert glance(parse_reference(f"{real.host}/{NAME}"), Config(), {name: "http://127.0.0.1:1"}) is None


def test_nobody_there(real: Registry) -> None:
    real.stop()
    assert look(real.host) is None


def test_a_glance_loads_little(real: Registry, picture: Image) -> None:
    """No HTTP library for a plain answer: it takes longer to load than the answer to come."""
    code = (
        "import sys; from hermetic.config import Config; from hermetic.outputs.oci.presence import image_exists; "
        f"print(image_exists('{real.host}/{NAME}', config=Config())); "
        "print({'urllib3', 'http', 'ssl', 'email', 'docker', 'subprocess', 'encodings.idna'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [picture.manifest.digest, "set()"]
