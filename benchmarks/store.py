"""The store's parts against the tools that people know: ``python benchmarks/store.py ARCHIVE.conda``.

Unpacking an archive (with a digest of every file, as a tree needs it) against py-rattler's extractor with and without
those digests; placing a tree's files against ``cp``; downloading from loopback against ``curl``; opening the store
and asking for 500 blobs against a bare interpreter. What is written is removed only at the end: ext4 does not reuse
an inode within five seconds of its removal and searches long for others, so tidying up in between would be measured.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness import Case, compare

from hermetic.digest import sha256_bytes
from hermetic.store import Store
from hermetic.store.archive import unpack

NEW = "import tempfile, pathlib, sys, os; new = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1])); "
UNPACK = NEW + "from hermetic.store.archive import unpack; unpack(pathlib.Path(sys.argv[2]), new)"
EXTRACT = NEW + "from rattler.package_streaming import extract; extract(pathlib.Path(sys.argv[2]), new); "
DIGESTS = "from hermetic.realize.trees import normalise; normalise(new); "
EXIT = "sys.stdout.flush(); os._exit(0)"
LINK = NEW + (
    "from hermetic.store.link import LinkMode, link_tree; "
    "link_tree(pathlib.Path(sys.argv[2]), new, LinkMode(sys.argv[3]))"
)
FETCH = NEW + (
    "from hermetic.store import Store; from hermetic.store.fetch import Artifact, fetch; "
    "fetch(Store.open(new), [Artifact(n, (f'{sys.argv[2]}/{n}',), n) for n in sys.argv[3:]], jobs=8)"
)
ASK = (
    "import sys, pathlib; from hermetic.store import Store; store = Store.open(pathlib.Path(sys.argv[1])); "
    "assert all(store.has_blob(d) for d in sys.argv[2:])"
)


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="a conda package to unpack, best one of some thousand files")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: a temporary folder)")
    arguments = parser.parse_args()
    archive, runs = arguments.archive.absolute(), arguments.runs
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        root = Path(name)
        out = root / "out"
        out.mkdir()
        compare(
            f"unpack {archive.name}, with digests of its files",
            [
                Case("hermetic unpack", [*python, UNPACK, str(out), str(archive)]),
                Case("py-rattler + digests", [*python, EXTRACT + DIGESTS + EXIT, str(out), str(archive)]),
                Case("py-rattler alone", [*python, EXTRACT + EXIT, str(out), str(archive)]),
            ],
            runs=runs,
        )
        tree = root / "tree"
        tree.mkdir()
        files = sum(entry.kind == "file" for entry in unpack(archive, tree, strict=False).entries)
        copy = f'cp -a "{tree}" "$(mktemp -d -p "{out}")"'
        compare(
            f"place a tree of {files} files",
            [
                Case("hermetic copy", [*python, LINK, str(out), str(tree), "copy"]),
                Case("cp -a", ["sh", "-c", copy]),
                Case("hermetic hard links", [*python, LINK, str(out), str(tree), "hardlink"]),
                Case("cp -al", ["sh", "-c", copy.replace("-a ", "-al ")]),
            ],
            runs=runs,
        )
        served = root / "served"
        served.mkdir()
        names = []
        for _ in range(100):
            data = os.urandom(500_000)
            names.append(sha256_bytes(data))
            (served / names[-1]).write_bytes(data)
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        cases = [Case("hermetic fetch, checked", [*python, FETCH, str(out), url, *names])]
        if shutil.which("curl"):
            curl = (
                'cd "$(mktemp -d -p "$0")" && curl -sSZ --parallel-max 8 --remote-name-all "$@" && sha256sum * > sums'
            )
            cases.append(Case("curl -Z and sha256sum", ["sh", "-c", curl, str(out), *[f"{url}/{n}" for n in names]]))
        compare("100 files of 0.5 MB from loopback, eight at a time", cases, runs=runs)
        server.shutdown()
        store = Store.open(root / "store")
        blobs = [store.put_bytes(bytes([n % 256, n // 256])) for n in range(500)]
        compare(
            "open a store and ask for 500 blobs",
            [
                Case("hermetic", [*python, ASK, str(store.root), *blobs]),
                Case("python -c pass", [*python, "pass"]),
            ],
            runs=3 * runs,
        )


if __name__ == "__main__":
    main()
