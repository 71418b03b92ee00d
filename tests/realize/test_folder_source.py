from __future__ import annotations

import os
from pathlib import Path

import pytest
from source_samples import git, write_repository

from hermetic.plan.files import MTIME
from hermetic.realize.folder_source import copy_folder, folder_digest, folder_files

KEPT = ["data/build/kept.txt", "pkg/__init__.py", "pkg/dist/kept.py", "pyproject.toml", "run"]
LEFT = [
    "build/lib/pkg/__init__.py", "dist/pkg-1.0.tar.gz", "pkg.egg-info/PKG-INFO", "pkg/__pycache__/a.cpython-311.pyc",
    "pkg/old.pyc", ".venv/bin/python", ".hermetic/envs/default/bin/python", ".mypy_cache/x", "lockfiles/a.lock.json",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*KEPT, *LEFT):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "folder" / "run").chmod(0o755)
    return tmp_path / "folder"


def digest(folder: Path) -> str:
    return folder_digest(folder, folder_files(folder))


def test_what_builds_and_tools_leave_behind_is_no_part(folder: Path) -> None:
    assert folder_files(folder) == KEPT


def test_git_says_what_belongs_to_a_work_tree(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.pyc\n__pycache__/\n/build/\n/dist/\n*.egg-info/\n.venv/\n.mypy_cache/\nrun\n")
    write_repository(folder)
    (folder / "new.py").touch()  # not added yet, and not ignored
    (folder / "data" / "build" / "kept.txt").unlink()  # added, and gone
    assert folder_files(folder) == [".gitignore", "new.py", "pkg/__init__.py", "pkg/dist/kept.py", "pyproject.toml"]
    assert folder_files(folder / "pkg") == ["__init__.py", "dist/kept.py"]


def test_a_variable_of_git_does_not_count(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (folder / ".gitignore").write_text("*\n!pkg/\n!pkg/__init__.py\n!.gitignore\n")
    write_repository(folder)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert folder_files(folder) == [".gitignore", "pkg/__init__.py"]


def test_a_repository_inside_is_listed_file_by_file(folder: Path) -> None:
    write_repository(folder / "pkg")
    write_repository(folder)
    assert "pkg/__init__.py" in folder_files(folder)
    assert not any(".git/" in path for path in folder_files(folder))


def test_an_ignored_folder_in_a_work_tree_is_a_source_too(folder: Path) -> None:
    (folder / ".gitignore").write_text("/pkg/\n")
    write_repository(folder)
    assert folder_files(folder / "pkg") == ["__init__.py"]


def test_the_digest_knows_names_contents_modes_and_links_and_nothing_else(folder: Path) -> None:
    before = digest(folder)
    os.utime(folder / "run", (1, 1))
    (folder / "run").chmod(0o700)
    (folder / "pkg" / "__pycache__" / "more.pyc").touch()
    assert digest(folder) == before
    seen = {before}
    (folder / "run").chmod(0o644)
    seen.add(digest(folder))
    (folder / "run").write_text("other")
    seen.add(digest(folder))
    (folder / "run").rename(folder / "walk")
    seen.add(digest(folder))
    (folder / "link").symlink_to("walk")
    seen.add(digest(folder))
    (folder / "link").unlink()
    (folder / "link").symlink_to("pkg")
    seen.add(digest(folder))
    assert len(seen) == 6


def test_a_copy_has_the_files_alone_and_fixed_modes_and_times(folder: Path, tmp_path: Path) -> None:
    (folder / "run").chmod(0o4711)
    (folder / "pyproject.toml").chmod(0o600)
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "there").symlink_to("pkg")
    copy = tmp_path / "copy"
    copy.mkdir()
    files = folder_files(folder)
    copy_folder(folder, files, copy)
    assert sorted(folder_files(copy)) == sorted(files)
    assert (copy / "out").readlink() == Path("/etc/passwd")  # as a link: what it names is not in the sandbox
    assert (copy / "there").is_symlink()
    assert (copy / "run").stat().st_mode & 0o7777 == 0o755
    assert (copy / "pyproject.toml").stat().st_mode & 0o7777 == 0o644
    assert {path.lstat().st_mtime for path in copy.rglob("*") if not path.is_dir() or path.is_symlink()} == {MTIME}
    assert folder_digest(copy, files) == folder_digest(folder, files)


def test_git_that_does_not_trust_a_folder_is_no_obstacle(folder: Path) -> None:
    write_repository(folder)
    (folder / ".git" / "config").write_text("damaged [")
    assert folder_files(folder) == KEPT
    assert git(folder.parent, "--version")
