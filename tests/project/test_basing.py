"""Bases in a project's locks: kept when packages move, pinned, and shown when they move."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from registry_samples import made, send
from support.engine import Engine
from support.registries import Registry, registry

from hermetic.config import Config
from hermetic.errors import DriftError, OfflineError, UsageError
from hermetic.lock.file import read_lock, write_lock
from hermetic.lock.model import Base, ImagePlan
from hermetic.plan.layers import plan_layers
from hermetic.platforms import current_platform
from hermetic.project.basing import open_pinned, pin_environment, with_bases
from hermetic.project.checking import check_locks
from hermetic.project.editing import add_requirements, init_project
from hermetic.project.locking import LockOutcome, lock_declaration, lock_environments
from hermetic.project.project import open_project
from hermetic.report.bases import outcome_text
from hermetic.store import Store

HERE = current_platform()
BASE = Base("team/base:1", index="sha256:" + "c" * 64, manifest="sha256:" + "d" * 64)


def locked_without_base(project: str) -> LockOutcome:
    """Lock as a build on disk does, which needs no base."""
    opened = open_project(project)
    return lock_declaration(opened, opened.declaration("default"))


@pytest.fixture
def project(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    folder = tmp_path / "project"
    folder.mkdir()
    init_project(str(folder), "default", channels=[f"tiny={tiny_channel}"])
    add_requirements(str(folder), None, ["app <2", "python"], lock=False)
    return str(folder)


def imaged(outcome: LockOutcome) -> ImagePlan:
    """Write an image plan into a lock, as `hermetic build --image` does."""
    platform = outcome.lock.platforms[HERE]
    image = ImagePlan(BASE, plan_layers(platform))
    platforms = {**outcome.lock.platforms, HERE: replace(platform, image=image)}
    write_lock(replace(outcome.lock, platforms=platforms), outcome.path)
    return image


def test_an_image_is_kept_when_nothing_moves(project: str) -> None:
    (first,) = lock_environments(project)
    imaged(first)
    before = first.path.read_bytes()
    (again,) = lock_environments(project)
    assert first.path.read_bytes() == before
    assert not again.moves


def test_a_new_package_joins_the_layers_that_there_are(project: str) -> None:
    (first,) = lock_environments(project)
    image = imaged(first)
    add_requirements(project, None, ["left"])
    after = read_lock(first.path).platforms[HERE].image
    assert after
    assert after.base == BASE
    had = {package: layer.name for layer in image.layers for package in layer.packages}
    has = {package: layer.name for layer in after.layers for package in layer.packages}
    assert had.items() <= has.items()
    assert "left" in has


def test_a_platform_without_an_image_gets_none(project: str) -> None:
    lock_environments(project)
    (again,) = lock_environments(project, update=["*"])
    assert '"image"' not in again.path.read_text()


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "1")
    with registry(tmp_path) as found:
        yield found


def declare(project: str, *lines: str) -> None:
    manifest = Path(project) / "hermetic.toml"
    manifest.write_text(manifest.read_text() + "".join(f"{line}\n" for line in lines))


def hermetic(project: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from hermetic.cli import main; main()", *arguments, "-C", project]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_declared_base_is_pinned_and_updated_with_its_moves_shown(
    project: str, images: Registry, tmp_path: Path
) -> None:
    other = Store.open(tmp_path / "other")
    old, new = made(other, 100), made(other, 100, seed=2)
    reference = f"{images.host}/team/base:1"
    send(other, images.host, old, name="team/base:1")
    declare(project, f'base = "{reference}"')
    before = locked_without_base(project)
    assert [finding.code for finding in check_locks(project)[0].findings] == ["base-unpinned"]
    first = pin_environment(project, None)
    assert first.changed
    assert first.bases[0].after == Base(reference, old.manifest.digest, old.manifest.digest)
    assert not check_locks(project)[0].findings
    lock = read_lock(before.path).platforms[HERE]
    assert lock.image
    assert {p for layer in lock.image.layers for p in layer.packages} == {p.name for p in lock.conda}
    send(other, images.host, new, name="team/base:1")
    assert not pin_environment(project, None).changed  # pinned is pinned
    moved = pin_environment(project, None, update=True)
    assert moved.bases[0].differences == (
        ("base", f"{reference} {old.manifest.digest}", f"{reference} {new.manifest.digest}"),
    )
    short = [digest[:19] for digest in (old.manifest.digest, new.manifest.digest)]
    text = outcome_text(moved)
    assert f"{reference} {short[0]} -> {reference} {short[1]}" in text
    after = read_lock(before.path).platforms[HERE].image
    assert after
    assert after.layers == lock.image.layers
    assert not pin_environment(project, None, update=True).changed


def test_an_undeclared_base_is_what_was_asked_for_and_stays(project: str) -> None:
    lock_environments(project)
    outcome = pin_environment(project, None, base="scratch", offline=True)
    assert outcome.bases[0].after == Base("scratch")
    assert not pin_environment(project, None, offline=True).changed
    assert not check_locks(project)[0].findings


def test_where_no_registry_is_reached_what_needs_none_is_told(project: str) -> None:
    locked_without_base(project)
    with pytest.raises(OfflineError) as caught:
        pin_environment(project, None, offline=True)
    for way in ('base = "embedded"', "scratch", 'docker.base_image = "embedded"'):
        assert str(caught.value.remedy).count(way) == 1
    with pytest.raises(OfflineError) as caught:  # it was asked for
        pin_environment(project, None, base="debian:12-slim", offline=True)
    assert "embedded" not in str(caught.value.remedy)


def test_a_declared_base_is_changed_where_it_is_declared(project: str) -> None:
    declare(project, 'base = "scratch"')
    with pytest.raises(UsageError, match="declares scratch as its base") as caught:
        pin_environment(project, None, base="embedded")
    assert caught.value.place
    lock_environments(project)
    pin_environment(project, None, offline=True)
    manifest = Path(project) / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace('"scratch"', '"debian:12-slim"'))
    lock_environments(project)  # keeps what is pinned: only an image asks for another base
    (found,) = check_locks(project)[0].findings
    assert (found.code, found.old, found.new) == ("base-changed", "scratch", "debian:12-slim")
    with pytest.raises(OfflineError):
        pin_environment(project, None, offline=True)


def test_locked_asks_nobody(project: str) -> None:
    declare(project, 'base = "team/base:1"')
    (outcome,) = lock_environments(project)
    opened = open_project(project)
    declaration, store = opened.declaration("default"), Store.open()
    with pytest.raises(DriftError, match="does not pin team/base:1") as caught:
        with_bases(outcome.lock, declaration, [HERE], locked=True, store=store, config=Config())
    assert "hermetic base pin" in str(caught.value.remedy)
    pinned = imaged(replace(outcome, lock=outcome.lock))
    lock = read_lock(outcome.path)
    assert with_bases(lock, declaration, [HERE], locked=True, store=store, config=Config(offline=True)) == lock
    assert pinned.base == BASE


def test_platforms_without_images(project: str) -> None:
    lock_environments(project, platforms=["osx-arm64"])
    with pytest.raises(UsageError, match="no images for osx-arm64"):
        pin_environment(project, None, base="scratch", platforms=["osx-arm64"])
    with pytest.raises(UsageError, match="not for linux-aarch64"):
        pin_environment(project, None, base="scratch", platforms=["linux-aarch64"])


def test_a_private_registry_is_opened_by_what_the_manifest_names(
    project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BASE_PASSWORD", "hunter2")
    from hermetic.outputs.oci.credentials import Login

    with registry(tmp_path, user="me", password="hunter2") as private:
        other = Store.open(tmp_path / "other")
        image = made(other, 100)
        send(other, private.host, image, name="team/base:1", login=Login("me", "hunter2"))
        declare(
            project,
            'base = "team/base:1"',
            f'base-registry = {{ address = "{private.host}", username = "me", password = "${{BASE_PASSWORD}}" }}',
        )
        lock_environments(project)
        outcome = pin_environment(project, None)
        assert outcome.bases[0].after.reference == f"{private.host}/team/base:1"
        assert "hunter2" not in outcome.path.read_text()
        assert "BASE_PASSWORD" not in outcome.path.read_text()
        declaration = open_project(project).declaration("default")
        opened = open_pinned(
            outcome.bases[0].after, HERE, declaration, store=Store.open(tmp_path / "fresh"), config=Config()
        )
        assert opened.digest == image.manifest.digest


def test_the_command_line(project: str, images: Registry, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other")
    send(other, images.host, made(other, 100), name="team/base:1")
    lock_environments(project)
    pinned = hermetic(project, "base", "pin", "--base", f"{images.host}/team/base:1", "--json")
    assert pinned.returncode == 0, pinned.stderr
    value = json.loads(pinned.stdout)
    assert value["changed"] is True
    assert value["platforms"][HERE]["base"]["manifest"].startswith("sha256:")
    again = hermetic(project, "base", "update")
    assert again.returncode == 0
    assert "nothing moved" in again.stdout
    listing = hermetic(project, "base", "list")
    assert "nvidia/cuda:12.4.1-base-ubuntu22.04" in listing.stdout
    assert "'microsoft' is not known here" in listing.stdout
    bases = json.loads(hermetic(project, "base", "list", "--json").stdout)["bases"]
    assert [b["usable"] for b in bases if b["name"] in {"embedded", "azureml-ubuntu22.04"}] == [False, True]
    gone = hermetic(project, "base", "pin", "--base", f"{images.host}/team/gone:1")
    assert gone.returncode == 4
    assert "Traceback" not in gone.stderr


def test_a_base_with_an_older_glibc_than_the_packages_assume_is_warned_of(
    project: str, images: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from hermetic.outputs.oci.reference import default_names

    other = Store.open(tmp_path / "other")
    send(other, images.host, made(other, 100), name="library/ubuntu:22.04")
    monkeypatch.setenv("HERMETIC_REGISTRIES", f"{default_names()[0]}=http://{images.host}")
    declare(project, 'base = "ubuntu-22.04"', 'system = { glibc = "2.39" }')
    pinned = hermetic(project, "base", "pin")
    assert pinned.returncode == 0, pinned.stderr
    assert "chosen for glibc 2.39, and ubuntu-22.04 has 2.35" in pinned.stderr
    assert (
        read_lock(Path(project) / "lockfiles/default.lock.json").platforms[HERE].image.base.reference == "ubuntu-22.04"
    )  # type: ignore[union-attr]
    assert not check_locks(project)[0].findings


def test_a_dockerfile_is_built_pinned_and_watched(
    project: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    context = Path(project) / "docker"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY note /note\n")
    (context / "note").write_text(str(tmp_path))  # content that no other test has
    declare(project, 'base-dockerfile = "docker/Dockerfile"', 'base-context = "docker"')
    locked_without_base(project)
    assert [finding.code for finding in check_locks(project)[0].findings] == ["base-unpinned"]
    outcome = pin_environment(project, None)
    base = outcome.bases[0].after
    assert base.reference == "dockerfile"
    assert engine.client.images.get(base.manifest)
    assert not check_locks(project)[0].findings
    assert not pin_environment(project, None, offline=True).changed
    declaration = open_project(project).declaration("default")
    opened = open_pinned(base, HERE, declaration, store=Store.open(), config=Config(), offline=True)
    assert (opened.digest, len(opened.layers)) == (base.manifest, 1)
    (context / "note").write_text("changed")
    (found,) = check_locks(project)[0].findings
    assert found.code == "base-changed"
    moved = pin_environment(project, None)  # what is declared has changed, so it is built again
    assert moved.bases[0].after.manifest != base.manifest
    assert {what for what, _, _ in moved.bases[0].differences} == {"base"}
