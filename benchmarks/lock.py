"""Locking, against the parts it is made of and against pip-compile: ``python benchmarks/lock.py``.

The sum it is held to is one process that solves with bare py-rattler and then runs ``uv pip compile`` with
the same requirements, on the same channel and index.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from harness import Case, compare

from hermetic.outputs.channel import make_channel

BIN = Path(sys.executable).parent
CONDA = ["python=3.11", "numpy", "pandas"]
PIP = ["humanize", "rich", "jinja2", "pydantic", "httpx", "typer"]

BARE = """
import asyncio, os, subprocess, sys
from pathlib import Path
from rattler import Channel, ChannelPriority, Gateway, GenericVirtualPackage, PackageName, SourceConfig, Version
from rattler import BuildString, solve
channel, cache, requirements, output = sys.argv[1:5]
virtual = [GenericVirtualPackage(PackageName(n), Version(v), BuildString("0"))
           for n, v in (("__unix", "0"), ("__linux", "5.10"), ("__glibc", "2.36"))]
async def main():
    gateway = Gateway(cache_dir=cache, default_config=SourceConfig(cache_action="cache-or-fetch"))
    return await solve([Channel(channel)], %r, gateway=gateway, platforms=["linux-64", "noarch"],
                       virtual_packages=virtual, channel_priority=ChannelPriority.Strict)
records = asyncio.run(main())
subprocess.run(["uv", "pip", "compile", "-q", "--generate-hashes", "--python-version", "3.11", "--no-build",
                "--python-platform", "x86_64-manylinux_2_36", "-o", output, requirements], check=True)
sys.stdout.flush(); os._exit(0)
""" % (CONDA,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--channel", type=Path, default=None, help="an existing channel (default: one is made)")
    parser.add_argument("--pip-compile", action="store_true", help="also against pip-compile, which takes minutes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        channel = arguments.channel or root / "channel"
        if arguments.channel is None:
            make_channel(channel)
        project = root / "project"
        project.mkdir()
        (project / "hermetic.toml").write_text(
            f'[channels]\nlocal = "{channel.absolute()}"\n\n[environments.default]\nchannels = ["local"]\n'
            f"dependencies = {CONDA}\npip = {PIP}\nsystem = {{ glibc = '2.36' }}\nplatforms = ['linux-64']\n"
        )
        (root / "requirements.in").write_text("\n".join(PIP) + "\n")
        env = {"HERMETIC_STORE": str(root / "store"), "PATH": f"{BIN}:/usr/bin:/bin"}
        url = channel.absolute().as_uri()

        def fresh() -> None:
            shutil.rmtree(project / "lockfiles", ignore_errors=True)
            (root / "requirements.txt").unlink(missing_ok=True)

        cases = [
            Case("hermetic lock", [str(BIN / "hermetic"), "lock", "-q"], fresh, env, project),
            Case("py-rattler solve + uv pip compile",
                 [sys.executable, "-c", BARE, url, str(root / "gateway"), str(root / "requirements.in"),
                  str(root / "requirements.txt")], fresh, env),
        ]  # fmt: skip
        if arguments.pip_compile:
            cases.append(
                Case("pip-compile", [str(BIN / "pip-compile"), "-q", "--generate-hashes", "--strip-extras", "-o",
                                     str(root / "pip-compile.txt"), str(root / "requirements.in")], env=env)
            )  # fmt: skip
        compare(f"lock: {len(CONDA)} conda and {len(PIP)} pip requirements, warm caches", cases, runs=arguments.runs)


if __name__ == "__main__":
    main()
