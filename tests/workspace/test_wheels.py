"""Private wheels: kept by content, found by name, refused while there is time to mend them."""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from support.serving import desk
from support.wheels import make_wheel

from hermetic.config import Config
from hermetic.digest import sha256_file
from hermetic.errors import ExistsError, HermeticError, IntegrityError, UsageError
from hermetic.store.http import Client
from hermetic.store.objects import MissingObjectError, open_objects, sign_private
from hermetic.store.objects.folder import FolderObjects
from hermetic.workspace.wheels import Wheels
from hermetic.workspace_config import WorkspaceAddress


@pytest.fixture
def address(tmp_path: Path) -> WorkspaceAddress:
    return WorkspaceAddress("Team", tmp_path / "workspace")


@pytest.fixture
def wheels(address: WorkspaceAddress) -> Wheels:
    return Wheels(SimpleNamespace(address=address, objects=open_objects(address)))


def read(url: str) -> bytes:
    return Path(url2pathname(urlsplit(url).path)).read_bytes()


def test_a_wheel_gets_a_stable_url_that_reads_its_bytes(tmp_path: Path, wheels: Wheels) -> None:
    path = make_wheel(tmp_path, "Mine.Own", "1.0+cu121")
    added = wheels.add(path)
    assert added.url == f"hermetic://team/wheels/{sha256_file(path)}/{path.name}"
    assert (added.name, added.version, added.size) == ("mine-own", "1.0+cu121", path.stat().st_size)
    assert added.created_at.endswith("Z")
    assert read(wheels.sign(added.url, 60)) == path.read_bytes()


def test_the_same_bytes_again_are_the_same_wheel(tmp_path: Path, wheels: Wheels) -> None:
    path = make_wheel(tmp_path, "demo")
    first = wheels.add(path)
    assert wheels.add(path) == first
    assert wheels.list() == [first]


def test_other_bytes_under_a_name_need_a_word_and_leave_the_first_alone(tmp_path: Path, wheels: Wheels) -> None:
    old = make_wheel(tmp_path / "old", "demo", files={"demo.py": "OLD = 1\n"})
    new = make_wheel(tmp_path / "new", "demo", files={"demo.py": "NEW = 1\n"})
    first = wheels.add(old)
    with pytest.raises(ExistsError, match=first.sha256) as caught:
        wheels.add(new)
    assert isinstance(caught.value, FileExistsError)
    assert wheels.list() == [first]
    second = wheels.add(new, exist_ok=True)
    assert second.url != first.url
    assert read(wheels.sign(first.url)) == old.read_bytes()
    assert read(wheels.sign(second.url)) == new.read_bytes()
    assert wheels.add(new) == second  # known now, so no word is needed
    assert wheels.add(old) == first
    assert wheels.list() == [first, second]


def test_of_many_that_add_one_name_at_once_one_wins(tmp_path: Path, wheels: Wheels) -> None:
    paths = [make_wheel(tmp_path / str(n), "demo", files={"demo.py": f"N = {n}\n"}) for n in range(8)]

    def add(path: Path) -> str:
        try:
            return wheels.add(path).sha256
        except ExistsError:
            return ""

    with ThreadPoolExecutor(8) as pool:
        won = [digest for digest in pool.map(add, paths) if digest]
    assert [one.sha256 for one in wheels.list()] == won
    assert len(won) == 1


def test_get_finds_by_name_version_and_url(tmp_path: Path, wheels: Wheels) -> None:
    added = [wheels.add(make_wheel(tmp_path, "my-demo", version)) for version in ("1.9", "1.10", "1.2")]
    assert wheels.get("My_Demo") == added[1]
    assert wheels.get("my-demo", "1.2.0") == added[2]
    assert wheels.get(added[0].url) == added[0]
    assert [one.version for one in wheels.list()] == ["1.2", "1.9", "1.10"]
    with pytest.raises(MissingObjectError, match=r"3\.0") as caught:
        wheels.get("my-demo", "3.0")
    assert "1.2, 1.9, 1.10" in str(caught.value)
    with pytest.raises(MissingObjectError, match="my-demo"):
        wheels.get("nothing")
    for name in ("", "..", "my demo", "../my-demo", "my-demo/1.2"):
        with pytest.raises(UsageError, match="no name of a project"):
            wheels.get(name)
    with pytest.raises(UsageError, match="no version"):
        wheels.get("my-demo", "new")


def test_several_wheels_of_a_version_are_named_by_url(tmp_path: Path, wheels: Wheels) -> None:
    one = wheels.add(make_wheel(tmp_path, "demo", tag="py3-none-any"))
    two = wheels.add(make_wheel(tmp_path, "demo", tag="cp311-cp311-manylinux_2_17_x86_64"))
    with pytest.raises(UsageError, match="several") as caught:
        wheels.get("demo")
    assert one.url in str(caught.value)
    assert two.url in str(caught.value)


def test_urls_of_others_and_of_nothing_are_refused(tmp_path: Path, wheels: Wheels) -> None:
    url = wheels.add(make_wheel(tmp_path, "demo")).url
    with pytest.raises(UsageError, match="belongs to the workspace 'them'"):
        wheels.sign(url.replace("//team", "//them"))
    with pytest.raises(MissingObjectError):
        wheels.sign(url.replace("/wheels/", "/wheels/" + "0" * 64 + "/").replace(f"/{url.split('/')[4]}/", "/"))
    for expires in (0, -1, 8 * 24 * 3600):
        with pytest.raises(UsageError, match="seconds"):
            wheels.sign(url, expires)


def test_the_list_is_made_of_the_artefacts_alone(tmp_path: Path, address: WorkspaceAddress, wheels: Wheels) -> None:
    """What was uploaded without a record (a crash in between) is not listed, and adding it again mends that."""
    path = make_wheel(tmp_path, "demo")
    added = wheels.add(path)
    shutil.rmtree(address.folder / "artefacts" / "wheel-records")
    assert wheels.list() == []
    assert wheels.get(added.url).sha256 == added.sha256
    assert wheels.add(path).url == added.url
    assert [one.url for one in wheels.list()] == [added.url]


def test_a_wheel_that_was_lost_is_uploaded_again(tmp_path: Path, address: WorkspaceAddress, wheels: Wheels) -> None:
    path = make_wheel(tmp_path, "demo")
    added = wheels.add(path)
    kept = address.folder / "artefacts" / "wheels" / added.sha256 / path.name
    kept.unlink()
    with pytest.raises(MissingObjectError):
        wheels.sign(added.url)
    assert wheels.add(path) == added
    assert kept.read_bytes() == path.read_bytes()


def test_a_wheel_that_was_cut_short_in_the_store_is_told(
    tmp_path: Path, address: WorkspaceAddress, wheels: Wheels
) -> None:
    path = make_wheel(tmp_path, "demo")
    kept = address.folder / "artefacts" / "wheels" / wheels.add(path).sha256 / path.name
    kept.chmod(0o644)
    kept.write_bytes(b"short")
    with pytest.raises(IntegrityError, match="5 bytes"):
        wheels.add(path)


def test_a_record_that_is_none_is_told(tmp_path: Path, address: WorkspaceAddress, wheels: Wheels) -> None:
    wheels.add(make_wheel(tmp_path, "demo"))
    (record,) = (address.folder / "artefacts" / "wheel-records").rglob("*.json")
    for text in ("", "[]", '{"name": "demo"}'):
        record.chmod(0o644)
        record.write_text(text)
        with pytest.raises(IntegrityError, match="record"):
            wheels.list()


def test_what_the_store_says_is_not_taken_for_a_broken_record(tmp_path: Path, address: WorkspaceAddress) -> None:
    class Refusing(FolderObjects):
        def get_bytes(self, key: str) -> bytes:
            raise UsageError(f"no such bucket, says the keeper of {key}")

    wheels = Wheels(SimpleNamespace(address=address, objects=Refusing(tmp_path)))
    with pytest.raises(UsageError, match="no such bucket"):
        wheels.add(make_wheel(tmp_path, "demo"))


def test_signing_needs_only_the_configuration(tmp_path: Path, address: WorkspaceAddress, wheels: Wheels) -> None:
    path = make_wheel(tmp_path, "demo")
    config = Config(workspaces={"team": address})
    assert read(sign_private(config, wheels.add(path).url)) == path.read_bytes()
    with pytest.raises(UsageError, match="unknown"):
        sign_private(config, wheels.add(path).url.replace("//team", "//unknown"))


def test_a_served_workspace_reads_and_signs_and_sends_away_who_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_wheel(tmp_path, "demo")
    with desk(tmp_path / "there") as server:
        server.clock.now = time.time()
        there = WorkspaceAddress("team", tmp_path / "there")
        added = Wheels(SimpleNamespace(address=there, objects=open_objects(there))).add(path)
        monkeypatch.setenv("HERMETIC_WORKSPACE_KEY", server.keys.add("this machine").text())
        here = WorkspaceAddress("team", tmp_path / "here", artefacts=server.url)
        wheels = Wheels(SimpleNamespace(address=here, objects=open_objects(here)))
        assert wheels.get(added.url) == added
        assert wheels.add(path) == added
        assert Client().get_bytes(wheels.sign(added.url))[0] == path.read_bytes()
        assert Client().get_bytes(sign_private(Config(workspaces={"team": here}), added.url))[0] == path.read_bytes()
        with pytest.raises(UsageError, match="takes nothing"):
            wheels.add(make_wheel(tmp_path, "other"))
        with pytest.raises(UsageError, match="lists nothing"):
            wheels.list()


def without(path: Path, *lost: str, **changed: bytes) -> Path:
    """Write a wheel anew without some members, or with others in their place (by the end of their names)."""
    with zipfile.ZipFile(path) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in members.items():
            base = info.filename.rpartition("/")[2]
            if base not in lost:
                archive.writestr(info, changed.get(base.partition(".")[0], data))
    return path


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def flipped(path: Path) -> Path:
    """Change one byte of a member's content; the zip's own checksum is mended too."""
    return without(path, demo=b'VERSION = "6.6.6"\n')


def renamed(path: Path, name: str) -> Path:
    return path.rename(path.with_name(name))


BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated": (truncated, "no archive|no zip|damaged"),
    "empty": (lambda p: [p.write_bytes(b""), p][1], "no archive"),  # type: ignore[dict-item, return-value]
    "a web page": (lambda p: [p.write_text("<html>"), p][1], "no archive"),  # type: ignore[dict-item, return-value]
    "a changed member": (flipped, "demo.py is not what RECORD says"),
    "no RECORD": (lambda p: without(p, "RECORD"), "no demo-1.0.dist-info/RECORD"),
    "no METADATA": (lambda p: without(p, "METADATA"), "no demo-1.0.dist-info/METADATA"),
    "no WHEEL": (lambda p: without(p, "WHEEL"), "no demo-1.0.dist-info/WHEEL"),
    "a member lost": (lambda p: without(p, "demo.py"), "lists what it does not hold: demo.py"),
    "an empty RECORD": (lambda p: without(p, RECORD=b""), "does not list demo-1.0.dist-info/METADATA"),
    "a RECORD of another kind": (lambda p: without(p, RECORD=b"a,b\n"), "RECORD cannot be read"),
    "a future format": (lambda p: without(p, WHEEL=b"Wheel-Version: 2.0\n"), "Wheel-Version is 2.0"),
    "another version in its name": (lambda p: renamed(p, "demo-2.0-py3-none-any.whl"), "METADATA demo 1.0"),
    "another project in its name": (lambda p: renamed(p, "other-1.0-py3-none-any.whl"), "METADATA demo 1.0"),
    "a browser's second download": (lambda p: renamed(p, "demo-1.0-py3-none-any (1).whl"), "no wheel's name"),
    "no tags in its name": (lambda p: renamed(p, "demo-1.0.whl"), "no wheel's name"),
    "an sdist": (lambda p: renamed(p, "demo-1.0.tar.gz"), "source archive"),
    "another ending": (lambda p: renamed(p, "demo-1.0.egg"), "no wheel"),
    "a folder": (lambda p: p.parent, "a folder"),
    "nothing": (lambda p: p.with_name("none-1.0-py3-none-any.whl"), "no such file"),
}


@pytest.mark.parametrize(("breaks", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_sound_wheel_is_refused_whole(
    tmp_path: Path, address: WorkspaceAddress, wheels: Wheels, breaks: Callable[[Path], Path], said: str
) -> None:
    path = breaks(make_wheel(tmp_path / "dist", "demo"))
    with pytest.raises(HermeticError, match=said) as caught:
        wheels.add(path)
    assert isinstance(caught.value, UsageError | IntegrityError)
    assert caught.value.remedy
    assert wheels.list() == []
    assert not (address.folder / "artefacts").exists()


def test_a_member_that_leads_out_is_refused(tmp_path: Path, wheels: Wheels) -> None:
    path = make_wheel(tmp_path, "demo", files={"../evil.py": ""})
    with pytest.raises(IntegrityError, match="evil"):
        wheels.add(path)


def test_a_weak_digest_is_refused(tmp_path: Path, wheels: Wheels) -> None:
    path = make_wheel(tmp_path, "demo")
    with zipfile.ZipFile(path) as archive:
        record = archive.read("demo-1.0.dist-info/RECORD").decode()
    weak = hashlib.md5(b"x").hexdigest()
    lines = [f"demo.py,md5={weak},1" if line.startswith("demo.py") else line for line in record.splitlines()]
    with pytest.raises(UsageError, match="md5"):
        wheels.add(without(path, RECORD="\n".join(lines).encode()))
