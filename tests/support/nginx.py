"""A real nginx on loopback, as a proxy before another server or with files of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.needs import require

PROXY = """
location / {{
    proxy_pass {upstream};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_max_temp_file_size 0;
}}
"""
_CONFIG = """
daemon off;
master_process off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls};
        large_client_header_buffers 4 64k;
        {locations}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, locations: str, *, certificate: Path | None = None, key: Path | None = None) -> Iterator[str]:
    """Run nginx with these ``location`` blocks while the block runs; gives its URL."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    require(os.access(program, os.X_OK), "no nginx is installed")
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(5):
        port = _free_port()
        tls = f" ssl;\n ssl_certificate {certificate};\n ssl_certificate_key {key}" if certificate else ""
        user = "user root;" if os.getuid() == 0 else ""
        text = _CONFIG.format(folder=folder, port=port, tls=tls, user=user, locations=locations)
        (folder / "nginx.conf").write_text(text)
        process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _listens(process, folder / "nginx.pid"):
                yield f"http{'s' if certificate else ''}://127.0.0.1:{port}"
                return
        finally:
            process.terminate()
            process.wait()
    raise AssertionError((folder / "error.log").read_text())  # else another process was five times faster


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(process: subprocess.Popen[bytes], mark: Path) -> bool:
    """Wait until the program has its port, which is when it writes its id; False if it ended."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        if mark.exists():
            return True
        time.sleep(0.02)
    return False
