"""How locking grows: ``python benchmarks/scale.py [--sample DIR]``.

A synthetic channel of 200,000 records whose answers have 50 to 700 packages, and, where it is at hand, a sample of
17,054 real conda-forge records with an answer of 345 (easier than the whole channel, which has many more).
Against a bare py-rattler solve of the same question in the same run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from harness import Case, compare

BIN = Path(sys.executable).parent
SAMPLE = ["python 3.11.*", "xarray", "dask", "gdal", "geopandas", "matplotlib", "pyarrow", "jupyterlab"]

BARE = """
import asyncio, json, os, sys
from rattler import Channel, ChannelPriority, Gateway, GenericVirtualPackage, PackageName, Version, BuildString, solve
channel, cache, specs = sys.argv[1:4]
virtual = [GenericVirtualPackage(PackageName(n), Version(v), BuildString(b))
           for n, v, b in (("__unix", "0", "0"), ("__linux", "5.10", "0"), ("__glibc", "2.28", "0"),
                           ("__archspec", "1", "x86_64"))]
async def main():
    gateway = Gateway(cache_dir=cache)
    return await solve([Channel(channel)], json.loads(specs), gateway=gateway, platforms=["linux-64", "noarch"],
                       virtual_packages=virtual)
print(len(asyncio.run(main()))); sys.stdout.flush(); os._exit(0)
"""


def write_synthetic(channel: Path, *, records: int, sizes: list[int], seed: int = 7) -> None:
    """Write repodata of many packages in many versions; ``root-N`` needs a chain of N packages with side links."""
    chance = random.Random(seed)
    versions = 40
    names = [f"pkg-{number:05d}" for number in range(records // versions)]
    packages = {}

    def add(name: str, version: str, depends: list[str]) -> None:
        file = f"{name}-{version}-0.conda"
        digest = hashlib.sha256(file.encode()).hexdigest()
        packages[file] = {"name": name, "version": version, "build": "0", "build_number": 0, "subdir": "linux-64",
                          "depends": depends, "sha256": digest, "md5": digest[:32], "size": 1000,
                          "timestamp": 1700000000000}  # fmt: skip

    for index, name in enumerate(names):
        below = sorted(chance.sample(range(index), min(index, 4)))
        for version in range(versions):
            floor = max(0, version - 20)
            depends = [f"{names[other]} >={floor},<{version + 40}" for other in below]
            add(name, f"{version}.0", depends)
    for size in sizes:
        add(f"root-{size}", "1.0", names[:size])
    for subdir, found in (("linux-64", packages), ("noarch", {})):
        (channel / subdir).mkdir(parents=True)
        document = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": found, "repodata_version": 1}
        (channel / subdir / "repodata.json").write_text(json.dumps(document))


def read_sample(source: Path, channel: Path) -> None:
    """Unpack the sample's repodata into a channel folder."""
    import zstandard

    for subdir in ("linux-64", "noarch"):
        (channel / subdir).mkdir(parents=True)
        packed = (source / subdir / "repodata.json.zst").read_bytes()
        data = zstandard.ZstdDecompressor().stream_reader(packed).read()
        (channel / subdir / "repodata.json").write_bytes(data)


def measure(title: str, root: Path, channel: Path, wanted: list[str], runs: int) -> None:
    project = root / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    (project / "hermetic.toml").write_text(
        f'[channels]\nlocal = "{channel}"\n\n[environments.default]\nchannels = ["local"]\n'
        f"dependencies = {wanted}\nplatforms = ['linux-64']\n"
    )
    env = {"HERMETIC_STORE": str(root / "store"), "PATH": f"{BIN}:/usr/bin:/bin", "XDG_CACHE_HOME": str(root / "xdg")}
    lock = project / "lockfiles/default.lock.json"
    hermetic = str(BIN / "hermetic")
    compare(title, [
        Case("hermetic lock", [hermetic, "lock", "-q"], lambda: lock.unlink(missing_ok=True), env, project),
        Case("bare py-rattler solve",
             [sys.executable, "-c", BARE, channel.as_uri(), str(root / "gateway"), json.dumps(wanted)], env=env),
        Case("hermetic lock, nothing to move", [hermetic, "lock", "-q"], env=env, cwd=project),
    ], runs=runs)  # fmt: skip
    packages = json.loads(lock.read_text())["platforms"]["linux-64"]["conda"]
    print(f"  answer: {len(packages)} packages; lock: {lock.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--sample", type=Path, default=None, help="a folder with linux-64 and noarch repodata.json.zst")
    arguments = parser.parse_args()
    sizes = [50, 100, 200, 400, 700]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if arguments.sample:
            read_sample(arguments.sample, root / "sample")
            measure("conda-forge sample", root, root / "sample", SAMPLE, arguments.runs)
        write_synthetic(root / "synthetic", records=arguments.records, sizes=sizes)
        for size in sizes:
            wanted = [f"root-{size}"]
            title = f"synthetic channel of {arguments.records} records, answer of {size}"
            measure(title, root, root / "synthetic", wanted, arguments.runs)


if __name__ == "__main__":
    main()
