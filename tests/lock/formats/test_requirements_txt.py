"""requirements.txt with digests: pip and uv take it, and take nothing else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from addresses import wheel_address
from lock_samples import LOCK, changed, conda, platform_lock
from tiny_wheels import make_wheel, served, write_index

from hermetic.lock.formats.requirements_txt import format_requirements
from hermetic.lock.model import Lock, Wheel
from hermetic.platforms import current_platform


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, arguments)], capture_output=True, text=True, check=False)


PIP = (sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-cache-dir", "install")
UV = (sys.executable, "-m", "uv", "--no-config", "--no-cache", "pip", "install", "--python", sys.executable)


@pytest.fixture
def wheels(tmp_path: Path) -> tuple[Wheel, ...]:
    folder = tmp_path / "files"
    return (
        make_wheel(folder, "alpha-one", "1.0", "beta", "numpy"),
        make_wheel(folder, "beta", "2.0", tag="py2.py3-none-any"),
    )


def here(*packages: object) -> Lock:
    platform = current_platform()
    virtual = platform if platform in LOCK.platforms else "linux-64"
    return Lock({}, {platform: replace(platform_lock(virtual, *packages), platform=platform)})  # type: ignore[arg-type]


def write(path: Path, lock: Lock) -> Path:
    path.write_text(format_requirements(lock, wheel_address))
    return path


Tool = tuple[str, ...]
Wheels = tuple[Wheel, ...]
both_tools = pytest.mark.parametrize("tool", [PIP, UV], ids=["pip", "uv"])


@both_tools
def test_pip_and_uv_install_it_with_digests_required(tool: Tool, wheels: Wheels, tmp_path: Path) -> None:
    file = write(
        tmp_path / "requirements.txt", here(conda("numpy", "1.26.4", "python"), conda("python", "3.11.9"), *wheels)
    )
    target = tmp_path / "target"
    done = run(*tool, "--no-index", "--find-links", tmp_path / "files", "--require-hashes", "--no-deps",
               "--target", target, "-r", file)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in target.glob("*.py")) == ["alpha_one.py", "beta.py"]


@both_tools
def test_a_wheel_that_is_not_the_locked_one_is_refused(tool: Tool, wheels: Wheels, tmp_path: Path) -> None:
    file = write(tmp_path / "requirements.txt", here(conda("python", "3.11.9"), *wheels))
    make_wheel(tmp_path / "files", "beta", "2.0", "colour", tag="py2.py3-none-any")
    done = run(*tool, "--no-index", "--find-links", tmp_path / "files", "--require-hashes", "--no-deps",
               "--target", tmp_path / "target", "-r", file)  # fmt: skip
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()


@both_tools
def test_other_indexes_and_addresses_are_in_the_file(tool: Tool, wheels: Wheels, tmp_path: Path) -> None:
    write_index(tmp_path / "simple", tmp_path / "files")
    direct = make_wheel(tmp_path / "own", "gamma", "3.0")
    with served(tmp_path) as address:
        named = [replace(wheel, index=f"{address}/simple") for wheel in wheels]
        direct = replace(direct, url=f"{address}/own/{direct.file_name}")
        file = write(tmp_path / "requirements.txt", here(conda("python", "3.11.9"), *named, direct))
        assert f"--index-url {address}/simple" in file.read_text()
        target = tmp_path / "target"
        done = run(*tool, "--require-hashes", "--no-deps", "--target", target, "-r", file)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in target.glob("*.py")) == ["alpha_one.py", "beta.py", "gamma.py"]


def test_what_conda_provides_is_named_and_left_out() -> None:
    lines = format_requirements(LOCK, wheel_address, platforms=["linux-64"]).splitlines()
    assert "# For Python 3.11.9." in lines
    assert "# Provided by conda, needed by these wheels and left out here: numpy 1.26.4." in lines
    assert not any(line.startswith("numpy") for line in lines)


def test_platforms_that_differ_have_markers() -> None:
    lock = changed(LOCK, "osx-arm64", drop=("tiny",))
    text = format_requirements(lock, wheel_address)
    assert "tiny @ " in text
    assert "tiny-1.0-py3-none-any.whl ; sys_platform == 'linux' and platform_machine == 'x86_64' \\" in text
    assert "certifi==2024.7.4 \\" in text
    assert text.count("--hash") == 5  # fast has a wheel for each platform


def test_indexes_beside_the_default_one_are_extra() -> None:
    fast = replace(LOCK.platforms["linux-64"].wheels[1], index="https://index.example.org/simple")
    lines = format_requirements(changed(LOCK, "linux-64", fast), wheel_address).splitlines()
    assert "--extra-index-url https://index.example.org/simple" in lines
    assert not any(line.startswith("--index-url") for line in lines)


def test_long_lists_of_what_conda_provides_are_wrapped() -> None:
    names = [f"package-number-{i}" for i in range(20)]
    lock = here(conda("python", "3.11.9"), *(conda(n, "1.0", "python") for n in names),
                replace(LOCK.platforms["linux-64"].wheels[0], requires=tuple(names)))  # fmt: skip
    lines = [line for line in format_requirements(lock, wheel_address).splitlines() if line.startswith("#")]
    assert all(len(line) <= 121 for line in lines)
    assert sum(line.count("package-number-") for line in lines) == 20
