"""Bazel: an image by our rules against a genrule that calls pip: ``python benchmarks/bazel.py``.

Both make the same packages (numpy, and a small one that is bumped) into something that can be shipped: an OCI layout,
and a tar of a virtual environment, from local files. Timed are a first build, one with nothing to do, and one after the
small package was bumped. One round: the ratios are large, and a first build cannot be repeated for free.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "helpers")]
GENRULE = """
genrule(
    name = "by_pip",
    srcs = glob(["wheels/*.whl"]),
    outs = ["by_pip.tar.gz"],
    cmd = "{python} -m venv env && env/bin/python -m pip install -q --no-index " +
          "--find-links wheels numpy probe && tar czf $@ env",
)
"""


def main() -> None:
    from support.bazel import bazel_on
    from support.wheels import make_wheel

    from hermetic.outputs.channel import make_channel

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        channel = root / "channel"
        make_channel(channel, requirements=("numpy",))
        with bazel_on(root / "desk", channel) as bazel:
            bazel.desk("base", "pin", "train", "--base", "scratch")
            wheels = bazel.desk.project / "wheels"
            wheels.mkdir()
            download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), "numpy"]
            subprocess.run(download, check=True)
            make_wheel(wheels, "probe", "1.0", files={"probe.py": "A = 1\n"})
            build = bazel.desk.project / "BUILD.bazel"
            build.write_text(build.read_text() + GENRULE.format(python=sys.executable))
            bazel("build", "@train//:packages")  # what is fetched is timed on neither side

            def timed(target: str) -> float:
                began = time.perf_counter()
                bazel("build", target)
                return time.perf_counter() - began

            targets = {"hermetic_image": "//:image", "genrule with pip": "//:by_pip"}
            found = {name: [timed(target), timed(target)] for name, target in targets.items()}
            bazel.stock("2.0")
            bazel.desk("lock", "train", "--update", "probe")
            next(wheels.glob("probe-*")).unlink()
            make_wheel(wheels, "probe", "2.0", files={"probe.py": "A = 2\n"})
            bazel("build", "@train//:packages")
            for name, target in targets.items():
                found[name].append(timed(target))
    print(f"{'':18}  first build  nothing to do  one package bumped")
    for name, (first, nothing, bumped) in found.items():
        print(f"{name:18}  {first:9.1f} s  {nothing:11.2f} s  {bumped:16.1f} s")


if __name__ == "__main__":
    main()
