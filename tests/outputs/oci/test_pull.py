"""What registries have: names that lead to digests, and bases by digest, checked whoever serves them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from registry_samples import made, send
from support.registries import Registry, skopeo
from support.registry_proxy import Proxy, drop_answer, flipped, hang, header, status
from support.small_images import blob

from hermetic.config import Config
from hermetic.errors import (
    CredentialsError,
    IntegrityError,
    NetworkError,
    OfflineError,
    UsageError,
)
from hermetic.lock.model import Base
from hermetic.outputs.oci.blobs import chunks
from hermetic.outputs.oci.model import DOCKER_LAYER, BaseImage, Image
from hermetic.outputs.oci.pull import image_exists, pull_base, resolve
from hermetic.store import Store
from hermetic.store.http import NotFoundError

pytestmark = pytest.mark.usefixtures("home")

NAME = "team/app:1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """The store of somebody else, which has nothing yet."""
    return Store.open(tmp_path / "other")


@pytest.fixture
def picture(store: Store, real: Registry) -> Image:
    """An image that the registry has."""
    found = made(store, 300_000, 1000)
    send(store, real.host, found)
    return found


def pull(store: Store, host: str, image: Image, **more: Any) -> BaseImage:
    base = Base(f"{host}/{NAME}", "", image.manifest.digest)
    return pull_base(base, "linux-64", **{"store": store, "config": Config(), **more})


def bytes_of(base: BaseImage, store: Store) -> list[bytes]:
    assert base.origin
    return [b"".join(chunks(store, base.origin.obtain(layer.descriptor, store))) for layer in base.layers]


def put(real: Registry, value: Mapping[str, Any] | bytes, kind: str, tag: str = "1") -> str:
    """Put a manifest as it is, past every check of ours; give its digest."""
    import urllib3

    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    url = f"{real.url}/v2/team/app/manifests/{tag}"
    answer = urllib3.PoolManager().request("PUT", url, body=data, headers={"Content-Type": kind})
    assert answer.status == 201, answer.data
    return blob(data).digest


class TestExists:
    def test_it_does(self, real: Registry, picture: Image) -> None:
        assert image_exists(f"{real.host}/{NAME}", config=Config()) == picture.manifest.digest

    @pytest.mark.parametrize("name", ["team/app:2", "team/other:1", f"team/app@sha256:{'0' * 64}"])
    def test_it_does_not(self, real: Registry, picture: Image, name: str) -> None:
        assert picture
        assert image_exists(f"{real.host}/{name}", config=Config()) is None

    def test_one_question(self, middle: Proxy, picture: Image) -> None:
        assert image_exists(f"{middle.host}/{NAME}", config=Config()) == picture.manifest.digest
        assert [asked.method for asked in middle.asked] == ["HEAD"]

    def test_a_registry_that_does_not_say_the_digest(self, middle: Proxy, picture: Image) -> None:
        middle.fault("*", "/manifests/", header("Docker-Content-Digest", ""))
        assert image_exists(f"{middle.host}/{NAME}", config=Config()) == picture.manifest.digest

    @pytest.mark.parametrize("code", [400, 401, 403, 410, 429, 500])
    def test_only_404_means_absent(self, middle: Proxy, code: int) -> None:
        middle.fault("*", "/v2/", status(code, {"Retry-After": "0"}))
        with pytest.raises(CredentialsError if code in {401, 403} else NetworkError, match=str(code)):
            image_exists(f"{middle.host}/{NAME}", config=Config())
        assert len(middle.asked) == (4 if code in {429, 500} else 2)  # a glance, and the tries of the patient client

    def test_offline(self) -> None:
        with pytest.raises(OfflineError):
            image_exists(f"127.0.0.1:1/{NAME}", config=Config(offline=True))


class TestResolve:
    def test_one_platform(self, real: Registry, picture: Image) -> None:
        found = resolve(f"{real.host}/{NAME}", config=Config())
        assert found.digest == found.manifest("linux-64").digest == picture.manifest.digest
        assert found.listed == ("linux/amd64",)

    def test_several(self, store: Store, real: Registry) -> None:
        images = [made(store, 100, platform=platform) for platform in ("linux-64", "linux-aarch64")]
        digest = send(store, real.host, *images).digest
        found = resolve(f"{real.host}/{NAME}", config=Config())
        assert found.digest == digest
        assert [found.manifest(image.platform).digest for image in images] == [i.manifest.digest for i in images]
        assert found.manifest("linux-64").size == images[0].manifest.size

    def test_a_missing_platform(self, store: Store, real: Registry) -> None:
        images = [made(store, 100, platform=platform) for platform in ("linux-64", "linux-s390x")]
        send(store, real.host, *images)
        with pytest.raises(
            UsageError, match=r"no image for linux/arm64 \(linux-aarch64\); it has: linux/amd64, linux/s390x"
        ):
            resolve(f"{real.host}/{NAME}", config=Config()).manifest("linux-aarch64")

    def test_a_base_that_moved(self, store: Store, other: Store, real: Registry, picture: Image) -> None:
        newer = made(store, 500, seed=9)
        send(store, real.host, newer)
        assert resolve(f"{real.host}/{NAME}", config=Config()).digest == newer.manifest.digest
        pulled = pull(other, real.host, picture)  # what the lock says is still there
        assert pulled.digest == picture.manifest.digest
        assert bytes_of(pulled, other) == [b"".join(chunks(store, x.blob)) for x in picture.layers if x.blob]

    def test_a_digest_beside_the_tag_wins(self, store: Store, real: Registry, picture: Image) -> None:
        send(store, real.host, made(store, 500, seed=9))
        name = f"{real.host}/{NAME}@{picture.manifest.digest}"
        assert resolve(name, config=Config()).digest == picture.manifest.digest

    def test_nothing_there(self, real: Registry) -> None:
        with pytest.raises(NotFoundError, match="MANIFEST_UNKNOWN"):
            resolve(f"{real.host}/{NAME}", config=Config())

    def test_offline(self) -> None:
        with pytest.raises(OfflineError):
            resolve(f"127.0.0.1:1/{NAME}", config=Config(), offline=True)

    def test_an_answer_without_end(self, middle: Proxy) -> None:
        middle.fault("GET", "/manifests/", status(200, body=b" " * (5 << 20)))
        with pytest.raises(IntegrityError, match="larger than 4 MiB"):
            resolve(f"{middle.host}/{NAME}", config=Config())

    def test_an_answer_that_is_a_page(self, middle: Proxy) -> None:
        middle.fault("GET", "/manifests/", status(200, {"Content-Length": "13"}, b"<html></html>"))
        with pytest.raises(IntegrityError, match="not JSON"):
            resolve(f"{middle.host}/{NAME}", config=Config())

    def test_an_answer_cut_short(self, middle: Proxy, picture: Image) -> None:
        middle.fault("GET", "/manifests/", drop_answer(100), times=2)
        assert resolve(f"{middle.host}/{NAME}", config=Config()).digest == picture.manifest.digest


class TestPull:
    def test_what_another_client_pushed(self, store: Store, other: Store, real: Registry, tmp_path: Path) -> None:
        """skopeo converts to Docker's media types, which we read."""
        send(store, real.host, made(store, 5000), name="team/ours:1")
        skopeo("copy", *real.flags("src"), f"docker://{real.host}/team/ours:1", f"oci:{tmp_path / 'out'}:1")
        real.copy(f"oci:{tmp_path / 'out'}:1", NAME, "--format", "v2s2")
        found = resolve(f"{real.host}/{NAME}", config=Config())
        base = Base(f"{real.host}/{NAME}", found.digest, found.manifest("linux-64").digest)
        pulled = pull_base(base, "linux-64", store=other, config=Config())
        assert [layer.descriptor.media_type for layer in pulled.layers] == [DOCKER_LAYER]
        assert len(bytes_of(pulled, other)[0]) == pulled.layers[0].descriptor.size

    def test_what_is_known_of_it(self, other: Store, real: Registry, picture: Image) -> None:
        pulled = pull(other, real.host, picture)
        assert pulled.reference == f"{real.host}/{NAME}"
        assert pulled.repository == f"{real.host}/team/app"
        assert pulled.config["architecture"] == "amd64"
        assert [layer.descriptor for layer in pulled.layers] == [layer.descriptor for layer in picture.layers]
        assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in picture.layers]
        assert [layer.blob for layer in pulled.layers] == [None, None]  # their bytes come when they are needed

    def test_once_it_is_here_nobody_is_asked(self, other: Store, middle: Proxy, picture: Image) -> None:
        bytes_of(pull(other, middle.host, picture), other)
        middle.mend()
        again = pull(other, middle.host, picture, offline=True)
        assert all(layer.blob for layer in again.layers)
        bytes_of(again, other)
        assert middle.asked == []

    def test_offline_without_it(self, other: Store, real: Registry, picture: Image) -> None:
        with pytest.raises(OfflineError, match="does not have"):
            pull(other, real.host, picture, offline=True)
        pull(other, real.host, picture)
        with pytest.raises(OfflineError, match="layer sha256"):
            bytes_of(pull(other, real.host, picture, config=Config(offline=True)), other)

    def test_not_pinned(self, other: Store) -> None:
        with pytest.raises(UsageError, match="not pinned"):
            pull_base(Base("r.example.org/a:1"), "linux-64", store=other, config=Config())

    def test_pinned_to_an_index(self, store: Store, other: Store, real: Registry) -> None:
        digest = send(store, real.host, *(made(store, 10, platform=p) for p in ("linux-64", "linux-aarch64"))).digest
        base = Base(f"{real.host}/{NAME}", digest, digest)
        with pytest.raises(UsageError, match="is an index"):
            pull_base(base, "linux-64", store=other, config=Config())

    def test_another_platform(self, other: Store, real: Registry, picture: Image) -> None:
        base = Base(f"{real.host}/{NAME}", "", picture.manifest.digest)
        with pytest.raises(UsageError, match="is for linux/amd64, not for linux/arm64"):
            pull_base(base, "linux-aarch64", store=other, config=Config())

    @pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
    def test_wrong_bytes(self, other: Store, middle: Proxy, picture: Image, part: str) -> None:
        middle.fault("GET", part, flipped)
        with pytest.raises(IntegrityError, match="not what its digest says"):
            pull(other, middle.host, picture)
        assert not any((other.root / "blobs").rglob("*")) or part == "/blobs/"
        middle.mend()
        assert pull(other, middle.host, picture).digest == picture.manifest.digest

    def test_a_layer_of_wrong_bytes(self, other: Store, middle: Proxy, picture: Image) -> None:
        pulled = pull(other, middle.host, picture)
        middle.fault("GET", picture.layers[0].descriptor.digest, flipped)
        with pytest.raises(IntegrityError, match="wrong bytes"):
            bytes_of(pulled, other)
        assert not other.has_blob(picture.layers[0].descriptor.sha256)

    def test_a_layer_that_breaks_off_goes_on(self, other: Store, middle: Proxy, picture: Image) -> None:
        large = picture.layers[0].descriptor
        middle.fault("GET", large.digest, drop_answer(100_000), times=1)
        bytes_of(pull(other, middle.host, picture), other)
        asked = middle.asked_for("GET", large.digest)
        assert "range" not in asked[0].headers
        assert int(asked[1].headers["range"].removeprefix("bytes=").rstrip("-")) >= 90_000

    def test_a_pull_that_is_killed_goes_on(self, other: Store, middle: Proxy, picture: Image) -> None:
        large = picture.layers[0].descriptor

        def half_then_nothing(relay: Any) -> None:
            relay.relay(most=200_000)
            hang(relay)

        middle.fault("GET", large.digest, half_then_nothing)
        code = (
            "import sys; from test_pull import *; store = Store.open(Path(sys.argv[1])); "
            "base = Base(sys.argv[2] + '/' + NAME, '', sys.argv[3]); "
            "bytes_of(pull_base(base, 'linux-64', store=store, config=Config()), store)"
        )
        paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(other.root), middle.host, picture.manifest.digest],
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            assert middle.busy.wait(60)
            partial = other.root / "partial" / large.sha256
            while partial.stat().st_size < 150_000:
                assert child.poll() is None
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        middle.mend()
        bytes_of(pull(other, middle.host, picture), other)
        assert int(middle.asked_for("GET", large.digest)[0].headers["range"][6:-1]) >= 150_000
        assert other.verify() == ()

    def test_a_damaged_store_is_mended(self, other: Store, real: Registry, picture: Image) -> None:
        pull(other, real.host, picture)
        for sha256 in (picture.manifest.digest[7:], picture.config.digest[7:]):
            path = other.blob_path(sha256)
            data = path.read_bytes()
            status = path.stat()
            path.chmod(0o644)
            path.write_bytes(data[:-1] + b"!")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert pull(other, real.host, picture).digest == picture.manifest.digest

    def test_a_layer_that_the_registry_lost(self, other: Store, middle: Proxy, picture: Image) -> None:
        pulled = pull(other, middle.host, picture)
        middle.fault("GET", "/blobs/", status(404))
        with pytest.raises(NotFoundError):
            bytes_of(pulled, other)

    def test_more_diff_ids_than_layers(self, other: Store, real: Registry, picture: Image) -> None:
        value = json.loads(picture.manifest.data)
        value["layers"] = value["layers"][:1]
        digest = put(real, value, value["mediaType"])
        with pytest.raises(IntegrityError, match="1 layers and 2 diff IDs"):
            pull_base(Base(f"{real.host}/{NAME}", "", digest), "linux-64", store=other, config=Config())

    def test_a_configuration_of_another_size(self, other: Store, real: Registry, picture: Image) -> None:
        value = json.loads(picture.manifest.data)
        value["config"]["size"] += 1
        digest = put(real, value, value["mediaType"])
        with pytest.raises(IntegrityError, match="not what its digest says"):
            pull_base(Base(f"{real.host}/{NAME}", "", digest), "linux-64", store=other, config=Config())

    def test_a_configuration_that_is_huge(self, other: Store, real: Registry, picture: Image) -> None:
        value = json.loads(picture.manifest.data)
        value["config"]["size"] = 1 << 30
        digest = put(real, value, value["mediaType"])
        with pytest.raises(IntegrityError, match="larger than 16 MiB"):
            pull_base(Base(f"{real.host}/{NAME}", "", digest), "linux-64", store=other, config=Config())

    def test_several_layers_at_once(self, other: Store, real: Registry, picture: Image) -> None:
        pulled = pull(other, real.host, picture)
        found = pulled.origin.obtain_all([layer.descriptor for layer in pulled.layers], other)  # type: ignore[union-attr]
        assert [blob.digest for blob in found] == [layer.descriptor.digest for layer in picture.layers]
        assert all(other.has_blob(layer.descriptor.sha256) for layer in picture.layers)
