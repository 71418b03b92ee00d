"""The templates' own scripts, run by bash in jobs on fresh machines: install, check, restore, build, verify, push."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ci_jobs import PYTHON, ROOT, AzureJob, GithubJob, GitlabJob
from support.desk import Desk, make_goods
from support.needs import suits
from support.registries import Registry, registry

from hermetic.digest import sha256_file
from hermetic.store import boot

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the templates run on Linux")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of hermetic, as a CI system makes one: pip builds in it."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("hermetic", "ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hermetic's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        PYTHON,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "-w",
        folder,
        source,
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    suits(made.returncode == 0 or "No module named pip" not in made.stderr, "this Python has no pip")
    assert made.returncode == 0, made.stderr
    (found,) = folder.glob("hermetic-*.whl")
    return found


@pytest.fixture(scope="module")
def hashed(wheel: Path) -> Path:
    """A requirements file with the wheel's hash."""
    file = wheel.with_name("requirements.txt")
    file.write_text(f"hermetic @ {wheel.as_uri()} --hash=sha256:{sha256_file(wheel)}\n")
    return file


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_goods(tmp_path_factory.mktemp("goods")) / "channel"


@pytest.fixture(scope="module")
def project(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is locked, with a plan of an image, to be checked out."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.declare("app", base="scratch")
    desk.shops(shop)
    desk("lock")
    desk("base", "pin")
    return desk.project


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Path:
    shutil.copytree(project, tmp_path / "checkout", ignore=shutil.ignore_patterns(".hermetic"))
    return tmp_path / "checkout"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Registry]:
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry", user="ada", password="pw") as found:
        yield found


def pushed(hub: Registry, reference: str) -> str:
    """Give the digest of what the registry has under a name that ends in an image's hash."""
    repository = reference.removeprefix(f"{hub.host}/").partition("@")[0].partition(":")[0]
    tags = hub.storage / "docker" / "registry" / "v2" / "repositories" / repository / "_manifests" / "tags"
    (link,) = tags.glob("*/current/link")
    return link.read_text()


def test_github(checkout: Path, source: Path, hashed: Path, shop: Path, hub: Registry, tmp_path: Path) -> None:
    variables = {"HERMETIC_CHANNELS": f"shop={shop}"}
    job = GithubJob(checkout, tmp_path / "one", tmp_path / "cache", dict(variables))
    done = job(source / "ci" / "github", verify="true", image=f"{hub.host}/team/", registry_login="ada:pw")
    assert job.status == 0, job.output
    assert done["cache-hit"] == "false"
    assert (Path(done["prefix"]) / "bin" / "app").is_file()
    assert done["reference"].startswith(f"{hub.host}/team/hermetic/env_")
    assert pushed(hub, done["reference"]) == done["digest"]
    assert "pw" not in job.output.split()

    # another machine, where the channel is gone: all comes from the cache
    shutil.rmtree(checkout / ".hermetic")
    again = GithubJob(checkout, tmp_path / "two", tmp_path / "cache", {"HERMETIC_CHANNELS": "shop=/nowhere"})
    built = again(source / "ci" / "github", requirements=str(hashed))
    assert again.status == 0, again.output
    assert built["cache-hit"] == "true"
    assert built["key"] == done["key"]


def test_github_stops_at_a_stale_lock(checkout: Path, hashed: Path, shop: Path, tmp_path: Path) -> None:
    manifest = checkout / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace("'app'", "'app', 'spare'"))
    job = GithubJob(checkout, tmp_path / "one", tmp_path / "cache", {"HERMETIC_CHANNELS": f"shop={shop}"})
    assert job(ROOT / "ci" / "github", requirements=str(hashed)) == {}
    assert job.status == 1, job.output
    (error,) = job.errors
    assert error["file"] == "hermetic.toml"
    assert not (checkout / ".hermetic" / "envs").exists()


def test_what_a_hostile_cache_brings_is_dropped_and_fetched_again(
    checkout: Path, hashed: Path, shop: Path, tmp_path: Path
) -> None:
    variables = {"HERMETIC_CHANNELS": f"shop={shop}"}
    job = GithubJob(checkout, tmp_path / "one", tmp_path / "cache", dict(variables))
    job(ROOT / "ci" / "github", requirements=str(hashed))
    shutil.rmtree(checkout / ".hermetic")
    blobs = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(blobs) >= 2  # app and base
    for path in blobs:
        path.chmod(0o644)
        path.write_bytes(b"evil" * (path.stat().st_size // 4))
        path.chmod(0o444)
        boot.stamp(path, boot.SETTLED)  # as if the store had found it whole
    again = GithubJob(checkout, tmp_path / "two", tmp_path / "cache", dict(variables))
    done = again(ROOT / "ci" / "github", verify="true", requirements=str(hashed))
    assert again.status == 0, again.output
    assert done["cache-hit"] == "true"
    assert again.output.count("; dropped") == len(blobs)


def test_gitlab(checkout: Path, wheel: Path, shop: Path, hub: Registry, tmp_path: Path) -> None:
    login = {"CI_REGISTRY": hub.host, "CI_REGISTRY_USER": "ada", "CI_REGISTRY_PASSWORD": "pw"}

    def run(name: str, channel: str) -> GitlabJob:
        machine = tmp_path / f"{name}-{channel.count('/')}"
        for left in (".hermetic", ".hermetic-ci"):  # of the job before, on a machine of its own
            shutil.rmtree(checkout / left, ignore_errors=True)
        job = GitlabJob(checkout, machine, tmp_path / "cache", {"HERMETIC_CHANNELS": f"shop={channel}", **login})
        job(name, hermetic=str(wheel), image=f"{hub.host}/team/")
        assert job.status == 0, job.output
        return job

    run("hermetic-check", str(shop))
    assert json.loads((checkout / "gl-code-quality-report.json").read_text()) == []
    assert (checkout / "hermetic-junit.xml").is_file()
    run("hermetic-build", str(shop))
    again = run("hermetic-build", "/nowhere")
    assert again.restored
    run("hermetic-push", "/nowhere")
    values = dict(line.split("=", 1) for line in (checkout / "hermetic.env").read_text().splitlines())
    assert pushed(hub, values["HERMETIC_REFERENCE"]) == values["HERMETIC_DIGEST"]


def test_azure(checkout: Path, hashed: Path, shop: Path, hub: Registry, tmp_path: Path) -> None:
    given = {"hermetic": f"--require-hashes --requirement {hashed}", "verify": True}
    job = AzureJob(checkout, tmp_path / "one", tmp_path / "cache", {"HERMETIC_CHANNELS": f"shop={shop}"})
    values = job(image=f"{hub.host}/team/", registryLogin="ada:pw", **given)
    assert job.status == 0, job.output
    assert (Path(values["hermeticBuild.hermetic_prefix"]) / "bin" / "app").is_file()
    assert pushed(hub, values["hermeticImage.hermetic_reference"]) == values["hermeticImage.hermetic_digest"]
    shutil.rmtree(checkout / ".hermetic")
    again = AzureJob(checkout, tmp_path / "two", tmp_path / "cache", {"HERMETIC_CHANNELS": "shop=/nowhere"})
    again(**given)
    assert again.status == 0, again.output
    assert again.restored


def test_azure_stops_when_a_build_fails(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    job = AzureJob(checkout, tmp_path / "one", tmp_path / "cache", {"HERMETIC_CHANNELS": "shop=/nowhere"})
    values = job(hermetic=str(wheel))
    assert job.status == 4, job.output
    assert "hermeticBuild.hermetic_key" not in values
