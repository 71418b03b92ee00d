"""Images into a real registry: what is sent, what is not, and what a second try does."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import urllib3
from registry_samples import CHUNK, Told, made, send, size_of
from support.mounts import room
from support.registries import Registry, skopeo
from support.registry_proxy import (
    Proxy,
    after,
    drop_request,
    hang,
    header,
    lose_answer,
    proxy,
    status,
)
from support.small_images import image

from hermetic.config import Config
from hermetic.digest import sha256_bytes
from hermetic.errors import (
    CredentialsError,
    HermeticError,
    IntegrityError,
    NetworkError,
    OfflineError,
    UsageError,
)
from hermetic.outputs.oci.model import BaseImage, Blob, Descriptor, Layer
from hermetic.outputs.oci.pull import image_exists, resolve
from hermetic.outputs.oci.push import PushResult, push
from hermetic.outputs.oci.pushing import present_blobs
from hermetic.outputs.oci.registry import Registry as HttpRegistry
from hermetic.outputs.oci.registry_uploads import Target
from hermetic.store import Store
from hermetic.store.uploads import UploadNote

BLOBS, UPLOADS, MANIFESTS = "/blobs/sha256", "/blobs/uploads/", "/manifests/"

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def starts(middle: Proxy) -> list[int]:
    """Where in their blob the pieces that came began."""
    return [int(asked.headers["content-range"].partition("-")[0]) for asked in middle.asked_for("PATCH")]


class TestPush:
    def test_what_arrives_is_what_was_made(self, store: Store, real: Registry, tmp_path: Path) -> None:
        picture = made(store, 250_000, 1000)
        told = Told()
        result = send(store, real.host, picture, tags=["latest"], reporter=told)
        assert result == PushResult(
            f"{real.host}/team/app@{picture.manifest.digest}",
            picture.manifest.digest,
            ("1", "latest"),
            sent=size_of(picture) + picture.manifest.size,
            uploaded=3,
        )
        assert told.done == told.total == size_of(picture) - picture.manifest.size
        assert real.inspect("team/app:latest")["Digest"] == picture.manifest.digest
        skopeo("copy", *real.flags("src"), f"docker://{real.host}/team/app:1", f"oci:{tmp_path / 'out'}:1")
        for one in picture.layers:
            path = tmp_path / "out/blobs/sha256" / one.descriptor.sha256
            assert sha256_bytes(path.read_bytes()) == one.descriptor.sha256

    def test_nothing_changed_costs_one_question(self, store: Store, middle: Proxy) -> None:
        picture = made(store, 1000)
        send(store, middle.host, picture)
        middle.mend()
        assert send(store, middle.host, picture).sent == 0
        assert [(asked.method, asked.path) for asked in middle.asked] == [("HEAD", "/v2/team/app/manifests/1")]

    def test_another_tag_of_what_is_there_sends_a_manifest(self, store: Store, middle: Proxy) -> None:
        picture = made(store, 1000)
        send(store, middle.host, picture)
        middle.mend()
        result = send(store, middle.host, picture, name="team/app:2")
        assert (result.sent, result.uploaded) == (picture.manifest.size, 0)
        assert middle.received == picture.manifest.size

    def test_a_changed_layer_sends_that_layer(self, store: Store, middle: Proxy) -> None:
        same, old, new = (made(store, 50_000, seed=seed).layers[0] for seed in (1, 2, 3))
        send(store, middle.host, image([same, old]))
        middle.mend()
        result = send(store, middle.host, image([same, new]))
        assert (result.uploaded, result.present) == (2, 1)  # the layer and the configuration
        assert middle.received == result.sent < new.descriptor.size + 2000

    def test_a_base_is_mounted_from_its_repository(self, store: Store, real: Registry, middle: Proxy) -> None:
        base = made(store, 90_000)
        send(store, middle.host, base, name="team/base:1")
        top = made(store, 500, seed=2)
        other = Store.open(store.root.parent / "other")
        for part in top.layers[0].blob.parts:  # type: ignore[union-attr]
            other.put_file(store.blob_path(part))
        below = replace(base.layers[0], blob=None)  # its bytes were never here
        ours = replace(
            image([below, *top.layers]), base=BaseImage(layers=(below,), repository=f"{middle.host}/team/base")
        )
        middle.mend()
        result = send(other, middle.host, ours)
        assert (result.mounted, result.uploaded) == (1, 2)
        assert middle.received == result.sent < 5000
        assert real.inspect("team/app:1")["Digest"] == ours.manifest.digest

    def test_a_base_that_cannot_be_mounted_is_sent(self, store: Store, middle: Proxy) -> None:
        base = made(store, 90_000)
        send(store, middle.host, base, name="team/base:1")
        store = Store.open(store.root.parent / "other")
        mounted = base.layers[0]
        copied = made(store, 90_000).layers[0]
        assert copied == mounted
        ours = replace(image([copied]), base=BaseImage(layers=(copied,), repository=f"{middle.host}/team/not-there"))
        result = send(store, middle.host, ours, name="team/app:1")
        assert (result.mounted, result.uploaded) == (0, 2)
        assert len(middle.asked_for("POST", "mount=")) == 1

    def test_a_base_elsewhere_is_fetched_and_sent(self, store: Store, middle: Proxy) -> None:
        below = made(store, 90_000).layers[0]

        class Elsewhere:
            asked: ClassVar[list[Descriptor]] = []

            def obtain(self, wanted: Descriptor, _store: Store) -> Blob:
                self.asked.append(wanted)
                assert below.blob
                return below.blob

        far = replace(below, blob=None)
        base = BaseImage(layers=(far,), repository="registry.example.org/team/base", origin=Elsewhere())
        result = send(store, middle.host, replace(image([far]), base=base))
        assert (result.uploaded, result.mounted) == (2, 0)
        assert Elsewhere.asked == [below.descriptor]
        assert send(store, middle.host, replace(image([far]), base=base), name="team/more:1").uploaded == 0
        assert len(Elsewhere.asked) == 1

    def test_a_layer_that_nobody_has(self, store: Store, real: Registry) -> None:
        lost: Layer = replace(made(store, 10).layers[0], blob=None)
        with pytest.raises(IntegrityError, match="nothing is known"):
            send(store, real.host, image([lost]))

    def test_what_was_sent_to_a_neighbour_is_mounted(self, store: Store, middle: Proxy) -> None:
        picture = made(store, 150_000, 2000)
        send(store, middle.host, picture, name="hermetic/env_1:latest")
        middle.mend()
        result = send(store, middle.host, picture, name="hermetic/env_2:latest")
        assert (result.mounted, result.uploaded, result.sent) == (3, 0, picture.manifest.size)
        assert middle.received == picture.manifest.size

    def test_another_machine_mounts_from_a_neighbour_that_it_names(
        self, store: Store, middle: Proxy, tmp_path: Path
    ) -> None:
        picture = made(store, 150_000)
        send(store, middle.host, picture, name="hermetic/env_1:latest")
        other = Store.open(tmp_path / "other")
        made(other, 150_000)
        middle.mend()
        neighbours = [f"{middle.host}/hermetic/env_1", "registry.example.org/not/near"]
        result = send(other, middle.host, picture, name="hermetic/env_2:latest", neighbours=neighbours)
        assert (result.mounted, result.sent) == (2, picture.manifest.size)

    def test_what_need_not_be_sent_is_known_before(self, store: Store, middle: Proxy) -> None:
        picture, more = made(store, 1000, 2000), made(store, 3000, seed=2)
        send(store, middle.host, picture)
        digests = [layer.descriptor.digest for layer in (*picture.layers, *more.layers)]
        for name in ("team/app:9", "team/neighbour:1"):
            found = present_blobs(digests, f"{middle.host}/{name}", store=store, config=Config())
            assert found == set(digests[:2])

    def test_a_blob_elsewhere_that_answers_only_get(self, store: Store, real: Registry, middle: Proxy) -> None:
        """As registries do whose blobs lie in an object store: the redirect itself says that it is there."""
        picture = made(store, 1000)
        with proxy(real.host) as elsewhere:
            elsewhere.fault("*", "/", status(403))
            middle.fault("HEAD", BLOBS, status(307, {"Location": f"{elsewhere.url}/signed?x=1"}))
            with pytest.raises(NetworkError, match="400"):  # the registry, which knows better, asks for its blobs
                send(store, middle.host, picture)
        assert middle.asked_for("POST", UPLOADS) == []

    def test_several_platforms_become_one_index(self, store: Store, real: Registry) -> None:
        images = [made(store, 5000, platform=platform) for platform in ("linux-64", "linux-aarch64")]
        result = send(store, real.host, *images)
        raw = skopeo("inspect", "--raw", *real.flags(), f"docker://{real.host}/team/app:1")
        assert f"sha256:{sha256_bytes(raw.encode())}" == result.digest
        assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [i.manifest.digest for i in images]
        assert result.uploaded == 3  # one layer is the same
        assert set(resolve(f"{real.host}/team/app:1", config=Config()).manifests) == {"linux-64", "linux-aarch64"}
        assert send(store, real.host, *images).sent == 0

    def test_by_digest_alone(self, store: Store, real: Registry) -> None:
        picture = made(store, 100)
        name = f"team/app@{picture.manifest.digest}"
        assert send(store, real.host, picture, name=name).tags == ()
        assert image_exists(f"{real.host}/{name}", config=Config()) == picture.manifest.digest
        assert image_exists(f"{real.host}/team/app", config=Config()) is None
        assert send(store, real.host, picture, name=name).sent == 0

    def test_a_digest_that_is_another(self, store: Store, real: Registry) -> None:
        with pytest.raises(UsageError, match="another digest"):
            send(store, real.host, made(store, 10), name=f"team/app@sha256:{'0' * 64}")

    def test_nothing_to_push(self, store: Store) -> None:
        with pytest.raises(UsageError, match="no image"):
            send(store, "127.0.0.1:1")

    def test_offline(self, store: Store) -> None:
        with pytest.raises(OfflineError, match="offline"):
            push([made(store, 10)], "127.0.0.1:1/a:1", store=store, config=Config(offline=True))

    @pytest.mark.parametrize("tag", ["", ".a", "a b", "x" * 129])
    def test_tags_that_are_none(self, store: Store, tag: str) -> None:
        with pytest.raises(UsageError, match="no tag"):
            send(store, "127.0.0.1:1", made(store, 10), tags=[tag])

    def test_a_registry_with_a_path_before_its_repositories(self, store: Store, real: Registry) -> None:
        picture = made(store, 1000)
        config = Config(registries={"lab": f"{real.url}/deep/down"})
        assert push([picture], "lab/team/app:1", store=store, config=config).uploaded == 2
        assert real.inspect("deep/down/team/app:1")["Digest"] == picture.manifest.digest


class TestFaults:
    def test_a_connection_that_drops_in_the_middle(self, store: Store, real: Registry, middle: Proxy) -> None:
        """Distribution forgets an upload that was cut within a PATCH, so that blob begins anew; nothing else does."""
        picture = made(store, 350_000, 1000)
        middle.fault("PATCH", UPLOADS, drop_request(50_000), times=1, skip=1)
        result = send(store, middle.host, picture)
        assert result.uploaded == 3
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest

    def test_a_cut_between_pieces_goes_on_where_it_was(self, store: Store, real: Registry, middle: Proxy) -> None:
        """As behind a server that takes requests whole, or none of them."""
        picture = made(store, 350_000)
        middle.fault("PATCH", UPLOADS, drop_request(50_000, forward=False), times=1, skip=2)
        result = send(store, middle.host, picture)
        assert starts(middle) == [0, 100_000, 200_000, 200_000, 300_000]
        assert len(middle.asked_for("GET", UPLOADS)) == 1
        assert result.sent <= size_of(picture) + CHUNK
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest

    def test_a_registry_that_counts_within_pieces(self, store: Store, real: Registry, middle: Proxy) -> None:
        """An upload that goes on in the middle of a piece, as the specification has it."""
        picture = made(store, 350_000)

        def half(relay: object) -> None:
            """Give the registry half of the piece as if it were all, and say so to the asking client only."""
            length = int(relay.headers["Content-Length"]) // 2  # type: ignore[attr-defined]
            relay.headers.replace_header("Content-Length", str(length))  # type: ignore[attr-defined]
            relay.relay()  # type: ignore[attr-defined]
            relay.close_connection = True  # type: ignore[attr-defined]

        middle.fault("PATCH", UPLOADS, half, times=1, skip=1)  # type: ignore[arg-type]
        send(store, middle.host, picture)
        assert starts(middle) == [0, 100_000, 150_000, 250_000, 350_000]
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest

    def test_a_second_try_sends_only_what_is_missing(
        self, store: Store, real: Registry, middle: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
        picture = made(store, 350_000, 50_000, 40_000)
        large = picture.layers[0].descriptor
        middle.fault("PATCH", UPLOADS, drop_request(1000, forward=False), skip=2)
        with pytest.raises(NetworkError, match="what was sent is kept"):
            send(store, middle.host, picture, jobs=1)
        assert image_exists(f"{real.host}/team/app:1", config=Config()) is None  # the tag comes last
        noted = [path for path in (store.root / "uploads").iterdir() if path.stat().st_size]
        assert len(noted) == 1
        assert noted[0].stat().st_mode & 0o777 == 0o600
        middle.mend()
        result = send(store, middle.host, picture, jobs=1)
        assert [a.headers["content-range"] for a in middle.asked_for("PATCH")] == [
            "200000-299999",
            f"300000-{large.size - 1}",
        ]
        assert result.sent < size_of(picture) - 200_000 + 1
        assert real.inspect("team/app:1")["Layers"][0] == large.digest
        assert list((store.root / "uploads").iterdir()) == []

    def test_a_second_try_leaves_blobs_that_are_there(
        self, store: Store, middle: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
        picture = made(store, 90_000, 80_000, 70_000)
        middle.fault("PUT", UPLOADS, status(500), skip=2)
        with pytest.raises(NetworkError, match="500"):
            send(store, middle.host, picture, jobs=1)
        middle.mend()
        result = send(store, middle.host, picture, jobs=1)
        assert (result.present, result.uploaded) == (2, 2)
        assert middle.received == result.sent < 75_000

    def test_a_push_that_is_killed(self, store: Store, real: Registry, middle: Proxy) -> None:
        picture = made(store, 350_000, 50_000)
        middle.fault("PATCH", UPLOADS, hang, skip=2)
        code = (
            "import sys; from test_push import *; "
            "store = Store.open(Path(sys.argv[1])); send(store, sys.argv[2], made(store, 350_000, 50_000), jobs=2)"
        )
        paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(store.root), middle.host], env={**os.environ, "PYTHONPATH": paths}
        )
        try:
            assert middle.busy.wait(60)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert image_exists(f"{real.host}/team/app:1", config=Config()) is None
        middle.mend()
        result = send(store, middle.host, picture)
        assert result.sent < size_of(picture) - 200_000 + 1
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest
        assert store.verify() == ()

    def test_an_upload_that_the_registry_has_forgotten(
        self, store: Store, real: Registry, middle: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
        picture = made(store, 350_000)
        middle.fault("PATCH", UPLOADS, status(500), skip=2)
        with pytest.raises(NetworkError):
            send(store, middle.host, picture)
        middle.mend()
        monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "1")
        middle.fault("GET", UPLOADS, status(404))
        send(store, middle.host, picture)
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest

    def test_an_upload_that_holds_something_else(self, store: Store, real: Registry) -> None:
        picture = made(store, 350_000)
        wanted = picture.layers[0].descriptor.digest
        client = urllib3.PoolManager()
        begun = client.request("POST", f"{real.url}/v2/team/app/blobs/uploads/")
        wrong = client.request("PATCH", begun.headers["Location"], body=b"!" * 150_000)
        target = Target(HttpRegistry(real.host, Config()), "team/app", store, threading.Event(), print, CHUNK)
        with UploadNote(store, target.note_key(wanted)) as note:
            note.write({"location": wrong.headers["Location"]})
        assert send(store, real.host, picture).sent > 350_000
        assert real.inspect("team/app:1")["Layers"] == [wanted]

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
    def test_an_answer_that_is_lost(self, store: Store, real: Registry, middle: Proxy, method: str) -> None:
        picture = made(store, 150_000)
        middle.fault(method, UPLOADS, lose_answer, times=1)
        assert send(store, middle.host, picture).uploaded == 2
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest

    @pytest.mark.parametrize(
        ("method", "part"),
        [
            ("HEAD", MANIFESTS),
            ("HEAD", BLOBS),
            ("POST", UPLOADS),
            ("PATCH", UPLOADS),
            ("PUT", UPLOADS),
            ("PUT", MANIFESTS),
        ],
    )
    @pytest.mark.parametrize("code", [429, 500, 503])
    def test_what_may_go_better_is_tried_again(
        self, store: Store, real: Registry, middle: Proxy, method: str, part: str, code: int
    ) -> None:
        picture = made(store, 150_000)
        middle.fault(method, part, status(code, {"Retry-After": "0"}), times=2)
        send(store, middle.host, picture, jobs=1)
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest

    @pytest.mark.parametrize("part", [MANIFESTS, BLOBS, UPLOADS])
    @pytest.mark.parametrize("code", [401, 403])
    def test_a_refusal_is_no_absence(self, store: Store, middle: Proxy, part: str, code: int) -> None:
        body = json.dumps({"errors": [{"code": "DENIED", "message": "not you"}]}).encode()
        middle.fault("*", part, status(code, body=body))
        with pytest.raises(CredentialsError, match=str(code)) as caught:
            send(store, middle.host, made(store, 1000))
        assert "docker login" in str(caught.value)
        assert len(middle.asked_for("PUT", MANIFESTS)) == 0

    def test_a_busy_registry_says_when(self, store: Store, middle: Proxy) -> None:
        middle.fault("POST", UPLOADS, status(429, {"Retry-After": "3600"}))
        with pytest.raises(NetworkError, match="3600 seconds"):
            send(store, middle.host, made(store, 1000))

    @pytest.mark.parametrize("code", [400, 405, 418])
    def test_other_answers_are_errors(self, store: Store, middle: Proxy, code: int) -> None:
        body = json.dumps({"errors": [{"code": "WEIRD", "message": "no\nway\x1b[31m"}]}).encode()
        middle.fault("HEAD", BLOBS, status(code))
        with pytest.raises(NetworkError, match=str(code)):
            send(store, middle.host, made(store, 1000))
        middle.mend()
        middle.fault("PUT", MANIFESTS, status(code, body=body))
        with pytest.raises(NetworkError, match=rf"{code} \(WEIRD: no way \[31m\)"):
            send(store, middle.host, made(store, 1000))

    def test_a_proxy_that_takes_only_small_bodies(self, store: Store, real: Registry, middle: Proxy) -> None:
        picture = made(store, 3_000_000)

        def small_only(relay: object) -> None:
            if int(relay.headers.get("Content-Length") or 0) > 1_200_000:  # type: ignore[attr-defined]
                status(413)(relay)  # type: ignore[arg-type]
            else:
                relay.relay()  # type: ignore[attr-defined]

        middle.fault("*", UPLOADS, small_only)  # type: ignore[arg-type]
        push([picture], f"{middle.host}/team/app:1", store=store, config=Config())
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest
        assert max(asked.received for asked in middle.asked if asked.status < 300) <= 1_200_000

    def test_bytes_that_change_on_the_way(self, store: Store, real: Registry, middle: Proxy) -> None:
        picture = made(store, 1000)

        def spoilt(relay: object) -> None:
            body = b"".join(relay.body())  # type: ignore[attr-defined]
            wrong = body[:-1] + bytes([body[-1] ^ 1]) if body else body
            relay.body = lambda: iter((wrong,))  # type: ignore[attr-defined]
            try:
                relay.relay()  # type: ignore[attr-defined]
            finally:
                del relay.body  # type: ignore[attr-defined]

        middle.fault("PUT", UPLOADS, spoilt, times=1)  # type: ignore[arg-type]
        send(store, middle.host, picture, jobs=1)
        middle.fault("PUT", UPLOADS, spoilt)  # type: ignore[arg-type]
        with pytest.raises(IntegrityError, match="other bytes than were sent"):
            send(store, middle.host, made(store, 2000), jobs=1)

    @pytest.mark.parametrize("part", [UPLOADS, MANIFESTS])
    def test_a_registry_that_keeps_something_else(self, store: Store, middle: Proxy, part: str) -> None:
        middle.fault("PUT", part, header("Docker-Content-Digest", f"sha256:{'0' * 64}"))
        with pytest.raises(IntegrityError, match="kept something else"):
            send(store, middle.host, made(store, 1000))

    def test_a_registry_that_has_something_else(self, store: Store, middle: Proxy) -> None:
        middle.fault("HEAD", BLOBS, status(200, {"Content-Length": "7"}))
        with pytest.raises(IntegrityError, match="has something else there"):
            send(store, middle.host, made(store, 1000))

    @pytest.mark.parametrize("how", ["gone", "changed", "short"])
    def test_a_store_whose_disk_is_bad(self, store: Store, real: Registry, how: str) -> None:
        picture = made(store, 1000)
        blob = picture.layers[0].blob
        assert blob
        path = store.blob_path(blob.parts[1])
        data = path.read_bytes()
        path.unlink()
        if how != "gone":
            path.write_bytes(data[:-1] if how == "short" else data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(IntegrityError, match="store's copy is damaged"):
            send(store, real.host, picture)
        assert not store.has_blob(blob.parts[1])

    def test_somebody_else_moves_the_tag(self, store: Store, real: Registry, middle: Proxy) -> None:
        ours, theirs = made(store, 1000), made(store, 1000, seed=2)
        told = Told()
        middle.fault("PUT", f"{MANIFESTS}1", after(lambda: send(store, real.host, theirs)), times=1)
        result = send(store, middle.host, ours, reporter=told)
        assert len(told.warnings) == 1
        assert theirs.manifest.digest in told.warnings[0]
        assert result.reference in told.warnings[0]
        assert image_exists(f"{real.host}/team/app:1", config=Config()) == theirs.manifest.digest
        assert image_exists(f"{real.host}/team/app@{ours.manifest.digest}", config=Config()) == ours.manifest.digest

    def test_a_registry_that_is_not_there(self, store: Store, real: Registry) -> None:
        real.stop()
        with pytest.raises(NetworkError, match=r"no connection .*3 tries"):
            send(store, real.host, made(store, 10))

    def test_a_registry_that_starts_again(self, store: Store, real: Registry, middle: Proxy) -> None:
        picture = made(store, 350_000)

        def again(relay: object) -> None:
            real.stop()
            real.start()
            relay.close_connection = True  # type: ignore[attr-defined]

        middle.fault("PATCH", UPLOADS, again, times=1, skip=2)  # type: ignore[arg-type]
        result = send(store, middle.host, picture)
        assert result.sent <= size_of(picture) + 2 * CHUNK  # Distribution may forget what it was writing
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest

    @pytest.mark.parametrize(
        ("method", "part"), [("HEAD", BLOBS), ("POST", UPLOADS), ("PUT", UPLOADS), ("PUT", MANIFESTS)]
    )
    def test_a_registry_that_says_nothing(
        self, store: Store, middle: Proxy, monkeypatch: pytest.MonkeyPatch, method: str, part: str
    ) -> None:
        monkeypatch.setenv("HERMETIC_HTTP_TIMEOUT", "0.3")
        monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
        middle.fault(method, part, hang, times=1)
        with pytest.raises(NetworkError, match="did not answer in time"):
            send(store, middle.host, made(store, 1000))

    def test_a_registry_that_wants_its_repositories_made(self, store: Store, middle: Proxy) -> None:
        middle.fault("POST", UPLOADS, status(404))
        with pytest.raises(NetworkError, match="takes nothing under this name") as caught:
            send(store, middle.host, made(store, 1000))
        assert "repository to be made" in str(caught.value)

    @pytest.mark.parametrize("seed", range(8))
    def test_whatever_happens_the_next_try_goes_on(
        self, store: Store, real: Registry, middle: Proxy, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        """Faults by chance, no patience: tries until it works, each of which sends less than the image."""
        monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
        chance = random.Random(seed)
        picture = made(store, 350_000, 150_000, 50_000, 1000, seed=seed)
        faults = [status(500), status(429), lose_answer, drop_request(3000), drop_request(70_000, forward=False)]
        for _ in range(10):
            middle.fault(
                chance.choice(["POST", "PATCH", "PUT", "GET"]),
                chance.choice([UPLOADS, MANIFESTS]),
                chance.choice(faults),
                times=1,
                skip=chance.randrange(4),
            )
        for _ in range(20):
            try:
                result = send(store, middle.host, picture, jobs=chance.choice([1, 4]))
            except NetworkError:
                assert image_exists(f"{real.host}/team/app:1", config=Config()) in {None, picture.manifest.digest}
                continue
            break
        assert result.digest == picture.manifest.digest
        assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest
        assert {layer.descriptor.digest for layer in picture.layers} <= real.blobs()
        assert list((store.root / "uploads").iterdir()) == []

    def test_a_failure_of_one_ends_all(self, store: Store, middle: Proxy) -> None:
        picture = made(store, *range(10_000, 10_020))
        middle.fault("PUT", UPLOADS, status(418), skip=2)
        with pytest.raises(HermeticError, match="418"):
            send(store, middle.host, picture)
        assert len(middle.asked_for("PUT", UPLOADS)) < 10


@pytest.mark.parametrize("how", ["read-only", "full"])
def test_a_store_that_takes_nothing(store: Store, real: Registry, middle: Proxy, tmp_path: Path, how: str) -> None:
    """Pushing reads; what it would remember for the next time is not worth an error."""
    picture = made(store, 350_000)
    middle.fault("PATCH", UPLOADS, status(503), times=1, skip=1)
    code = (
        "import sys; from test_push import *; "
        "store = Store.open(Path(sys.argv[1])); send(store, sys.argv[2], made(store, 350_000))"
    )
    with room() as here:
        place = store.root
        if how == "read-only":
            here.read_only(place)
        else:
            place = tmp_path / "disk"
            here.small(place, 4_000_000)
            shutil.copytree(store.root, here.seen(place) / "store")
            here.fill(place)
            place /= "store"
        paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        command = [*here.within(tmp_path), sys.executable, "-c", code, str(place), middle.host]
        ran = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
        )
    assert ran.returncode == 0, ran.stderr
    assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest


def test_two_pushes_at_once(store: Store, real: Registry) -> None:
    picture = made(store, 350_000, 200_000, 1000)
    errors: list[BaseException] = []

    def one() -> None:
        try:
            send(store, real.host, picture)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert real.inspect("team/app:1")["Digest"] == picture.manifest.digest
    assert list((store.root / "uploads").iterdir()) == []
