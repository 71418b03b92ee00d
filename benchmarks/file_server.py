"""``hermetic workspace serve`` against nginx serving the same files statically: ``python benchmarks/file_server.py``.

Whole downloads by curl on loopback, in turn; files lie in memory, so that no disk is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Case, compare

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]
SMALL = 20_000
"""Bytes of a small wheel."""


def main() -> None:
    from support.nginx import nginx

    from hermetic.store.objects.signing import sign_url
    from hermetic.workspace.serving.keys import KeyFile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--size", type=int, default=256, help="MiB of the large file")
    parser.add_argument("--files", type=int, default=300, help="small files of one connection")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        root = Path(folder)
        root.chmod(0o755)
        hermetic = [sys.executable, "-m", "hermetic", "workspace"]
        subprocess.run([*hermetic, "init", "bench", "-C", root, "-q"], check=True)
        wheels = root / ".hermetic/workspace/artefacts/wheels"
        wheels.mkdir(parents=True)
        (wheels / "large").write_bytes(os.urandom(1 << 20) * arguments.size)
        (wheels / "small").write_bytes(os.urandom(SMALL))
        command = [*hermetic, "serve", "-C", root, "--port", "0", "--rate", "0", "--json"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout
            text = ""
            while not text.endswith("}\n"):
                text += server.stdout.readline()
            address = json.loads(text)["address"]
            key = KeyFile(root / ".hermetic/workspace").signing_key()
            until = int(time.time()) + 3600
            with nginx(root / "nginx", f"location / {{ root {wheels.parent}; }}") as plain:
                for name, count in (("large", 1), ("small", arguments.files)):
                    cases = []
                    ours = sign_url(address, f"wheels/{name}", key, expires=until)
                    for who, url in (("hermetic", ours), ("nginx", f"{plain}/wheels/{name}")):
                        config = root / f"{who}-{name}.curl"
                        config.write_text(f'url = "{url}"\noutput = "/dev/null"\n' * count)
                        cases.append(Case(who, ["curl", "-sS", "-K", str(config)]))
                    compare(f"{count} x {name}", cases, runs=arguments.runs)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
