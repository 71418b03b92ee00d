"""Nix builds a lock's environment with its own fetches and its own store: no nixpkgs, no channel, no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from prefix_samples import config, open_store
from support.images import image_lock
from support.needs import require

from hermetic.lock.file import write_lock
from hermetic.lock.model import Lock, PlatformLock
from hermetic.outputs.prefix import verify_prefix

FUNCTION = Path(__file__).parents[2] / "rules" / "nix"
_OPTIONS = ("substitute", "false"), ("build-users-group", ""), ("sandbox", "false")


class Nix:
    """Nix with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
            **{f"NIX_{kind}_DIR": str(folder / kind.lower()) for kind in ("STORE", "STATE", "LOG", "CONF")},
        }  # fmt: skip

    def build(self, lock: Path, channel: Path, *more: str, extra: str = "") -> subprocess.CompletedProcess[str]:
        text = (
            f'import {FUNCTION} {{ lock = {lock}; python = "{sys.executable}"; platform = "linux-64"; '
            f'channels.demo = "{channel.as_uri()}"; {extra} }}'
        )
        options = [word for name, value in _OPTIONS for word in ("--option", name, value)]
        command = ["nix-build", *options, "--no-out-link", *more, "-E", text]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)


@pytest.fixture
def nix(tmp_path: Path) -> Nix:
    require(shutil.which("nix-build"), "nix is not installed (Debian: nix-bin)")
    return Nix(tmp_path / "nix")


def written(path: Path, lock: PlatformLock) -> Path:
    write_lock(Lock(spec={}, platforms={lock.platform: lock}), path)
    return path


def test_nix_builds_the_very_environment_and_only_what_changed(tmp_path: Path, channel: Path, nix: Nix) -> None:
    lock = image_lock(channel, "prefix-probe", "idna", variables={"GREETING": "good morning"})
    path = written(tmp_path / "a.lock.json", lock)
    built = nix.build(path, channel)
    assert built.returncode == 0, built.stderr
    prefix = Path(built.stdout.strip())
    found = verify_prefix(prefix, lock, store=open_store(tmp_path / "store"), config=config(channel))
    assert {finding.kind for finding in found} == {"mode"}  # Nix makes all of its store read-only
    code = "import idna, sys; print(sys.prefix)"
    ran = subprocess.run([prefix / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(prefix)
    again = nix.build(path, channel)
    assert again.stdout == built.stdout
    assert "building" not in again.stderr
    more = written(tmp_path / "b.lock.json", image_lock(channel, "prefix-probe", "idna", "certifi"))
    plan = nix.build(more, channel, "--dry-run")
    wanted = re.findall(r"[a-z0-9]{32}-(\S+)\.drv", plan.stderr)
    assert sorted(name.partition("-")[0] for name in wanted) == ["certifi", "environment"]


def test_nix_refuses_other_bytes_than_the_locks(tmp_path: Path, channel: Path, nix: Nix) -> None:
    lock = image_lock(channel, "idna")
    packages = tuple(replace(p, sha256="0" * 64) if p.name == "idna" else p for p in lock.conda)
    built = nix.build(written(tmp_path / "a.lock.json", replace(lock, conda=packages)), channel)
    assert built.returncode != 0
    assert "hash mismatch" in built.stderr


@pytest.mark.parametrize(
    ("change", "extra", "said"),
    [
        ({"lock_version": 9}, "", "lock_version 9 is not known"),
        ({"platforms": {}}, "", "the lock has no linux-64"),
    ],
)
def test_what_cannot_be_built_is_told(
    tmp_path: Path, channel: Path, nix: Nix, change: dict[str, object], extra: str, said: str
) -> None:
    path = written(tmp_path / "a.lock.json", image_lock(channel, "idna"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    built = nix.build(path, channel, extra=extra)
    assert built.returncode != 0
    assert said in built.stderr


def test_a_package_without_an_address_is_named(tmp_path: Path, channel: Path, nix: Nix) -> None:
    lock = image_lock(channel, "idna")
    packages = tuple(replace(p, channel="elsewhere") if p.name == "idna" else p for p in lock.conda)
    path = written(tmp_path / "a.lock.json", replace(lock, conda=packages))
    refused = nix.build(path, channel)
    assert "where is idna?" in refused.stderr
    idna = next(channel.glob("noarch/idna-*"))
    found = nix.build(path, channel, "--dry-run", extra=f'addresses = {{ idna = [ "{idna.as_uri()}" ]; }};')
    assert found.returncode == 0, found.stderr
