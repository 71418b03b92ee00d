"""The catalogue: names that people know, one reference each, and the choice that an accelerator makes."""

from __future__ import annotations

import pytest
from lock_samples import conda, platform_lock, wheel

from hermetic.config import Config
from hermetic.errors import UsageError
from hermetic.lock.model import Base, DebianPackage, PlatformLock
from hermetic.outputs.oci.bases import catalogue, default_base
from hermetic.outputs.oci.bases.catalogue import entry_of, expand, glibc_of, is_older
from hermetic.outputs.oci.bases.pinning import check_registry
from hermetic.outputs.oci.reference import parse_reference
from hermetic.platforms import Accelerator


def cuda(version: str) -> Accelerator:
    return Accelerator("cuda", version)


def test_names_and_references_are_unique_and_sound() -> None:
    entries = catalogue()
    assert len({entry.name for entry in entries}) == len({entry.reference for entry in entries}) == len(entries)
    for entry in entries:
        if entry.reference not in {"embedded", "scratch"}:
            reference = parse_reference(entry.reference, [entry.registry] if entry.registry else [])
            assert not entry.registry or reference.registry == entry.registry
            assert entry.glibc
        Accelerator.parse(entry.accelerator)
        assert entry.summary


def test_it_holds_what_users_know() -> None:
    references = {entry.reference for entry in catalogue()}
    assert {
        "debian:bookworm-slim",
        "debian:trixie-slim",
        "ubuntu:22.04",
        "ubuntu:24.04",
        "nvidia/cuda:11.8.0-base-ubuntu22.04",
        "nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04",
        "nvidia/cuda:12.4.1-runtime-ubuntu22.04",
        "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04",
        "microsoft/azureml/openmpi4.1.0-ubuntu20.04",
        "microsoft/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04",
        "embedded",
        "scratch",
    } <= references


def test_a_name_stands_for_its_reference_and_a_reference_for_itself() -> None:
    assert expand("cuda-12.4-base") == "nvidia/cuda:12.4.1-base-ubuntu22.04"
    assert expand("registry.example.org/team/base:1") == "registry.example.org/team/base:1"
    assert expand("embedded") == "embedded"


@pytest.mark.parametrize(
    ("accelerator", "reference"),
    [
        (Accelerator(), "debian:trixie-slim"),
        (cuda("12.4"), "nvidia/cuda:12.4.1-base-ubuntu22.04"),
        (cuda("12.7"), "nvidia/cuda:12.6.3-base-ubuntu24.04"),  # a newer one would want a newer driver
        (cuda("13.0"), "nvidia/cuda:12.9.1-base-ubuntu24.04"),
        (cuda("11.8"), "nvidia/cuda:11.8.0-base-ubuntu22.04"),
    ],
)
def test_the_default_is_the_newest_that_the_driver_runs(accelerator: Accelerator, reference: str) -> None:
    assert default_base(accelerator) == reference


@pytest.mark.parametrize(
    ("lock", "flavour"),
    [
        (platform_lock("linux-64", conda("cuda-cudart", "12.4.127"), wheel("onnxruntime-gpu", "1.19")), "base"),
        (platform_lock("linux-64", conda("cudatoolkit", "11.8")), "base"),
        (platform_lock("linux-64", wheel("torch", "2.4"), wheel("nvidia-cuda-runtime-cu12", "12.4")), "base"),
        (platform_lock("linux-64", conda("tensorflow", "2.17")), "base"),
        (platform_lock("linux-64", wheel("tensorflow", "2.17")), "cudnn-runtime"),
        (platform_lock("linux-64", wheel("cupy-cuda12x", "13")), "runtime"),
        (platform_lock("linux-64", conda("numpy", "2")), "base"),
    ],
)
def test_an_environment_that_brings_cuda_needs_no_second_one(lock: PlatformLock, flavour: str) -> None:
    assert default_base(cuda("12.4"), lock) == f"nvidia/cuda:12.4.1-{flavour.replace('cudnn8', 'cudnn')}-ubuntu22.04"


def test_the_base_has_the_glibc_that_the_lock_assumes() -> None:
    def assuming(glibc: str) -> PlatformLock:
        return platform_lock("linux-64", virtual_packages=(f"__glibc={glibc}=0",))

    assert default_base(Accelerator(), assuming("2.36")) == "debian:trixie-slim"
    assert default_base(cuda("12.8"), assuming("2.39")) == "nvidia/cuda:12.8.1-base-ubuntu24.04"
    for accelerator, glibc in ((cuda("12.4"), "2.39"), (Accelerator(), "2.99")):
        with pytest.raises(UsageError, match="no base for") as caught:
            default_base(accelerator, assuming(glibc))
        assert "--base" in str(caught.value.remedy)


def test_a_driver_older_than_all_that_is_known() -> None:
    with pytest.raises(UsageError, match=r"no base for cuda-11\.2"):
        default_base(cuda("11.2"))


def test_a_registry_that_is_only_a_name_has_to_be_known() -> None:
    for reference in (
        "microsoft/azureml/openmpi4.1.0-ubuntu22.04",
        "microsoft/azureml/openmpi4.1.0-ubuntu22.04:20260101.v1",
        f"microsoft/azureml/openmpi4.1.0-ubuntu22.04@sha256:{'0' * 64}",
    ):
        assert entry_of(reference)
        with pytest.raises(UsageError, match="'microsoft', whose address is not known") as caught:
            check_registry(reference, Config())
        assert "[registries]" in str(caught.value.remedy)
        check_registry(reference, Config(registries={"microsoft": "https://mirror.example.org"}))
    check_registry("microsoft/other:1", Config())  # somebody's repository in the default registry


def test_what_glibc_a_base_has_is_known_where_it_can_be() -> None:
    libc = DebianPackage("libc6", "2.36-9+deb12u9", "amd64", 1, "a" * 64)
    assert glibc_of(Base("embedded", packages=(libc,))) == "2.36"
    assert glibc_of(Base("ubuntu-22.04")) == glibc_of(Base("ubuntu:22.04")) == "2.35"
    assert glibc_of(Base("registry.example.org/team/base:1")) == glibc_of(Base("scratch")) == ""
    assert is_older("2.4", "2.36")
    assert not is_older("2.36", "2.36")
    assert not is_older("", "2.36")
