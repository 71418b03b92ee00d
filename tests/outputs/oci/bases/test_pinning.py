"""Pinning what a reference leads to, and opening what is pinned: a real registry, private ones, nothing at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from registry_samples import made, send
from support.registries import Registry, registry

from hermetic.config import Config
from hermetic.errors import CredentialsError, NetworkError, OfflineError, UsageError
from hermetic.lock.model import Base
from hermetic.outputs.oci.bases import open_base, pin_base
from hermetic.outputs.oci.credentials import Login
from hermetic.outputs.oci.image import image_index
from hermetic.platforms import Accelerator
from hermetic.store import Store

pytestmark = pytest.mark.usefixtures("home")
LINUX, ARM = "linux-64", "linux-aarch64"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def test_an_index_is_pinned_for_each_platform(store: Store, real: Registry) -> None:
    x86, arm = made(store, 100), made(store, 100, platform=ARM)
    send(store, real.host, x86, arm, name="team/base:1")
    reference = f"{real.host}/team/base:1"
    pinned = pin_base(reference, [LINUX, ARM], store=store, config=Config())
    index = image_index((x86, arm)).digest
    assert pinned == {
        LINUX: Base(reference, index, x86.manifest.digest),
        ARM: Base(reference, index, arm.manifest.digest),
    }
    opened = open_base(pinned[ARM], ARM, store=store, config=Config())
    assert (opened.digest, [layer.diff_id for layer in opened.layers]) == (
        arm.manifest.digest,
        [layer.diff_id for layer in arm.layers],
    )


def test_a_name_that_leads_to_no_index_has_one_digest(store: Store, real: Registry) -> None:
    x86 = made(store, 100)
    send(store, real.host, x86, name="team/base:1")
    pinned = pin_base(f"{real.host}/team/base:1", [LINUX], store=store, config=Config())[LINUX]
    assert pinned.index == pinned.manifest == x86.manifest.digest
    with pytest.raises(UsageError, match=ARM):
        pin_base(f"{real.host}/team/base:1", [ARM], store=store, config=Config())


def test_what_is_pinned_stays_when_the_tag_moves(store: Store, real: Registry, tmp_path: Path) -> None:
    old, new = made(store, 100), made(store, 100, seed=2)
    reference = f"{real.host}/team/base:1"
    send(store, real.host, old, name="team/base:1")
    pinned = pin_base(reference, [LINUX], store=store, config=Config())[LINUX]
    send(store, real.host, new, name="team/base:1")
    fresh = Store.open(tmp_path / "fresh")
    assert open_base(pinned, LINUX, store=fresh, config=Config()).digest == old.manifest.digest
    again = pin_base(reference, [LINUX], store=store, config=Config())[LINUX]
    assert again.manifest == new.manifest.digest


def test_a_name_of_the_catalogue_is_pinned_by_its_reference(store: Store, real: Registry, tmp_path: Path) -> None:
    image = made(store, 100)
    send(store, real.host, image, name="azureml/openmpi4.1.0-ubuntu22.04:latest")
    config = Config(registries={"microsoft": f"http://{real.host}"})
    pinned = pin_base("azureml-ubuntu22.04", [LINUX], store=store, config=config)[LINUX]
    assert pinned == Base("azureml-ubuntu22.04", image.manifest.digest, image.manifest.digest)
    opened = open_base(pinned, LINUX, store=Store.open(tmp_path / "fresh"), config=config)
    assert (opened.reference, opened.digest) == ("microsoft/azureml/openmpi4.1.0-ubuntu22.04", image.manifest.digest)


def test_the_default_follows_the_accelerator_and_the_configured_mirror(store: Store, real: Registry) -> None:
    image = made(store, 100)
    send(store, real.host, image, name="mirror/nvidia/cuda:12.4.1-base-ubuntu22.04")
    from hermetic.outputs.oci.reference import default_names

    config = Config(registries={default_names()[0]: f"http://{real.host}/mirror"})
    pinned = pin_base("", [LINUX], Accelerator("cuda", "12.4"), store=store, config=config)[LINUX]
    assert pinned == Base("nvidia/cuda:12.4.1-base-ubuntu22.04", image.manifest.digest, image.manifest.digest)


def test_a_private_registry_opens_with_what_the_environment_says(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path, user="me", password="hunter2") as private:
        login = Login("me", "${BASE_PASSWORD}")
        monkeypatch.setenv("BASE_PASSWORD", "hunter2")
        image = made(store, 100)
        send(store, private.host, image, name="team/base:1", login=login)
        reference = f"{private.host}/team/base:1"
        pinned = pin_base(reference, [LINUX], store=store, config=Config(), login=login)[LINUX]
        assert "hunter2" not in repr(pinned)
        fresh = Store.open(tmp_path / "fresh")
        opened = open_base(pinned, LINUX, store=fresh, config=Config(), login=login)
        assert opened.digest == image.manifest.digest
        with pytest.raises(CredentialsError) as caught:
            pin_base(reference, [LINUX], store=store, config=Config())
        assert caught.value.remedy
        with pytest.raises(CredentialsError):
            pin_base(reference, [LINUX], store=store, config=Config(), login=replace(login, password="wrong"))


def test_scratch_is_nothing(store: Store) -> None:
    pinned = pin_base("scratch", [LINUX, ARM], store=store, config=Config(offline=True))
    assert pinned == {LINUX: Base("scratch"), ARM: Base("scratch")}
    opened = open_base(pinned[ARM], ARM, store=store, config=Config(offline=True))
    assert (opened.reference, opened.digest, opened.layers) == ("", "", ())
    assert opened.config == {"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}


def test_what_cannot_be(store: Store, real: Registry) -> None:
    for reference, platform, error, reason in (
        ("scratch", "osx-arm64", UsageError, "no images for osx-arm64"),
        ("dockerfile", LINUX, UsageError, "no Dockerfile is declared"),
        ("Not A Reference", LINUX, UsageError, "no reference to an image"),
        (f"{real.host}/nobody/nothing:1", LINUX, NetworkError, "nothing"),
    ):
        with pytest.raises(error, match=reason):
            pin_base(reference, [platform], store=store, config=Config())
    with pytest.raises(OfflineError):
        pin_base(f"{real.host}/team/base:1", [LINUX], store=store, config=Config(), offline=True)
