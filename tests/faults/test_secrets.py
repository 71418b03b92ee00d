"""Secrets on their way to servers: they arrive, and stand nowhere else, whatever is done and whatever fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support.guarded import Guard, guarded
from tiny_wheels import make_wheel, write_index

VALUE = "p@ss/w:rd+ 42%"
"""Every character of it means something in a URL."""
MANIFEST = """
[workspace]
name = "demo"
keyvault = "file"
[channels]
tiny = "{channel}/tiny-channel"
[environments.default]
channels = ["tiny"]
dependencies = ["python=3.11"]
pip = ["--index-url {index}/simple", "app"]
platforms = ["linux-64"]
"""
Hermetic = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def guard(tmp_path: Path, tiny_channel: Path) -> Iterator[Guard]:
    """One server with a channel and an index; ``tiny_channel`` stands in its folder."""
    make_wheel(tmp_path / "wheels", "app", "1.0", "leaf")
    make_wheel(tmp_path / "wheels", "leaf", "2.0")
    write_index(tmp_path / "simple", tmp_path / "wheels")
    with guarded(tmp_path, "me", VALUE) as guard:
        yield guard


@pytest.fixture
def hermetic(tmp_path: Path, guard: Guard) -> Hermetic:
    project = tmp_path / "project"
    project.mkdir()
    address = guard.address("me:${secret:server}")
    (project / "hermetic.toml").write_text(MANIFEST.format(channel=address, index=address))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HERMETIC_", "UV_", "PIP_"))}
    own = {
        "HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home" / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "home" / "cache"), "HERMETIC_STORE": str(tmp_path / "store"),
        "UV_NO_CONFIG": "1",
    }  # fmt: skip
    (tmp_path / "home").mkdir()

    def call(*words: str, status: int = 0, given: str = "") -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-m", "hermetic", *words], cwd=project, env={**kept, **own}, input=given,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == status, f"{words} gave {result.returncode}\n{result.stdout}\n{result.stderr}"
        for form in (VALUE, quote(VALUE, safe=""), quote(VALUE)):
            assert form not in result.stdout + result.stderr, words
        return result

    return call


def traces(*folders: Path) -> list[str]:
    """Give the files in which the value stands, plain or as URLs or headers write it."""
    from base64 import b64encode

    forms = [VALUE.encode(), quote(VALUE, safe="").encode(), quote(VALUE).encode(), b64encode(f"me:{VALUE}".encode())]
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and any(form in path.read_bytes() for form in forms)
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the sample channel is for Linux")
class TestChannelAndIndex:
    def test_a_secret_arrives_and_is_nowhere_else(self, hermetic: Hermetic, guard: Guard, tmp_path: Path) -> None:
        hermetic("secret", "set", "server", given=VALUE)
        hermetic("lock", "-vv")
        hermetic("lock", "--update", "-v")
        hermetic("build", "-v")
        hermetic("build", "--prefix", "elsewhere", "-v")
        hermetic("tree")
        for form in ("explicit", "requirements", "pylock", "conda-lock"):
            hermetic("export", "-f", form)
        assert any("tiny-channel" in path for path in guard.asked)
        assert any(path.startswith("/wheels/app") for path in guard.asked)
        assert guard.shown == []
        assert traces(tmp_path) == []

    def test_an_address_in_the_environments_own_files_holds_the_reference(
        self, hermetic: Hermetic, guard: Guard, tmp_path: Path
    ) -> None:
        address = guard.address("me:${secret:server}")
        (tmp_path / "project" / "environment.yml").write_text(
            f"channels:\n- {address}/tiny-channel\n- nodefaults\ndependencies: [python=3.11, base]\n"
        )
        manifest = MANIFEST.partition("[channels]")[0] + '[environments.own]\nfrom = ["environment.yml"]\n'
        (tmp_path / "project" / "hermetic.toml").write_text(manifest + 'platforms = ["linux-64"]\n')
        hermetic("secret", "set", "server", given=VALUE)
        hermetic("lock", "-v")
        hermetic("build", "-v")
        assert "${secret:server}" in (tmp_path / "project" / "lockfiles" / "own.lock.json").read_text()
        assert guard.shown == []
        assert traces(tmp_path) == []

    def test_a_wrong_one_is_a_clear_error(self, hermetic: Hermetic, guard: Guard, tmp_path: Path) -> None:
        guard.password = "another one entirely"
        hermetic("secret", "set", "server", given=VALUE)
        assert "127.0.0.1" in hermetic("lock", "-v", status=4).stderr
        assert traces(tmp_path) == []

    def test_a_missing_one_is_said_before_any_server_is_asked(self, hermetic: Hermetic, guard: Guard) -> None:
        said = hermetic("lock", status=4).stderr
        assert "needs the secret 'server', which is not there" in said
        assert "hermetic secret set server" in said
        assert not guard.asked + guard.refused
