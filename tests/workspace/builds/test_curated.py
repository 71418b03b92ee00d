"""Curated versions are built from the locks that come with them; a base is pinned once for a workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.yard import Yard

from hermetic.errors import MissingError
from hermetic.lock.file import read_lock
from hermetic.project.layout import Layout
from hermetic.project.workplace import Workplace
from hermetic.workspace.builds.curated_locks import settle_curated
from hermetic.workspace.builds.making import declaration_of, find_version
from hermetic.workspace.builds.model import FAILED
from hermetic.workspace.curated.catalogue import curated

NAME = "Hermetic-Minimal"


def test_the_lock_that_comes_with_it_gets_a_base_once(yard: Yard, tmp_path: Path) -> None:
    workspace = yard.workspace()
    version = find_version(workspace, NAME, 1)
    found = []
    for base in ("scratch", "registry.example.org/other:1"):  # what is asked for later changes nothing
        folder = tmp_path / f"work-{len(found)}"
        folder.mkdir()
        declaration = declaration_of(version, folder)
        declaration = replace(declaration, spec=replace(declaration.spec, base=base))
        project = Workplace(Layout(folder), workspace=workspace.address)
        lock, digest = settle_curated(workspace.objects, version, project, declaration, ("linux-64",))
        assert read_lock(declaration.lock_path) == lock
        found.append((lock, digest))
    assert found[0] == found[1]
    shipped = curated(NAME, 1)
    assert shipped
    assert shipped.lock
    kept = found[0][0].platforms["linux-64"]
    assert kept.key() == read_lock(shipped.lock).platforms["linux-64"].key()
    assert kept.image
    assert kept.image.base.reference == "scratch"


def test_a_curated_version_is_known_to_builders(yard: Yard) -> None:
    workspace = yard.workspace()
    yard.patch.setenv("HERMETIC_OFFLINE", "1")
    build = workspace.builds.start(find_version(workspace, NAME, 1))
    ended = workspace.builds.wait(build.id)
    assert (ended.name, ended.state) == (NAME, FAILED)  # there is no network: but it was found
    assert not isinstance(ended.failure(), MissingError)
    with pytest.raises(MissingError):
        find_version(workspace, "Hermetic-Nothing", 1)
