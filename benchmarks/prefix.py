"""Building a prefix, against the parts it is made of: ``python benchmarks/prefix.py``.

The peer does the same work by hand: py-rattler's ``install`` for the conda packages, ``uv pip install`` for the
wheels, ``compileall`` with hash-based pyc for everything, into the same kind of folder. Cold: all caches
empty. Warm: caches full, the prefix gone. All artefacts come from local folders, so that no network is timed.

What has to be gone before a run is moved aside and deleted at the end of all: ext4 makes new files up to five times
slower for a minute after many were deleted, on whichever side comes next.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

from harness import Case, compare

from hermetic.outputs.channel import make_channel

BIN = Path(sys.executable).parent
CONDA = ["numpy", "pandas", "requests"]
PIP = ["humanize", "rich", "jinja2", "pydantic", "typer"]

BARE = """
import asyncio, json, os, subprocess, sys
from pathlib import Path
from rattler import Channel, ChannelPriority, Config, Gateway, GenericVirtualPackage, PackageCache, PackageName
from rattler import BuildString, SourceConfig, Subdir, Version, install, solve
channel, cache, prefix, wheels, requirements, links = sys.argv[1:7]
virtual = [GenericVirtualPackage(PackageName(n), Version(v), BuildString("0"))
           for n, v in (("__unix", "0"), ("__linux", "5.10"), ("__glibc", "2.36"), ("__archspec", "1"))]
async def main():
    gateway = Gateway(cache_dir=cache + "/repodata")
    records = await solve([Channel(channel)], json.loads(sys.argv[7]), gateway=gateway,
                          platforms=["linux-64", "noarch"], virtual_packages=virtual)
    config = Config()
    if links == "copy":
        config.set("allow-hard-links", "false")
    await install(records, prefix, package_cache=PackageCache.new_layered([cache + "/pkgs"]), platform=Subdir("linux-64"),
                  execute_link_scripts=False, show_progress=False, config=config)
asyncio.run(main())
python = prefix + "/bin/python"
mode = "hardlink" if links == "hard" else "copy"
subprocess.run(["uv", "pip", "install", "-q", "--python", python, "--no-deps", "--no-index", "--find-links", wheels,
                "--link-mode", mode, "--cache-dir", cache + "/uv", "-r", requirements], check=True)
subprocess.run([python, "-B", "-m", "compileall", "-q", "-j0", "--invalidation-mode", "unchecked-hash", "-s", prefix,
                "-p", "/opt/env", prefix + "/lib/python3.11"])
sys.stdout.flush(); os._exit(0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--channel", type=Path, default=None, help="an existing channel (default: one is made)")
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    parser.add_argument("--no-venv", action="store_true", help="leave out python -m venv + pip")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        root = Path(folder)
        channel = arguments.channel or root / "channel"
        if arguments.channel is None:
            make_channel(channel, requirements=CONDA)
        wheels = root / "wheels"
        download = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", str(wheels)]
        subprocess.run([*download, *PIP], check=True)
        subprocess.run([*download, *CONDA, "-d", str(root / "all")], check=True)
        project = root / "project"
        project.mkdir()
        (project / "requirements.txt").write_text(f"--no-index\n--find-links {wheels}\n" + "\n".join(PIP) + "\n")
        (project / "hermetic.toml").write_text(
            f'[channels]\nlocal = "{channel.absolute()}"\n\n[environments.default]\nfrom = ["requirements.txt"]\n'
            f"channels = ['local']\ndependencies = {['python=3.11', *CONDA]}\n"
            "system = { glibc = '2.36' }\nplatforms = ['linux-64']\n"
        )
        env = {
            "HERMETIC_STORE": str(root / "store"),
            "PATH": f"{BIN}:/usr/bin:/bin",
            "PIP_CACHE_DIR": str(root / "pip"),
        }
        hermetic = str(BIN / "hermetic")
        subprocess.run([hermetic, "lock", "-q"], cwd=project, env=env, check=True)
        lock = json.loads((project / "lockfiles/default.lock.json").read_text())["platforms"]["linux-64"]
        pins = root / "pins.txt"
        pins.write_text("".join(f"{name}=={wheel['version']}\n" for name, wheel in lock["wheels"].items()))

        aside, number = root / "aside", count()
        aside.mkdir()

        def gone(*paths: str) -> None:
            for path in paths:
                if (root / path).exists():
                    (root / path).rename(aside / f"{next(number)}")

        def bare(prefix: str, links: str, before: list[str]) -> Case:
            script = [sys.executable, "-c", BARE, channel.absolute().as_uri(), str(root / "cache"), str(root / prefix),
                      str(wheels), str(pins), links, json.dumps(["python=3.11", *CONDA])]  # fmt: skip
            return Case(f"py-rattler + uv + compileall ({links} links)" if links == "hard" else
                        "py-rattler + uv + compileall", script, lambda: gone(prefix, *before), env)  # fmt: skip

        ours = [hermetic, "build", "-q", "--locked", "--prefix", str(root / "ours")]
        venv = Case("python -m venv + pip install", [
            "sh", "-c", f"{sys.executable} -m venv {root}/venv && {root}/venv/bin/pip install -q --no-index "
            f"--find-links {wheels} --find-links {root}/all {' '.join(CONDA + PIP)}",
        ], lambda: gone("venv"), env)  # fmt: skip
        compare("prefix, cold", [
            Case("hermetic build", ours, lambda: gone("ours", "store", "project/.hermetic"), env, project),
            bare("bare", "copy", ["cache"]),
        ], runs=arguments.runs)  # fmt: skip
        compare("prefix, warm", [
            Case("hermetic build", ours, lambda: gone("ours", "project/.hermetic"), env, project),
            bare("bare", "copy", []),
            bare("bare", "hard", []),
            *([] if arguments.no_venv else [venv]),
        ], runs=arguments.runs)  # fmt: skip
        verify = [hermetic, "verify", str(root / "ours"), "-q"]
        compare("verify: every file of that prefix read again", [
            Case("hermetic verify", verify, env=env, cwd=project),
            Case("sha256sum of every file", ["sh", "-c", f"find {root}/ours -type f -print0 | xargs -0 sha256sum"]),
        ], runs=arguments.runs)  # fmt: skip


if __name__ == "__main__":
    main()
