"""The server as a process: how it starts, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from hermetic.cli import run

HERMETIC = [sys.executable, "-m", "hermetic"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a workspace that holds one artefact."""
    folder = tmp_path / "project"
    folder.mkdir()
    hermetic(folder, "workspace", "init", "team")
    artefact = folder / ".hermetic/workspace/artefacts/wheels/a"
    artefact.parent.mkdir(parents=True)
    artefact.write_bytes(b"bytes")
    return folder


class Ran(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def hermetic(folder: Path, *words: str) -> Ran:
    """Call the command line in this process: a new one takes longer to start than to do this."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run([*words, "-C", str(folder)])
    return Ran(status, out.getvalue(), err.getvalue())


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``hermetic workspace serve`` while the block runs; gives it and its address."""
    process = subprocess.Popen(
        [*HERMETIC, "workspace", "serve", "--port", "0", "--json", *options],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            text += line
        yield process, json.loads(text)["address"]
    finally:
        process.kill()
        process.communicate()


def signed(folder: Path, address: str, what: str = "wheels/a") -> str:
    ran = hermetic(folder, "workspace", "sign", what, "--server", address)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end_and_that_is_no_failure(number: signal.Signals, project: Path) -> None:
    with running(project) as (process, address):
        url = signed(project, address)
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"bytes"
        process.send_signal(number)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 0
    assert "GET /wheels/a 200 5" in log
    assert url.rpartition("=")[2] not in log
    assert "Traceback" not in log


def test_what_is_on_its_way_arrives_though_the_server_ends(project: Path) -> None:
    size = 100 << 20
    big = project / ".hermetic/workspace/artefacts/big"
    big.touch()
    os.truncate(big, size)
    with running(project) as (process, address):
        with urllib.request.urlopen(signed(project, address, "big")) as answer:
            got = len(answer.read(1000))
            process.terminate()
            while piece := answer.read(1 << 20):
                got += len(piece)
        assert got == size
        assert process.wait(60) == 0
        with pytest.raises(OSError):
            urllib.request.urlopen(f"{address}/-/health")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_it_speaks_tls(project: Path, certificates: Path) -> None:
    options = ["--certificate", str(certificates / "server.pem"), "--key", str(certificates / "server.secret")]
    with running(project, *options) as (_, address):
        assert address.startswith("https://")
        context = ssl.create_default_context(cafile=certificates / "ca.crt")
        with urllib.request.urlopen(signed(project, address), context=context) as answer:
            assert answer.read() == b"bytes"
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(certificates / "ca.crt")
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            urllib.request.urlopen(signed(project, address), context=old)


def test_one_address_is_served_once(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = hermetic(project, "workspace", "serve", "--port", port)
    assert ran.returncode == 6
    assert f"port {port}" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "no such host"], "no address"),
        (["--port", "99999"], "port 99999"),
        (["--certificate", "nothing.pem"], "no such file"),
        (["--certificate", __file__], "no certificate"),
        (["--key", __file__], "--key needs --certificate"),
        (["--trusted-proxy", "nginx"], "no address of a proxy"),
        (["--rate", "-1"], "--rate"),
        (["--rate", "nan"], "--rate"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_served(options: list[str], message: str, project: Path) -> None:
    ran = hermetic(project, "workspace", "serve", "--port", "0", *options)
    assert ran.returncode in {2, 6}
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_encrypted_key_is_not_asked_for_on_the_terminal(project: Path, certificates: Path) -> None:
    locked = project / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-aes128", "-passout", "pass:secret", "-in", certificates / "server.secret", "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    ran = hermetic(
        project, "workspace", "serve", "--certificate", str(certificates / "server.pem"), "--key", str(locked)
    )
    assert ran.returncode == 2
    assert "encrypted" in ran.stderr


def test_an_open_server_without_tls_warns(project: Path) -> None:
    with running(project, "--host", "0.0.0.0") as (process, _):
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert "in the clear" in said
    with running(project, "--host", "0.0.0.0", "--trusted-proxy", "127.0.0.1") as (process, _):
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert "in the clear" not in said


def test_artefacts_that_stand_elsewhere_need_no_server(tmp_path: Path) -> None:
    for place, message in (("s3://bucket/team", "signs URLs of its own"), ("https://example.org", "runs elsewhere")):
        (tmp_path / "config.json").write_text(json.dumps({"name": "team", "path": "w", "artefacts": place}))
        ran = hermetic(tmp_path, "workspace", "serve", "--port", "0")
        assert ran.returncode == 2
        assert message in ran.stderr
