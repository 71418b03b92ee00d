"""Private wheels end to end, from each kind of keeper: they arrive, and the signatures that bring them leak nowhere.

Everything that hermetic wrote, said, logged, started or left in memory of the system is searched for them.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from support.desk import Desk
from support.faulty import FaultyServer
from support.keepers import KINDS, Keeper, keeper
from support.pipe import Pipe
from support.wheels import make_wheel

from hermetic.spec.private_urls import parse_private

SITE = """\
import logging, os
logging.basicConfig(level=logging.DEBUG, filename=os.environ["SEEN_LOG"], format="%(name)s %(message)s")
logging.getLogger().setLevel(logging.DEBUG)
"""
"""What lets every library of a process log all that it ever logs."""


@pytest.fixture(params=KINDS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keeper]:
    with keeper(request.param, tmp_path / "keeper") as found:
        yield found


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Keeper]:
    with keeper("s3", tmp_path / "keeper") as found:
        yield found


@pytest.fixture
def member(desk: Desk, index: FaultyServer) -> Desk:
    """A machine of somebody in the team, whose libraries log everything."""
    site = desk.root / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    desk.environment |= {
        "PYTHONPATH": str(site),
        "SEEN_LOG": str(desk.root / "debug.log"),
        "TMPDIR": str(desk.root / "tmp"),
        "PIP_INDEX_URL": f"{index.url}/simple/",
        "HERMETIC_HTTP_RETRIES": "2",
    }
    (desk.root / "tmp").mkdir()
    return desk


def large(folder: Path, name: str, *requires: str) -> Path:
    """Make a wheel that takes more than one piece to download."""
    noise = random.Random(name).randbytes(300_000)
    files = {f"{name}.py": f"NAME = {name!r}\n", f"{name}.dat": noise}
    return make_wheel(folder, name, "1.0", requires=requires, files=files)


def joins(desk: Desk, keeper: Keeper, *pip: str, base: str = "") -> None:
    """Let the machine's project use the team's workspace and some wheels."""
    desk.environment |= keeper.environment
    more = {"base": base} if base else {}
    desk.declare("python", "app", pip=("tool", *pip), **more)
    manifest = desk.project / "hermetic.toml"
    manifest.write_text(f'[workspace]\nname = "Team"\nartefacts = "{keeper.artefacts}"\n' + manifest.read_text())


class Watch:
    """All that was said, and the command lines and environments of all processes, seen again and again."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.processes: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __call__(self, desk: Desk, *arguments: str, status: int | None = 0, **environment: str) -> str:
        result = desk(*arguments, status=status, **environment)
        self.said += [result.stdout, result.stderr]
        return result.stdout + result.stderr

    def _look(self) -> None:
        while not self._end.wait(0.005):  # else it would take the processor from those whom it watches
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    for name in ("cmdline", "environ"):
                        with suppress(OSError):
                            self.processes.add((process / name).read_bytes())

    @contextmanager
    def looking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join()


def everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give the name and the bytes of every file and link below a folder, and of what is packed in them."""
    for path in sorted(folder.rglob("*")):
        yield str(path), os.fsencode(path)
        if path.is_symlink():
            yield str(path), os.fsencode(path.readlink())
        elif path.is_file():
            data = path.read_bytes()
            yield str(path), data
            for member, inside in unpacked(data):
                yield f"{path}:{member}", inside


def unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the members of an archive: layers of images are packed tars, wheels and packages are zips."""
    if data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    elif data[:2] == b"\x1f\x8b" or data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                yield member.name, str(member.get_info()).encode()
                if (file := tar.extractfile(member)) is not None:
                    yield member.name, file.read()
    elif data[:4] == b"\x28\xb5\x2f\xfd":
        ran = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True)
        yield "", ran.stdout
        yield from unpacked(ran.stdout)


SIGNED = re.compile(rb"(?i)[?&](sig|x-amz-signature|x-goog-signature)=[^&\s\"'*]{8}")


def leaks(keeper: Keeper, desk: Desk, watch: Watch) -> list[str]:
    """Give where a signature, or what makes one, was written down."""
    signatures = [text.encode() for found in keeper.pipe.signatures for text in (found, quote(found, safe=""))]
    secrets = [text.encode() for text in keeper.secrets]
    assert signatures, "else there is nothing to look for"
    found = []

    def look(where: str, data: bytes, *more: bytes) -> None:
        if SIGNED.search(data) or any(text in data for text in (*signatures, *more)):
            found.append(where)

    for name in ("project", "disk", "home", "tmp", "images", "out"):
        for where, data in everything(desk.root / name) if (desk.root / name).is_dir() else ():
            look(where, data, *secrets)
    look("what the libraries logged", (desk.root / "debug.log").read_bytes(), *secrets)
    for text in watch.said:
        look(f"what was said: {text[:200]}", text.encode(), *secrets)
    for text in watch.processes:  # other tests' too; the account's own key is in the environment, as it was given
        found += [f"a process: {text[:200]!r}" for known in signatures if known in text]
    return found


def test_from_declaring_to_an_image(kept: Keeper, member: Desk, own_goods: Path) -> None:
    """Every verb that meets a private wheel, and not one signature anywhere afterwards."""
    watch, desk = Watch(), member
    mine, other = (
        large(own_goods / "mine", "mine", "helper", "other"),
        make_wheel(own_goods / "mine", "other", "2.0+team.1"),
    )
    first, second = kept.keep(mine), kept.keep(other)
    joins(desk, kept, f"mine @ {first}", second, base="scratch")
    with watch.looking():
        watch(desk, "-v", "lock")
        assert re.search(rf'"url": "{re.escape(first)}"', desk.lock.read_text())
        by_uv = desk.lock.read_bytes()
        desk.lock.unlink()
        shutil.rmtree(desk.store)
        watch(desk, "-v", "lock", "--pip-resolver", "pip-tools")
        assert desk.lock.read_bytes() == by_uv
        watch(desk, "lock", "--check", "--json")
        shutil.rmtree(desk.store)  # a colleague's machine
        watch(desk, "-v", "build")
        assert "mine" in watch(desk, "tree")
        assert "mine" in watch(desk, "why", "helper")
        watch(desk, "verify")
        watch(desk, "-v", "build", "--oci-layout", str(desk.root / "images" / "one"))
        watch(desk, "export", "--format", "requirements", "-o", str(desk.root / "out" / "r.txt"),
              "--wheels", str(desk.root / "out" / "wheels"))  # fmt: skip
        watch(desk, "export", "--format", "pylock", status=2)
        watch(desk, "lock")
        shutil.rmtree(desk.prefix)
        watch(desk, "build", "--offline")
        watch(desk, "lock", "--offline")
        assert desk.lock.read_bytes() == by_uv
    assert desk.says().startswith("app 2.0")
    site = next((desk.prefix / "lib").glob("python*/site-packages"))
    assert (site / "mine.dat").read_bytes() == zipfile.ZipFile(mine).read("mine.dat")
    assert (site / "other.py").is_file()
    assert len(kept.pipe.signed) >= 6, "two wheels, three times"
    assert (desk.root / "out" / "wheels" / mine.name).read_bytes() == mine.read_bytes()
    desk.settled()
    assert any(b"pip\0compile" in text for text in watch.processes), "else uv was never seen"
    assert any(b"mine" in data for _, data in everything(desk.root / "images")), "else the image was not looked into"
    assert leaks(kept, desk, watch) == []


def test_the_search_finds_what_is_hidden(tmp_path: Path, member: Desk) -> None:
    """In names, in links, in layers within layers, in what was logged: else the tests here would prove nothing."""
    there = "/wheels/x?sig=S3cr3t%2FS1gnature"
    found = Keeper("s3://team", {}, Pipe("", [("GET", there, "")]), lambda *_: None)
    (member.root / "debug.log").write_text("")
    assert leaks(found, member, Watch()) == []
    secret = "S3cr3t/S1gnature"
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        info = tarfile.TarInfo("a/file")
        info.size = len(secret)
        tar.addfile(info, io.BytesIO(secret.encode()))
    with zipfile.ZipFile(member.home / "packed.whl", "w") as archive:
        archive.writestr("a", secret)
    (member.project / "layer.tar.gz").write_bytes(inner.getvalue())
    (member.store / "blobs").mkdir(parents=True)
    subprocess.run(["zstd", "-q", "-o", member.store / "blobs" / "z"], input=secret.encode(), check=True)
    (member.root / "tmp" / quote(secret, safe="")).touch()
    (member.home / "link").symlink_to(secret)
    (member.root / "debug.log").write_text(f"GET {there}")
    watch = Watch()
    watch.said.append(f"error: {secret}")
    watch.processes.add(f"uv\0--x={secret}".encode())
    told = "\n".join(leaks(found, member, watch))
    for place in (
        "layer.tar.gz:a/file",
        "packed.whl:a",
        "blobs/z",
        "home/link",
        "tmp/S3cr3t",
        "logged",
        "said",
        "process",
    ):
        assert place in told


class TestFailures:
    """What goes wrong is told by the stable URL, with what to do; then it is mended, and goes on."""

    def told(self, keeper: Keeper, desk: Desk, says: str, status: int, *arguments: str, **environment: str) -> None:
        watch = Watch()
        text = watch(desk, "-v", *(arguments or ("build",)), status=status, **environment)
        assert re.search(says, text), text
        assert len(text.strip().splitlines()) >= 2, "no remedy"
        assert leaks(keeper, desk, watch) == []

    @pytest.fixture
    def ready(self, kept: Keeper, member: Desk, own_goods: Path) -> Keeper:
        joins(member, kept, kept.keep(large(own_goods / "mine", "mine")))
        member("lock")
        shutil.rmtree(member.store)
        return kept

    def test_expiry_in_the_middle_is_renewed_and_resumed(self, ready: Keeper, member: Desk) -> None:
        """The connection breaks, the signature is refused where the rest is asked for, and a new one brings it."""
        if ready.artefacts.startswith("az:"):
            ready.pipe.cut(100_000)  # its clock is the machine's
        else:
            ready.pipe.cut(100_000, lambda: ready.later(86_400))
            ready.pipe.cut(0, lambda: ready.later(0))
        watch = Watch()
        before = len(ready.pipe.signed)
        watch(member, "-v", "build")
        asked = ready.pipe.signed[before:]
        assert asked[0][2] == ""
        assert [request[2] for request in asked[1:]] == ["bytes=100000-"] * (len(asked) - 1)
        assert len(asked) >= (2 if ready.artefacts.startswith("az:") else 3)
        assert leaks(ready, member, watch) == []
        member.settled()

    @pytest.mark.parametrize("kept", ["s3"], indirect=True)
    def test_killed_in_the_middle_the_next_one_goes_on(self, ready: Keeper, member: Desk) -> None:
        running: list[subprocess.Popen[str]] = []
        reached = threading.Event()

        def kill() -> None:
            reached.wait(60)
            running[0].send_signal(signal.SIGKILL)
            running[0].wait()

        ready.pipe.cut(150_000, kill)
        running.append(member.start("build"))
        reached.set()
        running[0].communicate(timeout=60)
        assert running[0].returncode == -signal.SIGKILL
        watch = Watch()
        watch(member, "build")
        assert leaks(ready, member, watch) == []
        member.settled()

    def test_a_clock_that_is_wrong(self, ready: Keeper, member: Desk) -> None:
        if ready.artefacts.startswith("az:"):
            pytest.skip("the emulator has the machine's clock")
        ready.later(86_400)
        before = len(ready.pipe.signed)
        self.told(ready, member, r"the keeper of hermetic://team/wheels/.*refuses even an address .*\n.*clock", 4)
        assert len(ready.pipe.signed) == before + 2
        ready.later(0)
        member("build")

    def test_a_key_that_is_wrong(self, ready: Keeper, member: Desk) -> None:
        wrong = {
            "s3": {"AWS_SECRET_ACCESS_KEY": "wr0ng-wr0ng-wr0ng"},
            "az": {"AZURE_STORAGE_CONNECTION_STRING": re.sub(
                r"AccountKey=[^;]+", "AccountKey=d3IwbmctaGVybWV0aWMtaGVybWV0aWMtaGVybWV0aWM=",
                ready.environment.get("AZURE_STORAGE_CONNECTION_STRING", ""))},
            "http": {"HERMETIC_WORKSPACE_KEY": f"k1:{'A' * 43}"},
        }.get(ready.artefacts.partition(":")[0])  # fmt: skip
        if wrong is None:
            pytest.skip("a key that Google does not know gets no token, and no signature")
        self.told(ready, member, "refuses even an address that was signed just now", 4, **wrong)
        member("build")

    @pytest.mark.parametrize("kept", ["s3"], indirect=True)
    def test_nobody_there(self, ready: Keeper, member: Desk) -> None:
        ready.pipe.cuts += [(0, lambda: None)] * 9
        self.told(ready, member, r"mine-1\.0-py3-none-any\.whl from hermetic://team/wheels/", 4)
        ready.pipe.cuts.clear()
        member("build")

    @pytest.mark.parametrize("kept", ["s3"], indirect=True)
    def test_offline(self, ready: Keeper, member: Desk) -> None:
        before = len(ready.pipe.requests)
        self.told(ready, member, r"offline, and the store lacks .*mine-1\.0", 4, "build", "--offline")
        assert len(ready.pipe.requests) == before

    @pytest.mark.parametrize("kept", ["s3"], indirect=True)
    def test_a_wheel_that_is_not_kept(self, ready: Keeper, member: Desk, own_goods: Path) -> None:
        nowhere = ready.kept[0].replace(parse_private(ready.kept[0]).sha256, "0" * 64)
        joins(member, ready, nowhere)
        self.told(ready, member, r"hermetic\.toml:\d+: .*the workspace team does not have it", 4, "lock")


def test_a_download_that_breaks_off_while_locking_goes_on(s3: Keeper, member: Desk, own_goods: Path) -> None:
    """How large the wheel is nobody knows yet."""
    joins(member, s3, s3.keep(large(own_goods / "mine", "mine")))
    s3.pipe.cut(100_000, lambda: s3.later(86_400))
    s3.pipe.cut(0, lambda: s3.later(0))
    watch = Watch()
    watch(member, "-v", "lock")
    assert [request[2] for request in s3.pipe.signed] == ["", "bytes=100000-", "bytes=100000-"]
    assert leaks(s3, member, watch) == []


def test_from_the_command_line_alone(member: Desk, own_goods: Path) -> None:
    """A workspace in a folder: made, given two versions of a wheel, which are required one after the other."""
    member.declare("python", "app")
    member("workspace", "init", "team")
    old, new = (
        member("wheel", "add", "-q", str(make_wheel(own_goods / "mine", "mine", version))).stdout.strip()
        for version in ("1.0", "1.1")
    )
    member("add", "--pip", old)
    before = member.root / "before.lock.json"
    before.write_bytes(member.lock.read_bytes())
    member("add", "--pip", new)
    assert old not in member.lock.read_text()
    assert new in member.lock.read_text()
    moves = member("diff", str(before), str(member.lock), status=1).stdout
    assert re.search(r"mine\s+1\.0.*1\.1", moves)
    member("build")
    assert member("run", "--", "python", "-c", "import mine; print(mine.VERSION)").stdout.strip() == "1.1"
    member("remove", "--pip", "mine")
    assert "hermetic://" not in member.lock.read_text()


def test_without_the_workspace_the_lock_says_what_to_declare(s3: Keeper, member: Desk, own_goods: Path) -> None:
    """A lock names the workspace; where that is belongs to the machine: its configuration knows it by that name."""
    joins(member, s3, s3.keep(make_wheel(own_goods / "mine", "mine")))
    member("lock")
    shutil.rmtree(member.store)
    manifest = member.project / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace('name = "Team"', 'name = "other"'))
    result = member("build", status=2)
    assert "'team'" in result.stderr
    assert "[workspaces.team]" in result.stderr
    config = member.home / ".config" / "hermetic" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[workspaces.team]\nartefacts = "{s3.artefacts}"\n')
    member("build")


def test_a_workspace_that_moves_needs_no_new_lock(s3: Keeper, member: Desk, own_goods: Path) -> None:
    wheel = make_wheel(own_goods / "mine", "mine")
    url = s3.keep(wheel)
    joins(member, s3, url)
    member("lock")
    before = member.lock.read_bytes()
    shutil.rmtree(member.store)
    target = member.root / "moved" / parse_private(url).key
    target.parent.mkdir(parents=True)
    shutil.copy(wheel, target)
    manifest = member.project / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace(s3.artefacts, str(member.root / "moved")))
    s3.pipe.requests.clear()
    member("build", "--offline", status=4)  # the channel's packages are not there
    member("build")
    member("lock", "--check")
    assert member.lock.read_bytes() == before
    assert s3.pipe.requests == []


def test_many_wheels_come_side_by_side(s3: Keeper, member: Desk, own_goods: Path) -> None:
    urls = [s3.keep(make_wheel(own_goods / "mine", f"mine{number}")) for number in range(20)]
    joins(member, s3, *urls)
    member("lock")
    member("build")
    assert len(s3.pipe.signed) == 20, "each once: what was fetched to lock is in the store"
    assert json.loads(member("lock", "--check", "--json").stdout)
