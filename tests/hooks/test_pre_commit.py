"""The hooks of ``.pre-commit-hooks.yaml``, by the real pre-commit, which installs hermetic from a git repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from support.desk import Desk, make_goods
from support.needs import require, suits

from hermetic.lock.file import read_lock

CHECKOUT = Path(__file__).resolve().parent.parent.parent
IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def committed(folder: Path) -> str:
    """Make a folder a git repository with all that it holds, and give its commit."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    suits(sys.platform == "linux", "the tiny programs are for Linux")
    return make_goods(tmp_path_factory.mktemp("goods"))


@dataclass(frozen=True)
class Tool:
    """hermetic's own repository as it stands here, its commit, and where pre-commit keeps what it installs."""

    repository: Path
    commit: str
    home: Path


@pytest.fixture(scope="module")
def tool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Installing hermetic with all that it needs takes long: kept in pytest's cache, by what is installed."""
    require(find_spec("pre_commit"), "pre-commit is not installed")
    require(shutil.which("git"), "git is not installed")
    sources = [CHECKOUT / name for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")]
    package = [path for path in (CHECKOUT / "hermetic").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    digest = hashlib.sha256(repr((sys.version, sys.prefix)).encode())
    for path in [*sources, *sorted(package)]:
        digest.update(path.read_bytes())
    cache = getattr(request.config, "cache", None)
    shelf = Path(cache.mkdir("hooks")) if cache else tmp_path_factory.getbasetemp().parent / "hooks"
    shelf.mkdir(exist_ok=True)
    place = shelf / digest.hexdigest()[:16]
    with FileLock(shelf / "lock"):
        for old in shelf.iterdir():
            if old.is_dir() and old != place and old.stat().st_mtime < time.time() - 7200:
                shutil.rmtree(old, ignore_errors=True)
        repository = place / "tool"
        if not (place / "commit").exists():
            shutil.rmtree(place, ignore_errors=True)
            repository.mkdir(parents=True)
            for path in [*sources, *package]:
                target = repository / path.relative_to(CHECKOUT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            (place / "commit").write_text(committed(repository))
        os.utime(place)
    return Tool(repository, (place / "commit").read_text(), place / "home")


class Repository(Desk):
    """A user's project in git, whose commits go through the hooks."""

    tool: Tool

    def configure(self, hooks: Sequence[str] = ("hermetic-lock", "hermetic-lock-check"), **more: object) -> None:
        chosen = [{"id": hook, **more} for hook in hooks]
        config = {"repos": [{"repo": str(self.tool.repository), "rev": self.tool.commit, "hooks": chosen}]}
        (self.project / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))

    def pre_commit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        git(self.project, "add", "-A")
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", *arguments],
            cwd=self.project, env=self.variables({}), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def commits(self) -> tuple[bool, str]:
        """Try to commit everything; tell whether the hooks let it through, and what they said."""
        git(self.project, "add", "-A")
        ran = subprocess.run(
            ["git", *IDENTITY, "commit", "-m", "a change"],
            cwd=self.project, env=self.variables({}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ran.returncode == 0, ran.stdout + ran.stderr

    def versions(self) -> dict[str, str]:
        return {package.name: package.version for package in read_lock(self.lock).platforms["linux-64"].conda}


@pytest.fixture
def repository(tmp_path: Path, goods: Path, tool: Tool) -> Repository:
    repository = Repository(tmp_path, {"PRE_COMMIT_HOME": str(tool.home)})
    repository.tool = tool
    repository.shops(goods / "channel")
    repository.declare("app<2")
    repository.configure()
    git(repository.project, "init", "-q", "-b", "main")
    ran = repository.pre_commit("install", "--install-hooks")
    require(ran.returncode == 0, f"pre-commit cannot install hermetic: {ran.stdout}{ran.stderr}")
    return repository


def test_a_changed_declaration_is_locked_before_it_is_committed(repository: Repository) -> None:
    passed, said = repository.commits()
    assert not passed, said
    assert "app 1.0" in said
    assert repository.versions() == {"app": "1.0", "base": "1.0"}
    passed, said = repository.commits()  # the lock is added now, and nothing is left to do
    assert passed, said
    assert "lockfiles/default.lock.json" in git(repository.project, "ls-files")
    (repository.project / "README.md").write_text("no declaration\n")
    passed, said = repository.commits()
    assert passed, said
    assert said.count("Skipped") == 2, "files that declare nothing start no hook"
    repository.declare("app")
    passed, said = repository.commits()
    assert not passed, said
    assert repository.versions() == {"app": "1.0", "base": "1.0"}, "the pin that fits stays"
    repository.declare("app>=2")
    assert not repository.commits()[0]
    assert repository.versions() == {"app": "2.0", "base": "2.0"}
    passed, said = repository.commits()
    assert passed, said


def test_the_check_needs_no_channel_and_lets_no_stale_lock_through(repository: Repository) -> None:
    repository.configure(("hermetic-lock-check",))
    repository("lock")
    repository.shops("http://127.0.0.1:9/gone")
    passed, said = repository.commits()
    assert passed, said
    repository.declare("app<2", "spare")
    before = repository.lock.read_bytes()
    passed, said = repository.commits()
    assert not passed
    assert "requirement spare was added" in said
    assert "hermetic lock default" in said
    assert repository.lock.read_bytes() == before


def test_a_project_in_a_folder_of_the_repository_is_named_by_arguments(repository: Repository) -> None:
    (repository.project / "training").mkdir()
    (repository.project / "hermetic.toml").rename(repository.project / "training" / "hermetic.toml")
    repository.configure(args=["-C", "training"])
    assert not repository.commits()[0]
    assert (repository.project / "training" / "lockfiles" / "default.lock.json").exists()
    passed, said = repository.commits()
    assert passed, said


def test_the_check_imports_no_solver(repository: Repository) -> None:
    repository("lock")
    hooks = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())
    (entry,) = (hook["entry"].split() for hook in hooks if hook["id"] == "hermetic-lock-check")
    assert entry[0] == "hermetic"
    for stale in (False, True):
        if stale:
            repository.declare("app<2", "spare")
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", *entry],
            cwd=repository.project, env=repository.variables({}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == int(stale), ran.stderr
        imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if "import time" in line}
        assert "hermetic.lock.check" in imported, "nothing was remembered: it has looked"
        solvers = {"rattler", "uv", "conda_lock", "piptools", "hermetic.lock.resolve", "hermetic.lock.backends"}
        assert not solvers & {name for full in imported for name in (full, full.partition(".")[0])}
        assert not {"urllib3", "http.client", "asyncio"} & imported, "no network either"
