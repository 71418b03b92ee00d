"""Run a command in an image, in a container of the Docker Engine that is gone afterwards.

The project's folder is there at its own path, so that paths in arguments and messages mean the same inside and
outside, and the command starts in the caller's folder. Standard streams, signals and the exit status are passed
through. Everything goes through the ``docker`` package, but for an interactive terminal: that is the docker
client's business, and it takes this process over.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from hermetic.errors import MachineError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.outputs.oci.model import PREFIX

if TYPE_CHECKING:
    from docker import DockerClient

COMMAND_NOT_FOUND, COMMAND_NOT_RUNNABLE, OUTPUT_CLOSED = 127, 126, 141
"""What a POSIX shell gives for a command that is not there, cannot be run, or writes to nobody."""

SHARED_MEMORY = 1 << 30
"""Bytes of /dev/shm: the engine's 64 MB are too few for data loaders that pass arrays between processes."""

_SYSTEM = tuple("/bin /boot /dev /etc /lib /lib64 /proc /run /sbin /sys /tmp /usr /var".split())
_PASSED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Container:
    """A container to run: ``folder`` is mounted at its own path, ``workdir`` is a folder in it (or in the image).

    ``user`` is ``UID[:GID]`` or a name of the image's (empty: as the image says); ``network`` as the engine names
    them (empty: its default); ``variables`` are added to the image's, and so are ``secrets``, which no command line
    shows.
    """

    image: str
    command: tuple[str, ...]
    folder: Path | None = None
    workdir: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    network: str = ""
    gpus: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def run_image(
    image: str,
    command: Sequence[str],
    *,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    user: str = "",
    network: str = "",
    gpus: bool = False,
    reporter: Reporter = SILENT,
) -> int:
    """Run a command in an image that the engine has, or can pull; give its exit status.

    ``folder`` is the project's (None: nothing is mounted). ``gpus`` gives the container all GPUs, if the engine has
    a way to. With a terminal on both ends this process becomes the docker client and does not return.

    Raises MachineError (no engine, no such image), UsageError (a folder that would hide the image's own files).
    """
    from hermetic.outputs.oci.engine import connect

    client = connect()
    _ensure(client, image, reporter)
    if folder is not None:
        folder = _mountable(client, folder, reporter)
    here = Path.cwd()
    workdir = here if folder is not None and here.is_relative_to(folder) else folder
    if gpus and not _has_gpus(client):
        reporter.warn("the Docker Engine has no NVIDIA runtime: the command runs without GPUs")
        gpus = False
    given = dict(variables or {})
    if user and "HOME" not in given and user.partition(":")[0].isdecimal():
        given["HOME"] = "/tmp"  # noqa: S108  a user without an entry in the image's /etc/passwd has no home there
    container = Container(image, tuple(command), folder, workdir, given, user, network, gpus, secrets or {})
    if _is_terminal() and (program := shutil.which("docker")):
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(program, client_command(program, container), {**os.environ, **container.secrets})
    return _run(client, container)


def client_command(program: str, container: Container) -> list[str]:
    """Give the docker client's command line for a container with a terminal; secrets it takes from its environment."""
    words = [program, "run", "--rm", "--init", "--interactive", "--tty", f"--shm-size={SHARED_MEMORY}"]
    if container.folder is not None:
        words.append(f"--mount=type=bind,{_quoted('source', container.folder)},{_quoted('target', container.folder)}")
    if container.workdir is not None:
        words.append(f"--workdir={container.workdir}")
    words += [f"--env={name}={value}" for name, value in container.variables.items()]
    words += [f"--env={name}" for name in container.secrets]
    words += [f"--{name}={value}" for name in ("user", "network") if (value := getattr(container, name))]
    words += ["--gpus=all"] if container.gpus else []
    return [*words, container.image, *container.command]


def _quoted(name: str, path: Path) -> str:
    """Write a field of the client's comma-separated values."""
    text = f"{name}={path}"
    return '"' + text.replace('"', '""') + '"' if set(text) & {",", '"'} else text


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _ensure(client: DockerClient, image: str, reporter: Reporter) -> None:
    """Let the engine pull an image that it does not have."""
    from docker.errors import DockerException, ImageNotFound, NotFound
    from requests.exceptions import RequestException

    from hermetic.outputs.oci.engine import refuse

    try:
        try:
            client.images.get(image)
        except ImageNotFound:
            reporter.say(f"the Docker Engine pulls {image}")
            client.images.pull(image)
    except NotFound:
        raise MachineError(
            f"the Docker Engine has no image {image}, and finds none to pull",
            remedy="load it first with 'hermetic build --image NAME --load'",
        ) from None
    except (DockerException, RequestException) as error:
        refuse(error)


def _mountable(client: DockerClient, folder: Path, reporter: Reporter) -> Path | None:
    full = Path(os.path.abspath(folder))  # noqa: PTH100  links are not followed: paths stay as the user writes them
    own = PurePosixPath(full)
    hidden = [path for path in (*_SYSTEM, PREFIX) if PurePosixPath(path).is_relative_to(own)]
    if hidden or own.is_relative_to(PREFIX):
        raise UsageError(
            f"{full} would hide {hidden[0] if hidden else PREFIX} of the image",
            remedy="move the project to a folder of its own, or run without it (--no-mount)",
        )
    host = str(client.api.base_url)
    if not host.startswith(("http+docker://", "unix://", "npipe://")):
        reporter.warn("the Docker Engine is on another machine: the project's folder is not there")
        return None
    return full


def _has_gpus(client: DockerClient) -> bool:
    """Tell whether the engine can give GPUs to containers: by NVIDIA's runtime, its hook, or CDI devices."""
    info = client.info()
    return (
        "nvidia" in (info.get("Runtimes") or {})
        or shutil.which("nvidia-container-runtime-hook") is not None
        or any("nvidia" in str(device) for device in info.get("DiscoveredDevices") or ())
    )


def _run(client: DockerClient, container: Container) -> int:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from hermetic.outputs.oci.engine import refuse

    made = ""
    try:
        try:
            made = _create(client, container)
            with _attached(client, made) as stream, _signals_passed(client, made):
                client.api.start(made)
                _feed(stream)
                closed = _copy_output(stream)
                if closed:
                    _let_go(stream)
                    client.api.kill(made)
                status = int(client.api.wait(made, timeout=None)["StatusCode"])
            return OUTPUT_CLOSED if closed else status
        finally:
            if made:
                with suppress(DockerException, RequestException):
                    client.api.remove_container(made, v=True, force=True)
    except (DockerException, RequestException) as error:
        text = str(getattr(error, "explanation", "") or error)
        for words, status in (
            (("not found", "no such file"), COMMAND_NOT_FOUND),
            (("permission denied", "exec format"), COMMAND_NOT_RUNNABLE),
        ):
            if "exec" in text and any(word in text.lower() for word in words):
                print(f"hermetic: {container.command[0]}: cannot be run in {container.image}", file=sys.stderr)
                return status
        refuse(error)


def _create(client: DockerClient, container: Container) -> str:
    from docker.types import DeviceRequest, Mount

    api: Any = client.api
    host: dict[str, Any] = {"init": True, "shm_size": SHARED_MEMORY, "log_config": {"Type": "none"}}
    if container.folder is not None:
        host["mounts"] = [Mount(str(container.folder), str(container.folder), type="bind")]
    if container.network:
        host["network_mode"] = container.network
    if container.gpus:
        host["device_requests"] = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    made = api.create_container(
        container.image,
        list(container.command),
        environment={**container.variables, **container.secrets},
        user=container.user or None,
        working_dir=str(container.workdir) if container.workdir is not None else None,
        stdin_open=True,
        host_config=api.create_host_config(**host),
    )
    return str(made["Id"])


@contextmanager
def _attached(client: DockerClient, container: str) -> Iterator[Any]:
    stream: Any = client.api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    try:
        inner = getattr(stream, "_sock", stream)
        inner.settimeout(None)
        yield inner
    finally:
        stream.close()


def _feed(stream: Any) -> None:
    """Copy standard input to the container, in a thread that ends with this process."""

    def feed() -> None:
        with suppress(OSError):  # the command ended without reading it all, or there is no input
            while data := os.read(0, _CHUNK):
                stream.sendall(data)
        with suppress(OSError):
            stream.shutdown(socket.SHUT_WR)

    threading.Thread(target=feed, daemon=True).start()


def _copy_output(stream: Any) -> bool:
    """Copy what the container writes to our own streams until it ends; True if nobody listens any more."""
    while header := _exactly(stream, 8):
        left = int.from_bytes(header[4:8], "big")
        handle = 2 if header[0] == 2 else 1
        while left:
            data = stream.recv(min(left, _CHUNK))
            if not data:
                return False
            left -= len(data)
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(handle, view) :]
            except BrokenPipeError:
                return True
            except OSError as error:
                raise MachineError(
                    f"cannot write what the command says: {error.strerror}", remedy="make room where its output goes"
                ) from None
    return False


def _let_go(stream: Any) -> None:
    """End what the engine sends: it would wait for us to read before it lets a command end that has much to say."""
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


def _exactly(stream: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            return b""
        data += more
    return data


@contextmanager
def _signals_passed(client: DockerClient, container: str) -> Iterator[None]:
    """Pass signals on to the command while the block runs, from a thread: a handler may interrupt anything."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: SimpleQueue[int] = SimpleQueue()

    def forward() -> None:
        while number := came.get():
            with suppress(DockerException, RequestException):  # it ended meanwhile
                client.api.kill(container, signal.Signals(number).name)

    numbers = [getattr(signal, name) for name in _PASSED if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda number, _: came.put(number)) for number in numbers}
    threading.Thread(target=forward, daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        came.put(0)
