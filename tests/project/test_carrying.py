"""Exports of locks with wheels that no other tool can fetch, and imports of files that name private ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from lock_samples import conda, platform_lock, wheel
from support.wheels import make_wheel

from hermetic.errors import IntegrityError, LockFileError, SpecError, UsageError
from hermetic.lock.file import read_lock, write_lock
from hermetic.lock.formats import FORMATS
from hermetic.lock.model import Lock, Origin, Wheel
from hermetic.project.carrying import BY_PATH
from hermetic.project.exchange import export_lock, import_lockfile
from hermetic.spec.private_urls import private_url
from hermetic.store import Store

FILE = "mine-1.0-py3-none-any.whl"


class Place:
    """A project in a workspace, whose lock holds a private wheel and one of an index."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = make_wheel(root / "made", "mine")
        self.sha256 = sha256(self.path.read_bytes()).hexdigest()
        self.url = private_url("team", self.sha256, FILE)
        self.object = root / ".hermetic" / "workspace" / "artefacts" / "wheels" / self.sha256 / FILE
        self.object.parent.mkdir(parents=True)
        shutil.copy(self.path, self.object)
        (root / "hermetic.toml").write_text('[workspace]\nname = "team"\n[environments.default]\n')
        self.mine = wheel("mine", "1.0", sha256=self.sha256, size=self.path.stat().st_size, url=self.url)
        self.lock(self.mine, wheel("other", "2.0"))

    def lock(self, *wheels: Wheel) -> None:
        found = platform_lock("linux-64", conda("python", "3.11.7", md5="ab" * 16), *wheels)
        write_lock(Lock({}, {"linux-64": found}), self.root / "lockfiles" / "default.lock.json")

    def export(self, form: str, **more: str) -> str:
        return export_lock(str(self.root), None, form, "linux-64", more.pop("output", None), **more)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CONFIG", os.devnull)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple/")
    return Place(tmp_path)


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_has_an_address_for_a_private_wheel(place: Place, form: str) -> None:
    """Which is said with a way out that exists, before anything is asked or written."""
    with pytest.raises(UsageError, match=f"{form} has no address for private wheels: mine") as caught:
        place.export(form, output=str(place.root / "out"))
    assert "--wheels FOLDER" in (caught.value.remedy or "")
    assert not (place.root / "out").exists()


@pytest.mark.parametrize("form", sorted(set(FORMATS) - set(BY_PATH)))
def test_formats_that_know_urls_only(place: Place, form: str) -> None:
    with pytest.raises(UsageError, match=f"{form} names files by URL only"):
        place.export(form, wheels=str(place.root / "out"))


class TestBesideTheFile:
    def test_requirements_that_pip_takes(self, place: Place) -> None:
        place.lock(place.mine)
        place.export("requirements", output=str(place.root / "out" / "r.txt"), wheels=str(place.root / "out" / "whl"))
        text = (place.root / "out" / "r.txt").read_text()
        assert f"./whl/{FILE} \\\n    --hash=sha256:{place.sha256}\n" in text
        assert "hermetic://" not in text
        command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--target=t", "-r", "r.txt"], cwd=place.root / "out", check=True)
        assert (place.root / "out" / "t" / "mine.py").is_file()

    def test_a_pylock_that_names_the_path(self, place: Place) -> None:
        place.lock(place.mine)
        text = place.export("pylock", output=str(place.root / "pylock.toml"), wheels=str(place.root / "whl"))
        (package,) = tomllib.loads(text)["packages"]
        (file,) = package["wheels"]
        assert (file["path"], file["hashes"]["sha256"]) == (f"./whl/{FILE}", place.sha256)
        assert "url" not in file

    def test_an_environment_file(self, place: Place) -> None:
        text = place.export("environment", output=str(place.root / "e.yml"), wheels=str(place.root))
        pip = yaml.safe_load(text)["dependencies"][-1]["pip"]
        assert pip == [f"./{FILE}", "other==2.0"]

    def test_a_pixi_lock(self, place: Place) -> None:
        place.lock(place.mine)
        text = place.export("pixi", output=str(place.root / "pixi.lock"), wheels=str(place.root / "whl"))
        assert f"- pypi: ./whl/{FILE}\n" in text
        assert f"sha256: {place.sha256}" in text

    def test_the_folder_may_be_above(self, place: Place) -> None:
        text = place.export(
            "requirements", output=str(place.root / "a" / "b" / "r.txt"), wheels=str(place.root / "whl")
        )
        assert f"\n../../whl/{FILE} " in text

    def test_what_was_built_from_source_comes_too(self, place: Place) -> None:
        built = wheel("mine", "1.0", sha256=place.sha256, origin=Origin(url="https://example.org/mine.tar.gz"))
        place.lock(built)
        with pytest.raises(UsageError, match="not in this store"):
            place.export("requirements", wheels=str(place.root / "whl"))
        Store.open(place.root / "store").put_file(place.path)
        place.export("requirements", wheels=str(place.root / "whl"))
        assert (place.root / "whl" / FILE).read_bytes() == place.path.read_bytes()

    def test_another_file_of_that_name_stays(self, place: Place) -> None:
        (place.root / "whl").mkdir()
        (place.root / "whl" / FILE).write_bytes(b"mine own work")
        with pytest.raises(UsageError, match="another file of that name"):
            place.export("requirements", wheels=str(place.root / "whl"))
        assert (place.root / "whl" / FILE).read_bytes() == b"mine own work"

    def test_twice_is_once(self, place: Place) -> None:
        first = place.export("requirements", wheels=str(place.root / "whl"))
        before = (place.root / "whl" / FILE).stat().st_mtime_ns
        assert place.export("requirements", wheels=str(place.root / "whl")) == first
        assert (place.root / "whl" / FILE).stat().st_mtime_ns == before

    def test_other_bytes_in_the_workspace(self, place: Place) -> None:
        place.object.chmod(0o644)
        place.object.write_bytes(b"other")
        with pytest.raises(IntegrityError):
            place.export("requirements", wheels=str(place.root / "whl"))
        assert not (place.root / "whl").exists()


class TestImports:
    """A file of another tool's kind may name private wheels: somebody wrote it for hermetic."""

    def conda_lock(self, url: str, digest: str) -> str:
        return (
            "version: 1\nmetadata:\n  content_hash: {linux-64: abc}\n  channels: []\n  platforms: [linux-64]\n"
            "  sources: []\npackage:\n- name: mine\n  version: '1.0'\n  manager: pip\n  platform: linux-64\n"
            f"  dependencies: {{}}\n  url: {url}\n  hash: {{sha256: {digest}}}\n  category: main\n  optional: false\n"
        )

    def imported(self, place: Place, text: str, name: str) -> Wheel:
        path = place.root / "import" / name
        path.parent.mkdir()
        path.write_text(text)
        lock = read_lock(import_lockfile(str(path.parent), str(path), "default"))
        return lock.platforms["linux-64"].wheels[0]

    def test_conda_lock(self, place: Place) -> None:
        found = self.imported(place, self.conda_lock(place.url, place.sha256), "conda-lock.yml")
        assert (found.url, found.sha256, found.index) == (place.url, place.sha256, "")
        assert f"mine @ {place.url}" in (place.root / "import" / "hermetic.toml").read_text()

    def test_pylock(self, place: Place) -> None:
        text = (
            'lock-version = "1.0"\ncreated-by = "me"\nenvironments = ["sys_platform == \'linux\' and '
            "platform_machine == 'x86_64'\"]\n"
            f'[[packages]]\nname = "mine"\nversion = "1.0"\nwheels = [{{name = "{FILE}", url = "{place.url}", '
            f'hashes = {{sha256 = "{place.sha256}"}}}}]\n'
        )
        assert self.imported(place, text, "pylock.toml").url == place.url

    def test_pixi(self, place: Place) -> None:
        text = (
            "version: 6\nenvironments:\n  default:\n    channels: []\n    packages:\n      linux-64:\n"
            f"      - pypi: {place.url}\npackages:\n- pypi: {place.url}\n  name: mine\n  version: '1.0'\n"
            f"  sha256: {place.sha256}\n"
        )
        assert self.imported(place, text, "pixi.lock").url == place.url

    def test_a_digest_that_its_url_denies(self, place: Place) -> None:
        with pytest.raises(LockFileError, match=r"another sha256 than its URL says: mine 1\.0"):
            self.imported(place, self.conda_lock(place.url, "ab" * 32), "conda-lock.yml")

    def test_one_with_a_signature_is_refused_and_not_repeated(self, place: Place) -> None:
        with pytest.raises((LockFileError, SpecError)) as caught:
            self.imported(place, self.conda_lock(f"{place.url}?sig=S3cr3tS3cr3t", place.sha256), "conda-lock.yml")
        assert "S3cr3t" not in str(caught.value)
