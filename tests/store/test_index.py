from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faulty import FaultyServer, body, faulty, status
from support.servers import simple_index

from hermetic.config import Config
from hermetic.errors import IntegrityError, NetworkError, UsageError
from hermetic.lock.model import CondaPackage, Wheel
from hermetic.store import Store
from hermetic.store.fetch import fetch
from hermetic.store.http import Client
from hermetic.store.index import (
    conda_artifact,
    locate_wheel,
    project_files,
    remember_addresses,
    remembered_address,
    wheel_artifact,
)
from hermetic.store.pip_config import default_indexes

NAME = "thing-1.0-py3-none-any.whl"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one wheel, which nobody unpacks."""
    import zipfile

    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    return folder


@pytest.fixture
def wheel(wheels: Path) -> Wheel:
    data = (wheels / NAME).read_bytes()
    return Wheel("thing", "1.0", NAME, len(data), hashlib.sha256(data).hexdigest())


@pytest.fixture
def index(wheels: Path) -> Iterator[FaultyServer]:
    with faulty(wheels, index=True) as server:
        yield server


class TestLocate:
    @pytest.mark.parametrize("json", [True, False])
    def test_by_either_form_of_the_simple_api(self, wheels: Path, wheel: Wheel, client: Client, json: bool) -> None:
        with simple_index(wheels, json=json) as server:
            config = Config(default_index=f"{server.url}/simple/")
            assert locate_wheel(config, wheel, client=client) == f"{server.url}/files/{NAME}"

    def test_in_a_folder_that_is_an_index(self, wheels: Path, wheel: Wheel, client: Client, tmp_path: Path) -> None:
        page = tmp_path / "simple" / "thing"
        page.mkdir(parents=True)
        (page / "index.html").write_text(f'<a href="../../wheels/{NAME}#sha256={wheel.sha256}">{NAME}</a>')
        found = locate_wheel(Config(default_index=(tmp_path / "simple").as_uri()), wheel, client=client)
        assert found == (wheels / NAME).as_uri()

    def test_a_named_index(self, wheel: Wheel, index: FaultyServer, client: Client) -> None:
        named = Wheel(wheel.name, wheel.version, wheel.file_name, wheel.size, wheel.sha256, index="inside")
        config = Config(indexes={"inside": f"{index.url}/simple"}, default_index="http://127.0.0.1:1/")
        assert locate_wheel(config, named, client=client) == f"{index.url}/files/{NAME}"

    def test_an_index_by_its_url(self, wheel: Wheel, index: FaultyServer, client: Client) -> None:
        named = Wheel(wheel.name, wheel.version, wheel.file_name, wheel.size, wheel.sha256, index=f"{index.url}/simple")
        assert locate_wheel(Config(), named, client=client) == f"{index.url}/files/{NAME}"

    def test_a_wheel_with_a_url_of_its_own(self, wheel: Wheel, client: Client, tmp_path: Path) -> None:
        direct = Wheel("thing", "1.0", NAME, 1, wheel.sha256, url="https://example.org/thing.whl")
        assert locate_wheel(Config(), direct, client=client) == "https://example.org/thing.whl"
        local = Wheel("thing", "1.0", NAME, 1, wheel.sha256, url="./wheels/thing.whl")
        assert locate_wheel(Config(base=tmp_path), local, client=client) == str(tmp_path / "wheels" / "thing.whl")

    def test_the_file_is_gone(self, wheels: Path, wheel: Wheel, index: FaultyServer, client: Client) -> None:
        (wheels / NAME).rename(wheels / "thing-2.0-py3-none-any.whl")
        (wheels / "thing-2.0-py3-none-any.whl").write_bytes((wheels / "thing-2.0-py3-none-any.whl").read_bytes() + b" ")
        with pytest.raises(NetworkError, match=rf"{NAME}: not in {index.url}/simple"):
            locate_wheel(Config(default_index=f"{index.url}/simple"), wheel, client=client)

    def test_the_project_is_gone(self, wheels: Path, wheel: Wheel, index: FaultyServer, client: Client) -> None:
        (wheels / NAME).unlink()
        with pytest.raises(NetworkError, match="not in"):
            locate_wheel(Config(default_index=f"{index.url}/simple"), wheel, client=client)

    def test_another_file_under_the_name(self, wheel: Wheel, index: FaultyServer, client: Client) -> None:
        locked = Wheel("thing", "1.0", NAME, 1, "0" * 64)
        with pytest.raises(IntegrityError) as caught:
            locate_wheel(Config(default_index=f"{index.url}/simple"), locked, client=client)
        assert wheel.sha256 in caught.value.message

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"files": 1}', b'{"files": [{}]}', b'{"files": ["a"]}'])
    def test_an_answer_that_is_none(self, wheel: Wheel, index: FaultyServer, client: Client, data: bytes) -> None:
        index.fault("/simple/", body(data, "application/vnd.pypi.simple.v1+json"))
        with pytest.raises(NetworkError):
            locate_wheel(Config(default_index=f"{index.url}/simple"), wheel, client=client)

    def test_an_index_in_trouble(self, wheel: Wheel, index: FaultyServer, client: Client) -> None:
        index.fault("/simple/", status(503))
        with pytest.raises(NetworkError, match="503"):
            locate_wheel(Config(default_index=f"{index.url}/simple"), wheel, client=client)

    def test_html_with_a_base_and_without_digests(self, index: FaultyServer, client: Client) -> None:
        page = b'<base href="https://files.example.org/x/"><a href="a%2Bb-1.whl">x</a><a name="no">y</a>'
        index.fault("/simple/", body(page, "text/html; charset=utf-8"))
        assert project_files(client, f"{index.url}/simple", "x") == [
            ("a+b-1.whl", "https://files.example.org/x/a%2Bb-1.whl", "")
        ]


class TestMemory:
    def test_an_address_that_was_seen_is_used_first(
        self, store: Store, wheels: Path, wheel: Wheel, index: FaultyServer, client: Client
    ) -> None:
        remember_addresses(store, {wheel.sha256: f"{index.url}/files/{NAME}"})
        fetch(store, [wheel_artifact(store, Config(default_index="http://127.0.0.1:1/"), wheel, client)], client=client)
        assert [asked.path for asked in index.asked] == [f"/files/{NAME}"]

    def test_an_address_that_is_gone_sends_back_to_the_index(
        self, store: Store, wheel: Wheel, index: FaultyServer, client: Client
    ) -> None:
        remember_addresses(store, {wheel.sha256: f"{index.url}/old/{NAME}"})
        fetch(store, [wheel_artifact(store, Config(default_index=f"{index.url}/simple"), wheel, client)], client=client)
        assert store.has_blob(wheel.sha256)
        assert remembered_address(store, wheel.sha256) == f"{index.url}/files/{NAME}"

    def test_an_index_with_credentials_in_its_address(
        self, store: Store, wheel: Wheel, index: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index.credentials = "me:secret"
        monkeypatch.setenv("INDEX_PASSWORD", "secret")
        remember_addresses(store, {wheel.sha256: f"{index.url}/files/{NAME}"})
        address = index.url.replace("http://", "http://me:${INDEX_PASSWORD}@") + "/simple"
        fetch(store, [wheel_artifact(store, Config(default_index=address), wheel, client)], client=client)
        assert store.has_blob(wheel.sha256)
        assert "me" not in remembered_address(store, wheel.sha256)

    def test_nothing_is_remembered(self, store: Store) -> None:
        assert remembered_address(store, "0" * 64) == ""

    def test_a_conda_package_is_at_its_channel(self) -> None:
        package = CondaPackage("a", "1!2+x", "0", 0, "demo", "noarch", "a-1!2+x-0.conda", 10, "0" * 64)
        artifact = conda_artifact(Config(channels={"demo": "https://example.org/demo"}), package)
        assert artifact.urls == ("https://example.org/demo/noarch/a-1%212%2Bx-0.conda",)
        assert (artifact.label, artifact.size) == ("a-1!2+x-0.conda", 10)


class TestDefaultIndexes:
    @pytest.fixture(autouse=True)
    def _no_files(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))

    def test_the_environment(self) -> None:
        environ = {
            "PIP_CONFIG_FILE": "/dev/null",
            "UV_NO_CONFIG": "1",
            "PIP_INDEX_URL": "https://pip/",
            "UV_INDEX_URL": "https://old/",
            "UV_DEFAULT_INDEX": "main=https://new/",
            "UV_INDEX": "a=https://a/ https://b/?x=1",
            "PIP_EXTRA_INDEX_URL": "https://c/ https://a/",
        }
        assert default_indexes(environ) == ("https://new/", "https://a/", "https://b/?x=1", "https://c/")

    def test_the_files_of_uv_and_pip(self, tmp_path: Path) -> None:
        (tmp_path / "uv").mkdir()
        (tmp_path / "uv" / "uv.toml").write_text(
            'extra-index-url = ["https://extra/"]\n[[index]]\nurl = "https://uv/"\ndefault = true\n'
            '[[index]]\nname = "more"\nurl = "https://more/"\n'
        )
        (tmp_path / "pip").mkdir()
        (tmp_path / "pip" / "pip.conf").write_text(
            "[global]\nindex-url = https://pip/%s\nextra-index-url =\n    https://one/\n    https://two/\n"
        )
        environ = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
        found = default_indexes(environ)
        assert found[0] == "https://uv/"
        assert {"https://more/", "https://extra/", "https://one/", "https://two/"} <= set(found)
        found = default_indexes({**environ, "UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": str(tmp_path / "pip" / "pip.conf")})
        assert found[0] == "https://pip/%s"

    def test_damaged_files_are_left_to_their_owners(self, tmp_path: Path) -> None:
        for name, file in (("uv", "uv.toml"), ("pip", "pip.conf")):
            (tmp_path / name).mkdir()
            (tmp_path / name / file).write_text("[[[")
        environ = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path), "PIP_INDEX_URL": "https://pip/"}
        assert default_indexes(environ)[0] == "https://pip/"

    def test_else_pips_own(self) -> None:
        from pip._internal.models.index import PyPI

        assert default_indexes({"PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1"}) == (PyPI.simple_url,)

    def test_without_pip_it_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "pip._internal.models.index", None)
        with pytest.raises(UsageError) as caught:
            default_indexes({"PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1"})
        assert "UV_DEFAULT_INDEX" in (caught.value.remedy or "")
