"""Keep one dockerd for the tests of a session: start it, wait until nobody uses it any more, remove every trace.

``python engine_keeper.py LEASE``: everybody who uses the engine holds a shared lock on the file LEASE; the kernel
frees it also when a test process is killed. So this process, which asks for the whole lock, is woken when the last
user is gone, whatever became of it. It answers one line: ``ready FOLDER`` or ``failed WHY``.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import docker

FLAGS = (
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--ip-masq=false",
    "--bridge=none",
    "--userland-proxy=false",
    "--default-shm-size=16m",
    "--shutdown-timeout=2",
)
"""No network of its own: containers have none, or the machine's (``--network host``)."""

_DIE_WITH_PARENT = 1
_START = 60
_STOP = 30


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start a dockerd whose everything is in ``folder``, and wait until it listens."""
    (folder / "daemon.json").write_text("{}")  # else the machine's own settings are taken
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, (folder / "log").open("wb") as log:
        notify.bind(str(folder / "notify"))
        notify.settimeout(0.2)
        daemon = subprocess.Popen(
            [
                "dockerd",
                *FLAGS,
                f"--data-root={folder / 'data'}",
                f"--exec-root={folder / 'exec'}",
                f"--pidfile={folder / 'pid'}",
                f"--config-file={folder / 'daemon.json'}",
                f"--host=unix://{folder / 'socket'}",
            ],
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM),  # noqa: PLW1509
        )
        for _ in range(_START * 5):
            with suppress(TimeoutError):
                if b"READY=1" in notify.recv(4096):
                    return daemon
            if daemon.poll() is not None:
                break
    stop(daemon, folder)
    lines = (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
    raise RuntimeError("dockerd does not start: " + " | ".join(lines[-3:]))


def stop(daemon: subprocess.Popen[bytes], folder: Path) -> None:
    """Stop the daemon and what it runs, and unmount what it left."""
    if daemon.poll() is None:
        with suppress(Exception):
            client = docker.DockerClient(base_url=f"unix://{folder / 'socket'}", timeout=10)
            for container in client.containers.list():
                with suppress(Exception):
                    container.kill()
        daemon.terminate()
        try:
            daemon.wait(_STOP)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    with suppress(OSError, ValueError):  # dockerd stops its containerd, unless it was killed itself
        pid = int((folder / "exec" / "containerd" / "containerd.pid").read_text())
        if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
        if (mount := line.split()[1]).startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mount], check=False, stderr=subprocess.DEVNULL)


def main() -> None:
    """Keep the engine."""
    lease = os.open(sys.argv[1], os.O_RDWR)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    folder = Path(tempfile.mkdtemp(prefix="hermetic-engine-", dir="/tmp"))  # a socket's path is short
    try:
        daemon = start(folder)
        try:
            print(f"ready {folder}", flush=True)
            sys.stdout.close()
            fcntl.flock(lease, fcntl.LOCK_EX)
        finally:
            stop(daemon, folder)
    except (RuntimeError, OSError) as error:
        with suppress(ValueError):
            print(f"failed {error}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
