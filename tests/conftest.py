"""Fixtures that every room shares: real channels, made once, and channels by hand; see tests/support."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from support import channel as hand
from support.engine import engine  # noqa: F401  a fixture
from support.needs import require, suits
from support.postgres import postgres  # noqa: F401  a fixture
from support.servers import Server, serve

from hermetic.errors import HermeticError
from hermetic.outputs import channel as package
from hermetic.platforms import PLATFORMS

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: what tests interrupt would never end
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)  # a green commit stays green
settings.load_profile("ci" if os.environ.get("HERMETIC_REQUIRE_ALL") == "1" else "local")

BIG_CHANNEL = ("numpy", "pandas", "pip", "requests")


@pytest.fixture(autouse=True)
def _secrets_of_this_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """One test's short secrets may stand in another's texts, where they would be refused."""
    monkeypatch.setattr("hermetic.secrets._named", {})


@pytest.fixture(scope="session")
def channel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real channel: this Python, numpy, pandas, requests, pip, accel, prefix-probe. Read only.

    It is made once, kept in pytest's cache folder under a name that tells its inputs, and shared by all workers.
    """
    suits(sys.platform == "linux", "the embedded channel is made on Linux")
    digest = hashlib.sha256(repr((sys.version, sys.base_prefix, BIG_CHANNEL)).encode())
    for source in sorted(Path(package.__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    cache = getattr(request.config, "cache", None)  # absent with -p no:cacheprovider
    base = tmp_path_factory.getbasetemp()
    home = Path(cache.mkdir("channels")) if cache else base.parent / "channels"
    home.mkdir(exist_ok=True)
    target = home / digest.hexdigest()[:16]
    with FileLock(home / "lock"):
        for old in home.iterdir():  # a folder's time is that of its last use
            if old.is_dir() and old != target and old.stat().st_mtime < time.time() - 7200:
                shutil.rmtree(old, ignore_errors=True)
        try:
            package.make_channel(target, requirements=BIG_CHANNEL)
        except HermeticError as error:
            require(False, f"no channel could be made: {error}")
        os.utime(target)
    return target


@pytest.fixture
def tiny_channel(tmp_path: Path) -> Path:
    """A channel made by hand, with what solvers stumble over; a test may write more to it and index it again.

    For every platform: python 3.10, 3.11 and 3.12 (which cannot run), several versions of ``app`` and ``base``,
    ``left`` and ``right`` that conflict, ``accel`` for CPU and CUDA, ``numpy`` and ``requests`` with purls.
    """
    directory = tmp_path / "tiny-channel"
    day = 86400 * 1000
    for number, version in enumerate(("3.10.14", "3.11.9", "3.12.4")):
        hand.write_python(directory, version, subdirs=PLATFORMS, timestamp=hand.EPOCH * 1000 + number * day)
    for number, version in enumerate(("1.0", "1.5", "2.0")):
        moment = hand.EPOCH * 1000 + number * 100 * day
        text = f"base {version} in {hand.PLACEHOLDER}\n"
        hand.write_package(directory, "base", version, timestamp=moment, files={"share/base.txt": text})
        below = f"<{int(version[0]) + 1}"
        hand.write_package(
            directory,
            "app",
            version,
            timestamp=moment,
            depends=[f"base >={version},{below}"],
            files={"bin/app": "#!/bin/sh\n"},
        )
    hand.write_package(directory, "left", "1.0", depends=["base <2"])
    hand.write_package(directory, "right", "1.0", depends=["base >=2"])
    for platform in PLATFORMS:
        hand.write_package(
            directory, "accel", "1.0", build="cpu_0", subdir=platform, files={"share/accel.txt": "cpu\n"}
        )
        if not platform.startswith("osx"):
            hand.write_package(
                directory,
                "accel",
                "1.0",
                build="cuda_1",
                build_number=1,
                subdir=platform,
                depends=["__cuda >=12"],
                files={"share/accel.txt": "cuda\n"},
            )
    for name, version in (("numpy", "1.26.4"), ("numpy", "2.1.0"), ("requests", "2.32.0"), ("certifi", "2024.1.1")):
        hand.write_package(
            directory,
            name,
            version,
            noarch="python",
            depends=["python >=3.10", *(["certifi"] if name == "requests" else [])],
            purls=[f"pkg:pypi/{name}@{version}"],
            files={
                f"site-packages/{name}/__init__.py": f'__version__ = "{version}"\n',
                f"site-packages/{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
                f"Version: {version}\n",
            },
        )
    return hand.index(directory)


@pytest.fixture
def http_channel() -> Iterator[Callable[[Path], Server]]:
    """Serve folders on loopback until the test ends: ``http_channel(path).url``."""
    with ExitStack() as stack:
        yield lambda directory: stack.enter_context(serve(directory))
