"""Watch hermetic's main job: declare an environment, lock it, build it, run it, and build it again.

    python3.11 examples/quickstart.py [--directory DIR]

It needs Python 3.11 or newer and nothing else: hermetic is installed from this checkout into a virtual
environment of its own. Everything it makes lies in one folder (build/quickstart); remove that, and all is gone.
Every command is printed before it runs, as you would type it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLE = CHECKOUT / "examples" / "quickstart"


def main() -> int:
    """Run the steps in a folder, and say where to look afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--directory",
        type=Path,
        default=CHECKOUT / "build" / "quickstart",
        help="where to make everything (default: build/quickstart in the checkout)",
    )
    directory: Path = parser.parse_args().directory.absolute()
    if sys.version_info < (3, 11):  # noqa: UP036  this script is what meets an older Python first
        print(f"hermetic needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    project = directory / "project"
    project.mkdir(parents=True, exist_ok=True)
    try:
        hermetic = install(directory / "venv")
        show(project, hermetic, directory / "store")
    except subprocess.CalledProcessError as error:
        print(
            f"\nthis command failed with exit status {error.returncode}; what it said stands above it", file=sys.stderr
        )
        return error.returncode or 1
    print(f"\nDone. All of it lies in {directory}.")
    print(f"The files to read: {project}/environment.yml, hermetic.toml, and lockfiles/default.lock.json.")
    return 0


def install(venv: Path) -> Path:
    """Install this checkout into a virtual environment, unless that is done, and give the program."""
    say("hermetic, from this checkout, into a virtual environment of its own")
    hermetic, python = venv / "bin" / "hermetic", str(venv / "bin" / "python")
    stamp = venv / "installed-for"
    wanted = f"{CHECKOUT}\n{(CHECKOUT / 'pyproject.toml').read_text(encoding='utf-8')}"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        print(f"{venv} has it already")
        return hermetic
    try:
        run(sys.executable, "-m", "venv", str(venv))
        pip = [python, "-m", "pip"]
    except subprocess.CalledProcessError:
        # Debian and Ubuntu keep what venv needs in a package of its own; a pip outside can do it too
        if importlib.util.find_spec("pip") is None:
            print("this Python has neither ensurepip nor pip; on Debian and Ubuntu: apt install python3-venv")
            raise
        run(sys.executable, "-m", "venv", "--without-pip", "--clear", str(venv))
        pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "-qq", "--disable-pip-version-check", "--editable", str(CHECKOUT))
    stamp.write_text(wanted, encoding="utf-8")
    return hermetic


def show(project: Path, hermetic: Path, store: Path) -> None:
    """Do the main job in a fresh project."""
    # nothing of the user's own hermetic takes part, and nothing is left in it
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HERMETIC_")}
    environment["HERMETIC_STORE"] = str(store)

    def command(*arguments: str, quietly: bool = False) -> str:
        return run(str(hermetic), *arguments, cwd=project, env=environment, quietly=quietly)

    for name in ("hermetic.toml", "lockfiles", ".hermetic"):  # begin anew; the channel and the store may stay
        path = project / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in ("environment.yml", "hello.py"):
        shutil.copyfile(EXAMPLE / name, project / name)

    say("a conda channel of your own Python and wheels, so that no public channel is needed")
    command("channel", "make", "./channel")
    glibc = json.loads(command("channel", "make", "./channel", "--json", quietly=True))["glibc"]

    say("declare an environment: environment.yml says what, hermetic.toml where from and for which machines")
    print((project / "environment.yml").read_text(encoding="utf-8"))
    command("init", "--from", "environment.yml", "--channel", "embedded=./channel", "--system", f"glibc={glibc}")

    say("lock it: conda packages and wheels resolved together, every file pinned by its sha256")
    command("lock")

    say("build it, and run a program in it")
    command("build")
    command("run", "default", "--", "python", "hello.py")

    say("once more: nothing has changed, so there is nothing to do")
    command("lock", "--check")
    command("build")

    say("prove it: every file is what the lock says")
    command("verify", "default")


def say(title: str) -> None:
    """Print a step's title."""
    print(f"\n# {title}", flush=True)


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None, quietly: bool = False) -> str:
    """Print a command as it would be typed, run it, and say how long it took; give its output if it runs quietly."""
    if quietly:
        return subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    program = Path(command[0])
    name = program.name if program.name == "hermetic" else command[0]
    print(f"$ {shlex.join([name, *command[1:]])}", flush=True)
    begun = time.monotonic()
    subprocess.run(command, cwd=cwd, env=env, check=True)
    print(f"  [{time.monotonic() - begun:.2f} s]", flush=True)
    return ""


if __name__ == "__main__":
    sys.exit(main())
