"""Private wheels in every kind of object store: added, listed, signed for, and fetched as a build fetches them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.azurite import ACCOUNT, Azurite, azurite
from support.gcs import GcsServer, gcs_server
from support.s3 import S3Server, s3_server
from support.wheels import make_wheel

from hermetic.config import Config
from hermetic.errors import ExistsError, IntegrityError
from hermetic.spec.private_urls import parse_private
from hermetic.store import Store
from hermetic.store.fetch import fetch
from hermetic.store.index import private_artifact
from hermetic.store.objects import open_objects, sign_private
from hermetic.workspace.wheels import Wheels
from hermetic.workspace_config import WorkspaceAddress

CLOUDS = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_", "CLOUDSDK_")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(params=["folder", "s3", "azure", "gcs"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceAddress:
    """A workspace whose artefacts are there, and an environment that lets us in."""
    for name in [name for name in os.environ if name.startswith(CLOUDS)]:
        monkeypatch.delenv(name)
    name, folder = f"team-{uuid.uuid4().hex}", tmp_path / "workspace"
    if request.param == "folder":
        return WorkspaceAddress("Team", folder)
    server = request.getfixturevalue(request.param)
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)
    if request.param == "s3":
        server.make_bucket(name)
        return WorkspaceAddress("Team", folder, artefacts=f"s3://{name}/hermetic")
    if request.param == "azure":
        server.make_container(name)
        return WorkspaceAddress("Team", folder, artefacts=f"az://{ACCOUNT}/{name}/hermetic")
    server.buckets[name] = {}
    return WorkspaceAddress("Team", folder, artefacts=f"gs://{name}/hermetic")


def opened(address: WorkspaceAddress) -> Wheels:
    return Wheels(SimpleNamespace(address=address, objects=open_objects(address)))


def test_a_wheel_goes_in_and_comes_out_as_a_build_takes_it(tmp_path: Path, address: WorkspaceAddress) -> None:
    wheels = opened(address)
    old = make_wheel(tmp_path / "old", "demo", "1.0+cu121", files={"demo.py": os.urandom(1000).hex()})
    new = make_wheel(tmp_path / "new", "demo", "1.0+cu121", files={"demo.py": os.urandom(1000).hex()})
    other = make_wheel(tmp_path, "other")
    first = wheels.add(old)
    assert wheels.add(old) == first
    with pytest.raises(ExistsError, match=first.sha256):
        wheels.add(new)
    second = wheels.add(new, exist_ok=True)
    third = wheels.add(other)
    assert opened(address).list() == [first, second, third]
    assert wheels.get("other") == third
    assert wheels.get(second.url) == second
    config = Config(workspaces={"team": address})
    store = Store.open(tmp_path / "store")
    fetch(store, [private_artifact(config, parse_private(one.url), one.size) for one in (first, second, third)])
    for wheel, path in ((first, old), (second, new), (third, other)):
        assert store.blob_path(wheel.sha256).read_bytes() == path.read_bytes()
        assert sign_private(config, wheel.url) != wheel.url


ADD = """
import sys
from pathlib import Path
from types import SimpleNamespace
from hermetic.errors import ExistsError
from hermetic.store.objects import open_objects
from hermetic.workspace.wheels import Wheels
from hermetic.workspace_config import WorkspaceAddress
address = WorkspaceAddress("Team", Path(sys.argv[1]))
wheels = Wheels(SimpleNamespace(address=address, objects=open_objects(address)))
sys.stdin.readline()
try:
    print(wheels.add(sys.argv[2]).url)
except ExistsError:
    print("exists")
"""


@pytest.fixture
def race(tmp_path: Path) -> Iterator[Callable[[list[Path]], list[str]]]:
    """Add wheels, each in a process of its own, all at once; give what each printed."""
    running: list[subprocess.Popen[str]] = []

    def run(paths: list[Path]) -> list[str]:
        for path in paths:
            command = [sys.executable, "-c", ADD, str(tmp_path / "workspace"), str(path)]
            running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process in running:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        return [process.communicate()[0].strip() for process in running]

    yield run
    for process in running:
        process.kill()
        process.wait()


def test_processes_that_add_one_wheel_at_once_agree(tmp_path: Path, race: Callable[[list[Path]], list[str]]) -> None:
    path = make_wheel(tmp_path, "demo", files={"demo.bin": os.urandom(1 << 20)})
    (url,) = set(race([path] * 8))
    (listed,) = opened(WorkspaceAddress("Team", tmp_path / "workspace")).list()
    assert listed.url == url
    kept = [file for file in (tmp_path / "workspace" / "artefacts").rglob("*") if file.is_file()]
    assert sorted(file.name for file in kept) == sorted([path.name, "first.json"])


def test_processes_that_add_different_wheels_of_one_name_leave_one(
    tmp_path: Path, race: Callable[[list[Path]], list[str]]
) -> None:
    paths = [make_wheel(tmp_path / str(n), "demo", files={"demo.py": f"N = {n}\n"}) for n in range(6)]
    said = race(paths)
    assert said.count("exists") == 5
    (listed,) = opened(WorkspaceAddress("Team", tmp_path / "workspace")).list()
    assert listed.url in said


LARGE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from hermetic.store.objects import open_objects
from hermetic.workspace import wheels, wheel_files
from hermetic.workspace_config import WorkspaceAddress
import installer.records, packaging.utils, hermetic.store.archive, hermetic.store.zips
address = WorkspaceAddress("Team", Path(sys.argv[1]))
def most():  # ru_maxrss would count our parent's memory
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
before = most()
found = wheels.Wheels(SimpleNamespace(address=address, objects=open_objects(address))).add(sys.argv[2])
print(found.size >> 20, (most() - before) >> 10)
"""


def test_a_large_wheel_needs_little_memory(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "large", files={"large.bin": bytes(96 << 20), "more.bin": os.urandom(32 << 20)})
    command = [sys.executable, "-c", LARGE, str(tmp_path / "workspace"), str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    size, grown = map(int, ran.stdout.split())
    assert size >= 32
    assert 0 < grown < 20  # MiB; the file alone is larger, and one of its members five times as large


def test_a_file_that_changes_on_its_way_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something writes into the wheel after it was looked through."""
    from hermetic.workspace import wheels as module

    path = make_wheel(tmp_path, "demo")
    look = module.read_wheel

    def look_and_spoil(*arguments: object, **options: object) -> object:
        found = look(*arguments, **options)  # type: ignore[arg-type]
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        return found

    monkeypatch.setattr(module, "read_wheel", look_and_spoil)
    workspace = WorkspaceAddress("Team", tmp_path / "workspace")
    with pytest.raises(IntegrityError, match="not the file"):
        opened(workspace).add(path)
    assert opened(workspace).list() == []
    assert [file for file in (tmp_path / "workspace").rglob("*") if file.is_file()] == []
