"""The server as clients reach it: plain, with TLS, and behind a real nginx that leaves paths alone or rewrites them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.nginx import PROXY, nginx
from support.registries import make_certificates
from support.serving import Desk, desk

from hermetic.workspace.serving.limits import Proxies
from hermetic.workspace.serving.run import Settings

FRONTS = ("plain", "tls", "nginx", "nginx rewriting")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and a certificate for loopback."""
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates").parent


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A server behind each kind of front."""
    settings = Settings(rate=0)
    if request.param == "tls":
        folder: Path = request.getfixturevalue("certificates")
        settings = replace(settings, certificate=folder / "server.pem", private_key=folder / "server.secret")
        with desk(tmp_path / "w", settings, ssl.create_default_context(cafile=folder / "ca.crt")) as found:
            yield found
    elif request.param == "plain":
        with desk(tmp_path / "w", settings) as found:
            yield found
    else:
        settings = replace(settings, proxies=Proxies.parse(["127.0.0.1"]))
        slash = "/" * (request.param == "nginx rewriting")  # with one, nginx decodes the path and writes it anew
        with (
            desk(tmp_path / "w", settings) as found,
            nginx(tmp_path / "nginx", PROXY.format(upstream=found.url + slash)) as url,
        ):
            yield replace(found, url=url)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Desk]:
    """A server as it is."""
    with desk(tmp_path / "w") as found:
        yield found
