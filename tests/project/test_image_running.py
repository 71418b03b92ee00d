"""Commands in images, as processes of their own that a user would start."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from support.engine import Engine
from support.guarded import command_lines_with
from support.needs import require
from support.small_images import file, image, layer, shell_layer

from hermetic.errors import MachineError, UsageError
from hermetic.outputs.oci.engine import load
from hermetic.project.image_running import Container, client_command, run_image
from hermetic.store import Store

PROGRAM = """
import json, os, sys
from pathlib import Path
from hermetic.events import SILENT
from hermetic.errors import HermeticError
from hermetic.project.image_running import run_image
class Loud(type(SILENT)):
    def warn(self, message): print("warning:", message, file=sys.stderr)
image, folder, user, gpus, *command = sys.argv[1:]
try:
    sys.exit(run_image(image, command, folder=Path(folder) if folder else None, user=user, network="none",
                       variables={"GIVEN": "by the caller"}, secrets=json.loads(os.environ.get("SECRETS", "{}")),
                       gpus=gpus == "gpus", reporter=Loud()))
except HermeticError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def reference(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    store = Store.open(tmp_path_factory.mktemp("store"))
    unique = uuid.uuid4().hex
    made = image(
        [shell_layer(store), layer(store, [file("mark", unique)])],
        Env=["PATH=/bin:/usr/bin", "FROM_IMAGE=yes"],
        Entrypoint=[],
        WorkingDir="/tmp",
    )
    load(made, f"test/{unique}:run", store=store, client=engine.client)
    return f"test/{unique}:run"


@pytest.fixture
def start(engine: Engine, reference: str, tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    def started(
        *command: str, folder: Path | None = None, cwd: Path | None = None, user: str = "", gpus: str = ""
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, reference, str(folder or ""), user, gpus, *command],
            env={**os.environ, **engine.environment},
            cwd=cwd or tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return started


def test_streams_and_exit_status_are_the_commands(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sh", "-c", "cat; echo $FROM_IMAGE $GIVEN >&2; exit 7")
    out, err = process.communicate(b"said " * 100_000)
    assert out == b"said " * 100_000
    assert err == b"yes by the caller\n"
    assert process.returncode == 7


def test_output_without_input_comes_whole(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sh", "-c", "cat /bin/ls")
    out, _ = process.communicate()
    assert out == Path("/bin/ls").read_bytes()
    assert process.returncode == 0


def test_the_projects_folder_is_at_its_own_path(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    project = tmp_path / "a project"
    (project / "src").mkdir(parents=True)
    (project / "word").write_text("from outside")
    out, err = start(
        "sh", "-c", "pwd; cat ../word; echo made > made", folder=project, cwd=project / "src"
    ).communicate()
    assert (out.decode(), err.decode()) == (f"{project / 'src'}\nfrom outside", "")
    assert (project / "src" / "made").read_text() == "made\n"
    out, _ = start("sh", "-c", "pwd", folder=project, cwd=tmp_path).communicate()
    assert out.decode() == f"{project}\n"


def test_a_signal_reaches_the_command(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sh", "-c", "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert (out, process.returncode) == (b"told\n", 3)


def test_a_command_that_heeds_no_signal_by_itself_ends_by_it(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sh", "-c", "echo ready; exec sleep 600")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 128 + signal.SIGINT


def test_nothing_is_left_of_a_container(
    engine: Engine, reference: str, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    for command in (("sh", "-c", "exit 1"), ("none",)):
        start(*command).communicate()
    assert not engine.client.containers.list(all=True, filters={"ancestor": reference, "status": "exited"})


def test_a_reader_that_goes_away_ends_the_command(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sh", "-c", "while :; do cat /bin/ls; done")
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) == 141


def test_the_user_can_be_chosen(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    out, _ = start("sh", "-c", "id -u; id -g; echo $HOME", user="1234:567").communicate()
    assert out == b"1234\n567\n/tmp\n"


def test_a_command_that_is_not_there_is_said(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("no-such-command")
    _, err = process.communicate()
    assert process.returncode == 127
    assert b"no-such-command" in err


def test_gpus_that_the_engine_cannot_give_are_no_error(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sh", "-c", "echo went on", gpus="gpus")
    out, err = process.communicate()
    if b"warning" in err:  # a machine with NVIDIA's runtime has nothing to warn of
        assert b"without GPUs" in err
    assert (out, process.returncode) == (b"went on\n", 0)


def test_a_terminal_is_the_docker_clients(engine: Engine, reference: str, tmp_path: Path) -> None:
    require(shutil.which("docker"), "no docker client is installed")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, reference, str(tmp_path), "", "", "sh", "-c", "test -t 0 && pwd && exit 5"],
        env={**os.environ, **engine.environment},
        stdin=follower,
        stdout=follower,
        stderr=subprocess.PIPE,
    )
    os.close(follower)
    _, err = process.communicate(timeout=120)
    said = os.read(leader, 4096)
    os.close(leader)
    assert (process.returncode, err) == (5, b"")
    assert str(tmp_path).encode() in said


def test_the_clients_command_says_the_same() -> None:
    wanted = Container("x:1", ("a", "b"), Path("/p"), Path("/p/q"), {"A": "1"}, "7", "none", gpus=True)
    words = client_command("docker", wanted)
    assert words[-3:] == ["x:1", "a", "b"]
    assert {"--workdir=/p/q", "--env=A=1", "--user=7", "--network=none", "--gpus=all", "--rm", "--init"} <= set(words)


def test_the_clients_command_shows_no_secret() -> None:
    words = client_command("docker", Container("x:1", ("a",), secrets={"DB_PASSWORD": "hunter22"}))
    assert "--env=DB_PASSWORD" in words
    assert "hunter22" not in " ".join(words)
    assert "hunter22" not in repr(Container("x:1", ("a",), secrets={"DB_PASSWORD": "hunter22"}))


def test_a_secret_reaches_the_command_and_no_command_line(
    start: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRETS", '{"DB_PASSWORD": "hunter22 of the vault"}')
    process = start("sh", "-c", 'echo "$DB_PASSWORD"; read line')
    assert process.stdout.readline() == b"hunter22 of the vault\n"
    assert command_lines_with("hunter22 of the vault") == []
    process.stdin.close()
    process.stdout.close()
    process.wait()


def test_a_path_with_commas_is_quoted_for_the_client() -> None:
    (mount,) = [word for word in client_command("docker", Container("x", (), Path('/a,"b'))) if "mount" in word]
    assert mount == '--mount=type=bind,"source=/a,""b","target=/a,""b"'


def test_no_input_at_all_is_an_empty_one(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("sh", "-c", "cat; echo end")
    process.stdin.close()
    assert process.stdout.read() == b"end\n"
    assert process.wait() == 0


def test_output_that_cannot_be_written_is_said(engine: Engine, reference: str) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        process = subprocess.run(
            [sys.executable, "-c", PROGRAM, reference, "", "", "", "sh", "-c", "cat /bin/ls"],
            env={**os.environ, **engine.environment},
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert b"MachineError: cannot write what the command says" in process.stderr


@pytest.mark.parametrize("folder", ["/", "/usr", "/opt", "/opt/hermetic/env/lib"])
def test_a_folder_that_would_hide_the_image_is_refused(
    engine: Engine, reference: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with pytest.raises(UsageError, match="would hide"):
        run_image(reference, ["true"], folder=Path(folder))


def test_an_image_that_nobody_has_is_said(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with pytest.raises(MachineError):
        run_image("127.0.0.1:9/none/such:1", ["true"])
