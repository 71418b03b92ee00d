"""Secrets as a user keeps and uses them: set by the command line, given to processes, and met nowhere else."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.needs import require

from .test_json import documented, fits

VALUE = "hunter22-s3cr3t-v4lue"
Hermetic = Callable[..., subprocess.CompletedProcess[str]]
MAIN = [sys.executable, "-c", "from hermetic.cli import main; main()"]
WORKSPACE = '[workspace]\nname = "demo"\nkeyvault = "file"\n'


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a new home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HERMETIC_")}
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HERMETIC_STORE": str(tmp_path / "store"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "hermetic.toml").write_text(WORKSPACE)
    return folder


@pytest.fixture
def hermetic(project: Path, home: dict[str, str]) -> Hermetic:
    def call(*words: str, status: int = 0, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [*MAIN, *words], cwd=project, env={**home, **environment}, input=given, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.returncode == status, f"{words} gave {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    return call


class TestVerb:
    def test_set_get_list_delete(self, hermetic: Hermetic) -> None:
        said = hermetic("secret", "set", "db-password", given=f"{VALUE}\n").stdout
        assert "${secret:db-password}" in said
        assert VALUE not in said
        hermetic("secret", "set", "other", given="two\nlines\r\n")
        assert hermetic("secret", "list").stdout.split() == ["db-password", "other"]
        assert hermetic("secret", "get", "db-password", "-q").stdout == f"{VALUE}\n"
        assert json.loads(hermetic("secret", "get", "other", "--json").stdout) == {
            "name": "other",
            "value": "two\nlines",
        }
        hermetic("secret", "delete", "db-password", "other")
        assert hermetic("secret", "list").stdout == ""

    def test_documents_are_as_the_page_shows_them(self, hermetic: Hermetic) -> None:
        for words in (["set", "a"], ["get", "a"], ["list"], ["delete", "a"]):
            said = json.loads(hermetic("secret", *words, "--json", given=VALUE).stdout)
            fits(said, documented(f"secret {words[0]}"), words[0])

    def test_a_value_is_asked_for_and_not_shown(self, project: Path, home: dict[str, str]) -> None:
        def typed(*values: str) -> tuple[int, str]:
            child, screen = pty.fork()
            if child == 0:
                os.chdir(project)
                os.execve(sys.executable, [*MAIN, "secret", "set", "asked"], home)
            shown = b""
            for question, value in zip((b"value of asked: ", b"once more: "), values, strict=True):
                while question not in shown:
                    shown += os.read(screen, 1000)
                os.write(screen, f"{value}\n".encode())
            try:
                while piece := os.read(screen, 1000):
                    shown += piece
            except OSError:  # how Linux tells the end of a terminal
                pass
            os.close(screen)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()

        status, shown = typed(VALUE, "something else")
        assert status == 2
        assert "the two values differ" in shown
        status, shown = typed(VALUE, VALUE)
        assert status == 0
        assert VALUE not in shown
        got = subprocess.run([*MAIN, "secret", "get", "asked"], cwd=project, env=home, capture_output=True, check=True)
        assert got.stdout.decode() == f"{VALUE}\n"

    @pytest.mark.parametrize("words", [[VALUE], ["--value", VALUE], [f"--value={VALUE}"]])
    def test_a_value_on_the_command_line_is_refused_and_not_repeated(
        self, hermetic: Hermetic, words: list[str]
    ) -> None:
        said = hermetic("secret", "set", "a", *words, status=2)
        assert VALUE not in said.stdout + said.stderr
        assert hermetic("secret", "list").stdout == ""

    def test_names_are_checked_before_anybody_types(self, hermetic: Hermetic) -> None:
        assert "no name of a secret" in hermetic("secret", "set", "a b", given=VALUE, status=2).stderr

    def test_what_is_missing(self, hermetic: Hermetic) -> None:
        hermetic("secret", "set", "db-password", given=VALUE)
        said = hermetic("secret", "get", "db-pasword", "--json", status=2)
        error = json.loads(said.stderr)["error"]
        assert (error["code"], error["remedy"]) == ("missing", "did you mean 'db-password'?")
        assert "empty" in hermetic("secret", "set", "none", given="\n", status=2).stderr

    def test_without_a_workspace(self, hermetic: Hermetic, project: Path) -> None:
        (project / "hermetic.toml").unlink()
        assert "hermetic workspace init" in hermetic("secret", "list", status=2).stderr

    def test_a_vault_that_was_changed(self, hermetic: Hermetic, project: Path) -> None:
        hermetic("secret", "set", "a", given=VALUE)
        path = project / ".hermetic" / "workspace" / "vault"
        path.write_text(path.read_text().replace('"sealed": "', '"sealed": "AAAA'))
        assert "damaged or changed" in hermetic("secret", "get", "a", status=5).stderr


MANIFEST = """
[channels]
tiny = "{channel}"
[environments.default]
channels = ["tiny"]
dependencies = ["app<2"]
platforms = ["linux-64"]
base = "scratch"
[environments.default.variables]
DB_PASSWORD = "${{secret:db-password}}"
DB_URL = "postgresql://me:${{secret:db-password}}@db.example.org/x"
PLAIN = "${{HOME}} stays"
"""


@pytest.fixture
def built(hermetic: Hermetic, project: Path, tiny_channel: Path) -> Hermetic:
    if sys.platform != "linux":
        pytest.skip("the sample channel is for Linux")
    (project / "hermetic.toml").write_text(WORKSPACE + MANIFEST.format(channel=tiny_channel))
    hermetic("lock")
    hermetic("build")
    return hermetic


SHOW = ["run", "--", "sh", "-c", 'echo "$DB_PASSWORD $DB_URL $PLAIN"']


def files_with(text: str, *folders: Path) -> Iterator[Path]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and (text.encode() in path.read_bytes() or text in path.name):
                yield path


class TestUse:
    def test_a_process_gets_the_value_and_nothing_else_does(self, built: Hermetic, tmp_path: Path) -> None:
        built("secret", "set", "db-password", given=VALUE)
        url = f"postgresql://me:{VALUE}@db.example.org/x"
        assert built(*SHOW).stdout == f"{VALUE} {url} ${{HOME}} stays\n"
        built("build", "--oci-layout", "out")
        for words in (
            ["lock", "--check"],
            ["build"],
            ["verify"],
            ["tree", "--json"],
            ["export", "-f", "environment"],
        ):
            said = built(*words)
            assert VALUE not in said.stdout + said.stderr
        assert not [*files_with(VALUE, tmp_path)]

    def test_a_shell_gets_it_too(self, built: Hermetic) -> None:
        built("secret", "set", "db-password", given=VALUE)
        assert built("shell", given='echo "$DB_PASSWORD"\n', SHELL="/bin/sh").stdout == f"{VALUE}\n"

    def test_no_command_line_shows_it(self, built: Hermetic) -> None:
        built("secret", "set", "db-password", given=VALUE)
        look = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done 2>/dev/null"
        assert VALUE not in built("run", "--", "sh", "-c", look).stdout

    def test_the_environment_comes_first(self, built: Hermetic) -> None:
        built("secret", "set", "db-password", given=VALUE)
        assert built(*SHOW, HERMETIC_SECRET_DB_PASSWORD="from-outside").stdout.startswith("from-outside ")

    def test_what_is_missing_is_said_before_anything_runs(self, built: Hermetic) -> None:
        said = built("run", "--", "sh", "-c", "echo ran", status=4)
        assert said.stdout == ""
        assert "the environment variable DB_PASSWORD needs the secret 'db-password'" in said.stderr
        assert "hermetic secret set db-password" in said.stderr
        assert "HERMETIC_SECRET_DB_PASSWORD" in said.stderr

    def test_lock_key_image_and_prefix_are_the_same_whatever_the_value_is(
        self, built: Hermetic, project: Path, tmp_path: Path
    ) -> None:
        seen = set()
        for value in ("first-value-of-it", "second-value-of-it"):
            built("secret", "set", "db-password", given=value)
            (project / "lockfiles" / "default.lock.json").unlink()
            built("lock")
            image = json.loads(built("build", "--oci-layout", f"out-{value}", "--json").stdout)
            lock = (project / "lockfiles" / "default.lock.json").read_bytes()
            state = (project / ".hermetic" / "envs" / "default" / "conda-meta" / "state").read_bytes()
            seen.add((lock, state, image["digest"]))
        assert len(seen) == 1

    def test_an_image_has_the_names_alone(self, built: Hermetic, project: Path) -> None:
        built("build", "--oci-layout", "out")
        blobs = [path.read_bytes() for path in (project / "out" / "blobs" / "sha256").iterdir()]
        (config,) = [found for blob in blobs if blob.startswith(b"{") and "rootfs" in (found := json.loads(blob))]
        names = {text.partition("=")[0] for text in config["config"]["Env"]}
        assert "PLAIN" in names
        assert not {"DB_PASSWORD", "DB_URL"} & names
        assert json.loads(config["config"]["Labels"]["hermetic.secrets"]) == {
            "DB_PASSWORD": "${secret:db-password}",
            "DB_URL": "postgresql://me:${secret:db-password}@db.example.org/x",
        }

    def test_an_image_is_verified_against_the_lock(self, built: Hermetic) -> None:
        built("build", "--oci-layout", "out")
        built("verify", "out")

    def test_tools_that_look_nothing_up_are_told_of(self, built: Hermetic) -> None:
        said = built("export", "-f", "environment")
        assert "${secret:db-password}" in said.stdout
        assert "DB_PASSWORD, DB_URL: a reference to a secret" in said.stderr
        assert "DB_PASSWORD, DB_URL: a reference to a secret" in built("pack", "-o", "x.sh").stderr

    def test_a_typed_password_is_refused_with_its_line(self, built: Hermetic, project: Path) -> None:
        manifest = project / "hermetic.toml"
        manifest.write_text(manifest.read_text().replace('${secret:db-password}"\nDB_URL', f'{VALUE}"\nDB_URL'))
        said = built("lock", status=2)
        assert VALUE not in said.stderr
        line = manifest.read_text().split("\n").index(f'DB_PASSWORD = "{VALUE}"') + 1
        assert f"hermetic.toml:{line}: the variable DB_PASSWORD holds a typed password" in said.stderr
        assert "hermetic secret set db-password" in said.stderr


SESSION = """
import subprocess, sys
subprocess.run(["gnome-keyring-daemon", "--unlock", "--components=secrets"], input=b"password of the login\\n",
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's")
def test_the_system_keyring(project: Path, home: dict[str, str], tmp_path: Path) -> None:
    """A desktop session's own keyring, with its bus and its daemon."""
    from shutil import which

    require(
        which("gnome-keyring-daemon") and which("dbus-run-session"), "there is no gnome-keyring-daemon, or no D-Bus"
    )
    (project / "hermetic.toml").write_text('[workspace]\nname = "demo"\n')
    (runtime := tmp_path / "runtime").mkdir(mode=0o700)
    del home["PYTHON_KEYRING_BACKEND"]
    script = f"""
    echo {VALUE} | "$@" secret set db-password &&
    echo other-value | "$@" secret set other && "$@" secret list --json && "$@" secret get db-password &&
    "$@" secret delete db-password && "$@" secret list && ! "$@" secret get db-password
    """
    ran = subprocess.run(
        ["dbus-run-session", "--", sys.executable, "-c", SESSION, "sh", "-c", script, "sh", *MAIN],
        cwd=project, env={**home, "XDG_RUNTIME_DIR": str(runtime), "XDG_DATA_HOME": str(tmp_path / "data")},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert '"kept_in": "keyring"' in ran.stdout
    assert f"}}\n{VALUE}\n" in ran.stdout
    assert ran.stdout.endswith("deleted db-password\nother\n")
    assert "no secret 'db-password'" in ran.stderr
    assert not [*files_with(VALUE, tmp_path)]
    assert not (project / ".hermetic" / "workspace" / "vault").exists()
