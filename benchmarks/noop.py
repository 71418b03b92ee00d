"""A no-op, as it is felt: ``python benchmarks/noop.py``.

``hermetic build`` with nothing to do, ``hermetic lock --check`` and what the pre-commit hook calls, against a bare
interpreter and, where they are installed, pre-commit around the hooks, and the no-ops of Nix and Bazel.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from harness import Case, compare

from hermetic.outputs.channel import make_channel

BIN = Path(sys.executable).parent
NIX = (
    'derivation { name = "noop"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }'
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--channel", type=Path, default=None, help="an existing channel (default: one is made)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        channel = arguments.channel or root / "channel"
        if arguments.channel is None:
            make_channel(channel)
        env = {"HERMETIC_STORE": str(root / "store"), "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(root)}
        hermetic = str(BIN / "hermetic")
        (root / "hermetic.toml").write_text(
            f'[channels]\nlocal = "{channel.absolute()}"\n\n[environments.default]\nchannels = ["local"]\n'
            "dependencies = ['python=3.11', 'numpy']\nsystem = { glibc = '2.36' }\nplatforms = ['linux-64']\n"
        )
        subprocess.run([hermetic, "build", "-q"], cwd=root, env=env, check=True)
        subprocess.run([hermetic, "lock", "--check", "-q"], cwd=root, env=env, check=True)
        cases = [
            Case("hermetic build", [hermetic, "build"], env=env, cwd=root),
            Case("hermetic lock --check", [hermetic, "lock", "--check"], env=env, cwd=root),
            Case(
                "hermetic lock --if-stale --exit-code",
                [hermetic, "lock", "--if-stale", "--exit-code"],
                env=env,
                cwd=root,
            ),
            Case("python -c pass", [sys.executable, "-c", "pass"], env=env, cwd=root),
        ]
        if find_spec("pre_commit"):
            cases += hooks(root, env)
        if shutil.which("nix-build"):
            (root / "noop.nix").write_text(NIX)
            state = {"NIX_STATE_DIR": str(root / "nix/var"), "NIX_STORE_DIR": str(root / "nix/store"),
                     "NIX_LOG_DIR": str(root / "nix/log"), "NIX_LOCALSTATE_DIR": str(root / "nix/var")}  # fmt: skip
            build = ["nix-build", str(root / "noop.nix"), "--no-out-link", "--option", "substitute", "false",
                     "--option", "build-users-group", "", "--option", "sandbox", "false"]  # fmt: skip
            cases.append(Case("nix-build", build, env={**env, **state}, cwd=root))
        bazel = shutil.which("bazel")
        if bazel:
            (root / "bazel").mkdir()
            (root / "bazel/WORKSPACE").write_text("")
            (root / "bazel/BUILD").write_text('genrule(name = "noop", outs = ["out"], cmd = "echo > $@")\n')
            cases.append(
                Case("bazel build", [bazel, "build", "//:noop"], env={**env, "USER": "root"}, cwd=root / "bazel")
            )
        compare("no-op", cases, runs=arguments.runs, warmup=2)
        if bazel:
            subprocess.run([bazel, "shutdown"], env=env, cwd=root / "bazel", check=False, capture_output=True)


def hooks(root: Path, env: dict[str, str]) -> list[Case]:
    """pre-commit with both hooks, and with one that does nothing: what is left is the hooks' own."""
    cases = []
    for name, entries in (
        ("pre-commit, both hooks", ("hermetic lock --if-stale --exit-code", "hermetic lock --check")),
        ("pre-commit, two hooks of /bin/true", ("/bin/true", "/bin/true")),
    ):
        config = root / f"{len(cases)}.pre-commit.yaml"
        listed = "".join(
            f"      - {{id: h{n}, name: h{n}, language: system, entry: {entry}, pass_filenames: false}}\n"
            for n, entry in enumerate(entries)
        )
        config.write_text(f"repos:\n  - repo: local\n    hooks:\n{listed}")
        call = [sys.executable, "-m", "pre_commit", "run", "--all-files", "-c", str(config)]
        cases.append(Case(name, call, env=env, cwd=root))
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org"]
    (root / ".gitignore").write_text("channel\nstore\nbazel\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], cwd=root, env=env, check=True)
    return cases


if __name__ == "__main__":
    main()
