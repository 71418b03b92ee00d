from __future__ import annotations

from pathlib import Path

import pytest
from source_samples import git, write_repository
from support.guarded import guarded
from support.servers import serve

from hermetic.errors import CredentialsError, MachineError, NetworkError, OfflineError
from hermetic.plan.files import MTIME
from hermetic.realize.checkout import checkout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_bytes(b"a\nb\n")
    (folder / ".gitattributes").write_text("*.py text\n")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    return folder


def tree(folder: Path) -> dict[str, tuple[int, float, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode & 0o777, path.stat().st_mtime, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def test_a_commit_is_checked_out_with_fixed_times(repository: Path, tmp_path: Path) -> None:
    commit = write_repository(repository)
    (repository / "src" / "a.py").write_text("changed\n")
    git(repository, "commit", "--quiet", "--all", "--message", "Go on")
    checkout(repository.as_uri(), commit, tmp_path / "out", "demo")
    assert tree(tmp_path / "out") == {
        ".gitattributes": (0o644, MTIME, b"*.py text\n"),
        "run": (0o755, MTIME, b"#!/bin/sh\n"),
        "src/a.py": (0o644, MTIME, b"a\nb\n"),
    }


def test_the_users_tastes_change_nothing(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = write_repository(repository)
    checkout(repository.as_uri(), commit, tmp_path / "plain", "demo")
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran evil\n")
    (hooks / "post-checkout").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[core]\n\tautocrlf = true\n\teol = crlf\n\tfileMode = false\n\thooksPath = {hooks}\n"
        f"[init]\n\ttemplateDir = {tmp_path / 'template'}\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    checkout(repository.as_uri(), commit, tmp_path / "tasteful", "demo")
    assert tree(tmp_path / "plain") == tree(tmp_path / "tasteful")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "tasteful" / ".git" / "hooks").exists()


def test_tags_and_history_stay_and_branches_and_the_address_go(repository: Path, tmp_path: Path) -> None:
    commit = write_repository(repository, tag="v1.0")
    git(repository, "branch", "secret-plans")
    out = tmp_path / "out"
    checkout(repository.as_uri(), commit, out, "demo")
    assert git(out, "describe", "--tags", "--dirty") == "v1.0"
    assert git(out, "for-each-ref", "--format=%(refname)") == "refs/tags/v1.0"
    assert git(out, "status", "--porcelain") == ""
    assert git(out, "ls-files").split() == [".gitattributes", "run", "src/a.py"]
    left = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert str(repository).encode() not in left
    assert b"secret-plans" not in left


def test_a_commit_that_no_branch_holds_is_found(repository: Path, tmp_path: Path) -> None:
    commit = write_repository(repository)
    git(repository, "checkout", "--quiet", "--detach")
    (repository / "new.py").touch()
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "Aside")
    aside = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "--quiet", commit)
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    checkout(repository.as_uri(), aside, tmp_path / "out", "demo")
    assert (tmp_path / "out" / "new.py").exists()


def test_submodules_come_along_at_their_commits(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "inner.py").write_text("inner\n")
    write_repository(inner)
    write_repository(repository)
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.as_uri(), "sub")
    git(repository, "commit", "--quiet", "--message", "With a submodule")
    commit = git(repository, "rev-parse", "HEAD")
    settings = tmp_path / "gitconfig"
    settings.write_text('[protocol "file"]\n\tallow = always\n')  # else git refuses local submodules, rightly
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    checkout(repository.as_uri(), commit, tmp_path / "out", "demo")
    assert (tmp_path / "out" / "sub" / "inner.py").read_text() == "inner\n"
    assert git(tmp_path / "out", "status", "--porcelain") == ""
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    with pytest.raises(NetworkError, match="submodule"):
        checkout(repository.as_uri(), commit, tmp_path / "again", "demo")


def test_a_password_stays_off_all_command_lines_and_out_of_the_checkout(repository: Path, tmp_path: Path) -> None:
    """The server itself looks at every process while it is asked, git's own helpers too."""
    commit = write_repository(repository)
    git(repository, "update-server-info")
    with guarded(repository / ".git", "me", "hunter2+more") as guard:
        checkout(f"{guard.address('me:hunter2%2Bmore')}/", commit, tmp_path / "out", "demo")
        assert guard.asked
        assert guard.shown == []
        with pytest.raises(CredentialsError) as caught:
            checkout(f"{guard.address('me:wrong-one')}/", commit, tmp_path / "refused", "demo")
        assert "wrong-one" not in str(caught.value)
    assert (tmp_path / "out" / "src" / "a.py").exists()
    assert b"hunter2" not in b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())


def test_what_cannot_be_read_is_told_without_secrets(repository: Path, tmp_path: Path) -> None:
    commit = write_repository(repository)
    with pytest.raises(NetworkError) as caught:
        checkout((tmp_path / "none").as_uri(), commit, tmp_path / "a", "demo")
    assert not isinstance(caught.value, CredentialsError)
    with pytest.raises(NetworkError, match="demo: git fetch failed"):
        checkout(repository.as_uri(), "1" * 40, tmp_path / "b", "demo")
    with serve(tmp_path) as server, pytest.raises(NetworkError) as caught:
        checkout(server.url.replace("//", "//me:hunter2@") + "/none", commit, tmp_path / "c", "demo")
    assert "hunter2" not in str(caught.value)


def test_offline_only_local_repositories_are_read(repository: Path, tmp_path: Path) -> None:
    commit = write_repository(repository)
    checkout(repository.as_uri(), commit, tmp_path / "out", "demo", offline=True)
    with pytest.raises(OfflineError, match="demo"):
        checkout("https://git.example.org/demo", commit, tmp_path / "b", "demo", offline=True)


def test_a_machine_without_git_is_told(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="git is not installed"):
        checkout(repository.as_uri(), "1" * 40, tmp_path / "out", "demo")
