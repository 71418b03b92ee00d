"""A pinned environment.yml says as a spec what the lock says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml
from addresses import conda_address
from lock_samples import LOCK, changed, conda, wheel

from hermetic.lock.check import check
from hermetic.lock.formats.environment_yml import format_environment_yml
from hermetic.spec.load import load_spec

LINUX = LOCK.platforms["linux-64"]


def test_every_package_is_pinned() -> None:
    value = yaml.safe_load(format_environment_yml(LINUX, conda_address, name="demo"))
    assert value == {
        "name": "demo",
        "channels": ["https://conda.example.org/demo", "nodefaults"],
        "dependencies": [
            "libzlib=1.3.1=h1_0", "numpy=1.26.4=py311h1_0", "python=3.11.9=h1_0", "python_abi=3.11=1_cp311",
            "tzdata=2024a=h1_0", "pip",
            {"pip": ["certifi==2024.7.4", "fast==2.0", "requests==2.32.3", "tiny==1.0"]},
        ],
        "variables": {"OMP_NUM_THREADS": "1"},
    }  # fmt: skip


def test_builds_can_be_left_out_and_pip_is_not_named_twice() -> None:
    lock = changed(LOCK, "linux-64", conda("pip", "24.0", "python")).platforms["linux-64"]
    value = yaml.safe_load(format_environment_yml(lock, conda_address, builds=False))
    assert "numpy=1.26.4" in value["dependencies"]
    assert "pip=24.0" in value["dependencies"]
    assert "pip" not in value["dependencies"]
    assert "name" not in value


def test_wheels_of_other_indexes_and_addresses() -> None:
    index = replace(wheel("fast", "2.0"), index="https://index.example.org/simple")
    direct = replace(wheel("tiny", "1.0"), url="https://files.example.org/own/tiny-1.0-py3-none-any.whl")
    lock = changed(LOCK, "linux-64", index, direct).platforms["linux-64"]
    pip = yaml.safe_load(format_environment_yml(lock, conda_address))["dependencies"][-1]["pip"]
    assert pip[0] == "--extra-index-url https://index.example.org/simple"
    assert pip[-1] == "tiny @ https://files.example.org/own/tiny-1.0-py3-none-any.whl"


def test_a_lock_without_wheels_has_no_pip_section() -> None:
    value = yaml.safe_load(format_environment_yml(replace(LINUX, wheels=(), variables=()), conda_address))
    assert all(isinstance(entry, str) for entry in value["dependencies"])
    assert "variables" not in value


def test_the_lock_meets_the_spec_that_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "environment.yml"
    path.write_text(format_environment_yml(LINUX, conda_address))
    spec = load_spec([path], platforms=["linux-64"])
    here = replace(LINUX, conda=(*(replace(p, channel=spec.channels[0]) for p in LINUX.conda),
                                 conda("pip", "24.0", "python", channel=spec.channels[0])))  # fmt: skip
    assert check(spec, replace(LOCK, spec=spec.to_dict(), platforms={"linux-64": here}), deep=True) == ()
