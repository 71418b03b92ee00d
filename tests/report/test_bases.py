"""Bases as a person reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lock_samples import IMAGE, LOCK, REGISTRY_BASE

from hermetic.lock.model import Base
from hermetic.outputs.oci.bases import catalogue
from hermetic.project.basing import BaseOutcome, PinnedBase
from hermetic.report.bases import catalogue_text, catalogue_value, outcome_text

PATH = Path("lockfiles/default.lock.json")
EMBEDDED = IMAGE.base


def told(*bases: PinnedBase) -> list[str]:
    return outcome_text(BaseOutcome("default", PATH, bases, LOCK)).splitlines()


def test_a_first_pin_says_what_it_is() -> None:
    assert told(PinnedBase("linux-64", None, EMBEDDED), PinnedBase("linux-aarch64", None, Base("scratch"))) == [
        "default: lockfiles/default.lock.json",
        "  linux-64: embedded (2 packages, 684 kB)",
        "  linux-aarch64: scratch",
    ]


def test_platforms_with_one_answer_stand_together() -> None:
    bases = [PinnedBase(platform, REGISTRY_BASE, REGISTRY_BASE) for platform in ("linux-64", "linux-aarch64")]
    assert told(*bases) == [
        "default: lockfiles/default.lock.json: nothing moved",
        "  linux-64, linux-aarch64: team/base:1 index sha256:cccccccccccc, manifest sha256:dddddddddddd",
    ]


def test_every_move_has_its_line() -> None:
    files, library = EMBEDDED.packages
    after = replace(EMBEDDED, packages=(replace(files, version="12.5"), replace(library, name="libgcc-s1")))
    assert told(PinnedBase("linux-64", EMBEDDED, after)) == [
        "default: lockfiles/default.lock.json",
        "  linux-64: embedded (2 packages, 684 kB)",
        "    ~  base package base-files  12.4+deb12u9 -> 12.5",
        "    +  base package libgcc-s1   12.2.0-14",
        "    -  base package libstdc++6  12.2.0-14",
    ]


def test_the_catalogue_says_which_registry_is_not_known() -> None:
    text = catalogue_text(catalogue())
    assert "nvidia/cuda:12.4.1-base-ubuntu22.04" in text
    assert "[registries]" in text
    assert "[registries]" not in catalogue_text(catalogue(), ("microsoft",))
    usable = {entry["name"]: entry["usable"] for entry in catalogue_value(catalogue())["bases"]}
    assert usable["debian-12"]
    assert not usable["azureml-cuda-11.8"]
