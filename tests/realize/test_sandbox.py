from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermetic.errors import BuildError, MachineError
from hermetic.realize.sandbox import ENVIRONMENT, HOME, Backend, Bubblewrap, Completed, backends, run_sandboxed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of Linux namespaces")


def works(backend: Backend) -> bool:
    try:
        return run_sandboxed(["true"], writable={}, backend=backend).status == 0
    except MachineError:
        return False


BACKENDS = [backend for backend in backends() if works(backend)] if sys.platform == "linux" else []


@pytest.fixture(params=BACKENDS or [None], ids=lambda b: b.name if b else "none")
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param is None:
        pytest.skip("nothing makes sandboxes on this machine")
    return request.param


def shell(script: str, backend: Backend, **arguments: object) -> Completed:
    arguments.setdefault("writable", {})
    return run_sandboxed(["sh", "-c", script], backend=backend, **arguments)


def test_status_and_output_are_the_commands(backend: Backend) -> None:
    done = shell("echo said; echo also >&2; exit 3", backend)
    assert (done.status, done.tail) == (3, "said\nalso\n")


def test_a_signal_ends_a_command_with_128_and_its_number(backend: Backend) -> None:
    assert shell("kill -SEGV $$", backend).status == 128 + 11


@pytest.mark.parametrize(("command", "status"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_what_cannot_be_run_is_a_status_as_in_a_shell(backend: Backend, command: str, status: int) -> None:
    done = run_sandboxed([command], writable={}, backend=backend)
    assert done.status == status
    assert command in done.tail


def test_the_environment_is_fixed_and_nothing_of_the_hosts(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")  # some Pythons need it to start, no command may see it
    done = run_sandboxed(["env"], writable={}, environment={"ADDED": "yes", "LANG": "C"}, backend=backend)
    found = dict(line.split("=", 1) for line in done.tail.splitlines())
    found.pop("PWD", None)  # bubblewrap's own, and true
    assert found == {**ENVIRONMENT, "ADDED": "yes", "LANG": "C"}


def test_the_environment_of_the_sandboxs_own_process_tells_nothing(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert "hunter2" not in shell("cat /proc/*/environ", backend).tail


def test_only_the_given_folders_are_writable(backend: Backend, tmp_path: Path) -> None:
    given, read = tmp_path / "given", tmp_path / "read"
    given.mkdir()
    read.mkdir()
    places = "/usr /etc / /dev /home /read /proc/sys/kernel /build /tmp ~ /dev/shm"
    done = shell(
        f"for place in {places}; do touch $place/file 2>/dev/null && echo $place; done",
        backend, writable={"/build": given}, readable={"/read": read},
    )  # fmt: skip
    assert done.tail.split() == ["/build", "/tmp", HOME, "/dev/shm"]
    assert [path.name for path in given.iterdir()] == ["file"]
    assert not list(read.iterdir())


def test_read_only_folders_cannot_be_remounted(backend: Backend, tmp_path: Path) -> None:
    done = shell(
        "mount -o remount,rw,bind /read || touch /read/file", backend, writable={}, readable={"/read": tmp_path}
    )
    assert done.status != 0
    assert not list(tmp_path.iterdir())


def test_a_mount_below_a_given_folder_is_read_only_with_it(backend: Backend) -> None:
    if not os.path.ismount("/dev/shm"):
        pytest.skip("/dev/shm is no mount here")
    mark = f"hermetic-{os.getpid()}-{os.urandom(4).hex()}"
    assert shell(f"touch /host/shm/{mark}", backend, readable={"/host": Path("/dev")}).status != 0
    assert not Path("/dev/shm", mark).exists()


def test_secrets_of_the_home_cannot_be_read(backend: Backend, tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_text("hunter2")
    real_home = Path.home()
    done = shell(f"cat {secret}; ls -A {real_home} {HOME} /root /tmp; find / -name id_rsa 2>/dev/null", backend)
    assert "hunter2" not in done.tail
    assert "id_rsa" not in done.tail.replace(f"{secret}: No such file", "")
    assert sorted(path.name for path in Path("/etc").iterdir()) != shell("ls -A /etc", backend).tail.split()
    assert "shadow" not in shell("ls -A /etc", backend).tail


def test_files_are_shared_neither_with_the_host_nor_between_runs(backend: Backend) -> None:
    assert shell("echo secret > /tmp/left; echo secret > ~/left", backend).status == 0
    assert shell("cat /tmp/left ~/left /dev/shm/left", backend).status != 0
    assert not Path("/tmp/left").exists()


def test_a_folder_stands_at_the_same_place_wherever_it_is(backend: Backend, tmp_path: Path) -> None:
    said = []
    for name in ("one", "two with spaces"):
        folder = tmp_path / name / "deep"
        folder.mkdir(parents=True)
        said.append(
            shell("pwd; ls -d /opt/x/y; df . >/dev/null", backend, writable={"/opt/x/y": folder}, cwd="/opt/x/y")
        )
    assert said[0] == said[1] == Completed(0, "/opt/x/y\n/opt/x/y\n")


def test_a_folder_may_stand_in_another_and_in_the_private_ones(backend: Backend, tmp_path: Path) -> None:
    for name in ("outer", "inner"):
        (tmp_path / name).mkdir()
    (tmp_path / "outer" / "below").mkdir()
    (tmp_path / "inner" / "file").write_text("inner")
    done = shell(
        "cat /tmp/a/below/file && touch /tmp/a/ok && ! touch /tmp/a/below/no", backend,
        writable={"/tmp/a": tmp_path / "outer"}, readable={"/tmp/a/below": tmp_path / "inner"},
    )  # fmt: skip
    assert done.status == 0, done.tail
    assert (tmp_path / "outer" / "ok").exists()


def test_a_single_file_can_be_given(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("text")
    (tmp_path / "other").write_text("other")
    done = shell("cat /in/file; ls /in", backend, readable={"/in/file": tmp_path / "given"})
    assert done.tail == "textfile\n"


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: listening.accept()[0].sendall(b"reached"), daemon=True)
        thread.start()
        yield listening.getsockname()
        if thread.is_alive():
            socket.create_connection(listening.getsockname()).close()
            thread.join()


def test_no_network_not_even_the_hosts_loopback(backend: Backend, server: tuple[str, int]) -> None:
    host, port = server
    connect = f"exec 3<>/dev/tcp/{host}/{port} && head -c 7 <&3"
    if not Path("/usr/bin/bash").exists() and not Path("/bin/bash").exists():
        pytest.skip("bash connects here")
    assert run_sandboxed(["bash", "-c", connect], writable={}, backend=backend).status != 0
    outside = subprocess.run(["bash", "-c", connect], capture_output=True, text=True, check=False)
    assert outside.stdout == "reached"


def test_only_the_sandboxs_own_loopback_is_there(backend: Backend) -> None:
    done = shell("cat /proc/net/dev; cat /proc/net/route", backend)
    interfaces = [line.split(":")[0].strip() for line in done.tail.splitlines() if ":" in line]
    assert interfaces == ["lo"]


def test_other_processes_are_neither_seen_nor_reached(backend: Backend) -> None:
    done = shell(f"ls /proc | grep -c '^[0-9]'; kill -0 {os.getpid()} && echo reached", backend)
    assert int(done.tail.split()[0]) < 8
    assert "reached" not in done.tail.split()


def test_user_host_and_mask_are_fixed(backend: Backend) -> None:
    old = os.umask(0o077)
    try:
        done = shell("hostname; umask; id -un; touch /tmp/a; stat -c %a /tmp/a", backend)
    finally:
        os.umask(old)
    host, mask, user, mode = done.tail.split()
    assert (host, mask, mode) == ("build", "0022", "644")
    assert user == ("root" if "without" in backend.name else "build")


def test_no_privilege_is_left_and_none_can_be_had(backend: Backend) -> None:
    done = shell("grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs)' /proc/self/status", backend)
    assert {line.split()[1] for line in done.tail.splitlines()} == {"0" * 16, "1"}


def test_the_terminal_and_standard_input_are_not_passed_on(backend: Backend) -> None:
    assert shell("cat; (: </dev/tty) 2>/dev/null && echo terminal; true", backend).tail == ""


def test_descriptors_are_not_passed_on(backend: Backend, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        done = shell("ls /proc/self/fd", backend)
    assert set(done.tail.split()) <= {"0", "1", "2", "3"}  # 3: what ls itself reads


def test_time_over_ends_every_process(backend: Backend, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    script = "exec 3>/build/pipe; echo up >&3; (setsid sleep 1000) & echo started; sleep 1000"
    try:
        with pytest.raises(BuildError, match=r"did not end within 0\.5 seconds\nstarted"):
            shell(script, backend, writable={"/build": tmp_path}, timeout=0.5)
        assert os.read(reader, 100) == b"up\n"
        assert os.read(reader, 100) == b""  # BlockingIOError if anybody still had it open
    finally:
        os.close(reader)


def test_what_a_command_leaves_running_ends_with_it(backend: Backend, tmp_path: Path) -> None:
    """If the daemon lived on, it would hold this pipe open, and reading to its end would not return."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = shell("exec 3>/build/pipe; setsid sleep 1000 & echo up >&3", backend, writable={"/build": tmp_path})
        os.set_blocking(reader, True)
        assert done.status == 0
        assert os.read(reader, 100) == b"up\n"
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def made_by(backend: Backend) -> str:
    if isinstance(backend, Bubblewrap):
        return f"Bubblewrap({backend.program!r})"
    return f"Namespaces(user_namespace={'without' not in backend.name})"


RUN = """
import sys, threading
from pathlib import Path
from hermetic.realize.sandbox import *

def run():
    command = ["sh", "-c", "exec 3>/build/pipe; echo up >&3; (setsid sleep 1000) & sleep 1000"]
    run_sandboxed(command, writable={{"/build": Path({folder!r})}}, backend={backend})

"""


@pytest.mark.parametrize(
    ("call", "end"),
    [
        pytest.param("run()", lambda process: process.kill(), id="killed"),
        pytest.param("run()", lambda process: process.terminate(), id="terminated"),
        pytest.param("run()", lambda process: process.send_signal(signal.SIGINT), id="interrupted"),
        pytest.param("run()", lambda process: os.killpg(process.pid, signal.SIGINT), id="ctrl-C"),
        pytest.param(
            "thread = threading.Thread(target=run); thread.start(); thread.join()",
            lambda process: os.killpg(process.pid, signal.SIGINT),
            id="ctrl-C beside a thread",
        ),
    ],
)
def test_the_sandbox_ends_with_the_process_that_made_it(
    backend: Backend, tmp_path: Path, call: str, end: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    code = RUN.format(folder=str(tmp_path), backend=made_by(backend)) + call
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL)
    with (tmp_path / "pipe").open("rb", buffering=0) as pipe:
        assert pipe.read(3) == b"up\n"
        end(process)
        assert pipe.read() == b""  # the end comes when nobody has it open any more
    assert process.wait() != 0


def test_all_output_goes_to_the_log_and_its_end_into_the_answer(backend: Backend, tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = shell("seq 1 20000", backend, log=log)
    assert log.read_text().splitlines() == [str(n) for n in range(1, 20001)]
    assert done.tail.startswith("...\n")
    assert done.tail.endswith("\n20000\n")
    assert len(done.tail) < 20000


def test_a_place_in_the_systems_folders_is_refused_in_words(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="/usr is the system's"):
        shell("true", backend, writable={"/usr/no-such-folder/env": tmp_path})
    assert not Path("/usr/no-such-folder").exists()


@pytest.mark.parametrize("inside", ["build", "/a/../b", "/", "/a/"])
def test_a_place_is_absolute_and_plain(backend: Backend, tmp_path: Path, inside: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        shell("true", backend, writable={inside: tmp_path})


def test_a_folder_that_is_not_there_is_told(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="is not there"):
        shell("true", backend, writable={"/build": tmp_path / "none"})


def test_a_sandbox_that_cannot_be_made_is_the_machines_fault() -> None:
    with pytest.raises(MachineError, match="cannot start /no/bwrap"):
        run_sandboxed(["true"], writable={}, backend=Bubblewrap("/no/bwrap"))
