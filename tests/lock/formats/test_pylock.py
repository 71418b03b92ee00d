"""pylock.toml (PEP 751): uv installs from it, and what it says of several platforms is read again."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from addresses import wheel_address
from lock_samples import LOCK, changed, conda, platform_lock, wheel
from tiny_wheels import make_wheel, served, write_index

from hermetic.errors import LockFileError
from hermetic.lock.formats.pylock import format_pylock, read_pylock_toml
from hermetic.lock.model import Lock
from hermetic.platforms import current_platform

TEXT = format_pylock(LOCK, wheel_address)


def test_what_is_written_is_read_again_with_wheels_digests_and_edges() -> None:
    again = read_pylock_toml(TEXT, "pylock.toml")
    assert sorted(again.platforms) == ["linux-64", "osx-arm64"]
    for name, platform in again.platforms.items():
        assert platform.conda == ()
        assert platform.wheels == tuple(
            replace(w, origin=None, categories=("main",), requires=tuple(n for n in w.requires if n != "numpy"))
            for w in LOCK.platforms[name].wheels
        )


def test_platforms_that_differ_have_markers() -> None:
    lock = changed(changed(LOCK, "osx-arm64", wheel("tiny", "1.1")), "linux-64", drop=("fast",))
    text = format_pylock(lock, wheel_address)
    packages = tomllib.loads(text)["packages"]
    markers = {(p["name"], p["version"]): p.get("marker") for p in packages}
    assert markers == {
        ("certifi", "2024.7.4"): None,
        ("fast", "2.0"): "sys_platform == 'darwin' and platform_machine == 'arm64'",
        ("requests", "2.32.3"): None,
        ("tiny", "1.0"): "sys_platform == 'linux' and platform_machine == 'x86_64'",
        ("tiny", "1.1"): "sys_platform == 'darwin' and platform_machine == 'arm64'",
    }
    again = read_pylock_toml(text, "x")
    assert {n: [(w.name, w.version) for w in p.wheels] for n, p in again.platforms.items()} == {
        n: [(w.name, w.version) for w in p.wheels] for n, p in lock.platforms.items()
    }


def test_the_file_is_what_the_standard_says() -> None:
    value = tomllib.loads(TEXT)
    assert (value["lock-version"], value["created-by"], value["requires-python"]) == ("1.0", "hermetic", "==3.11.*")
    fast = value["packages"][1]
    assert [w["name"] for w in fast["wheels"]] == [
        "fast-2.0-cp311-cp311-macosx_11_0_arm64.whl", "fast-2.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    ]  # fmt: skip
    assert set(fast["wheels"][0]) == {"name", "url", "size", "hashes"}
    assert "dependencies" not in fast  # numpy is conda's, and dependencies name entries of this file
    assert value["packages"][2]["dependencies"] == [{"name": "certifi"}, {"name": "fast"}]
    assert "# Provided by conda, needed by these wheels and left out here: numpy 1.26.4." in TEXT


def uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uv", "--no-config", "--no-cache", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_uv_installs_from_it(scheme: str, tmp_path: Path) -> None:
    platform = current_platform()
    wheels = [make_wheel(tmp_path / "files", "alpha", "1.0", "beta"), make_wheel(tmp_path / "files", "beta", "2.0")]
    virtual = platform if platform in LOCK.platforms else "linux-64"
    version = ".".join(map(str, sys.version_info[:3]))
    locked = replace(platform_lock(virtual, conda("python", version), *wheels), platform=platform)
    other = platform_lock("osx-arm64" if platform != "osx-arm64" else "linux-64", wheel("beta", "9.9"))
    lock = Lock({}, {platform: locked, other.platform: other})
    with served(tmp_path / "files") as address:
        base = address if scheme == "http" else (tmp_path / "files").as_uri()
        file = tmp_path / "pylock.toml"
        file.write_text(format_pylock(lock, lambda w: f"{base}/{w.file_name}"))
        assert uv("venv", "--python", sys.executable, tmp_path / "venv").returncode == 0
        done = uv("pip", "install", "--python", tmp_path / "venv", "-r", file)
    assert done.returncode == 0, done.stderr
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    out = subprocess.run([python, "-c", "import alpha, beta; print(alpha.version, beta.version)"],
                         capture_output=True, text=True, check=True)  # fmt: skip
    assert out.stdout.split() == ["1.0", "2.0"]


def test_uv_refuses_other_bytes(tmp_path: Path) -> None:
    platform = current_platform()
    virtual = platform if platform in LOCK.platforms else "linux-64"
    beta = make_wheel(tmp_path / "files", "beta", "2.0")
    lock = Lock({}, {platform: replace(platform_lock(virtual, beta), platform=platform)})
    file = tmp_path / "pylock.toml"
    file.write_text(format_pylock(lock, lambda w: (tmp_path / "files" / w.file_name).as_uri()))
    make_wheel(tmp_path / "files", "beta", "2.0", "colour")
    done = uv("pip", "install", "--python", sys.executable, "--target", tmp_path / "target", "-r", file)
    assert done.returncode != 0
    assert "mismatch" in done.stderr.lower()


def test_a_lock_that_uv_wrote(tmp_path: Path) -> None:
    """uv's own export is read: what it left out (names of files) is read off the addresses."""
    make_wheel(tmp_path / "files", "alpha", "1.0", "beta")
    beta = make_wheel(tmp_path / "files", "beta", "2.0")
    write_index(tmp_path / "simple", tmp_path / "files")
    (tmp_path / "in.txt").write_text("alpha\n")
    with served(tmp_path) as address:
        done = uv("pip", "compile", "--format", "pylock.toml", "--index-url", f"{address}/simple",
                  "--python-version", "3.11", "-o", tmp_path / "pylock.toml", tmp_path / "in.txt")  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "pylock.toml").read_text()
    (platform,) = read_pylock_toml(text, "pylock.toml", platforms=["linux-64"]).platforms.values()
    assert [(w.name, w.version) for w in platform.wheels] == [("alpha", "1.0"), ("beta", "2.0")]
    assert (platform.wheels[1].sha256, platform.wheels[1].url) == (beta.sha256, f"{address}/files/{beta.file_name}")


HOST = "https://f.example.org"


def package(**fields: str) -> str:
    return "\n".join(['lock-version = "1.0"', 'created-by = "x"', "[[packages]]",
                      *(f"{key.replace('_', '-')} = {value}" for key, value in fields.items())])  # fmt: skip


WHEEL = '[{ url = "https://f.example.org/a-1.0-py3-none-any.whl", hashes = { sha256 = "' + "ab" * 32 + '" } }]'


def test_the_wheel_that_fits_best_is_taken() -> None:
    names = [f"a-1.0-cp3{minor}-cp3{minor}-manylinux_2_{glibc}_x86_64.whl" for minor in (11, 12) for glibc in (17, 28)]
    wheels = ", ".join(
        f'{{ url = "https://f.example.org/{n}", hashes = {{ sha256 = "{"ab" * 32}" }} }}'
        for n in [*names, "a-1.0-py3-none-any.whl"]
    )
    text = package(name='"a"', version='"1.0"', wheels=f"[{wheels}]")
    for python, expected in (("3.11", names[1]), ("3.12", names[3]), ("3.13", "a-1.0-py3-none-any.whl")):
        lock = read_pylock_toml(text, "x", platforms=["linux-64"], python=python)
        assert lock.platforms["linux-64"].wheels[0].file_name == expected


def test_markers_and_python_decide_what_is_read() -> None:
    text = package(name='"a"', version='"1.0"', marker="\"sys_platform == 'win32'\"", wheels=WHEEL)
    lock = read_pylock_toml(text, "x", platforms=["linux-64", "win-64"])
    assert [len(lock.platforms[name].wheels) for name in ("linux-64", "win-64")] == [0, 1]
    old = package(name='"a"', version='"1.0"', marker="\"python_version < '3.10'\"", wheels=WHEEL)
    named = old.replace("[[packages]]", 'requires-python = ">=3.9"\n[[packages]]')
    assert len(read_pylock_toml(named, "x", platforms=["linux-64"]).platforms["linux-64"].wheels) == 1
    assert list(read_pylock_toml(old, "x").platforms) == [current_platform()]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("lock-version = \n", "not TOML", 1),
        ("x = 1\n", "lock-version None", None),
        ('lock-version = "2.0"\n', "lock-version '2.0'; hermetic reads 1.0", None),
        ('lock-version = "1.0"\npackages = 3\n', "no valid pylock.toml", None),
        ('lock-version = "1.0"\npackages = [3]\n', "no valid pylock.toml", None),
        ('lock-version = "1.0"\nenvironments = 3\n', "no valid pylock.toml", None),
        (package(version='"1"'), "no valid pylock.toml", None),
        (package(name='"a"', wheels="3"), "no valid pylock.toml", None),
        (package(name='"a"', version='"1"', sdist=f'{{ url = "{HOST}/a-1.tar.gz" }}'), "source archive", None),
        (package(name='"a"', vcs='{ url = "https://g.example.org/a.git" }'), "VCS checkout, not a wheel: a", None),
        (package(name='"a"', directory='{ path = "." }'), "of the machine that locked", None),
        (package(name='"a"', wheels='[{ path = "a-1.0-py3-none-any.whl" }]'), "of the machine that locked", None),
        (package(name='"a"', wheels=f'[{{ url = "{HOST}/a-1.0-py3-none-any.whl" }}]'), "without sha256", None),
        (package(name='"a"', wheels=f'[{{ url = "{HOST}/a-1.0-cp39-cp39-win32.whl" }}]'), "without a wheel", None),
        (package(name='"a"', wheels=f'[{{ url = "{HOST}/a.whl" }}]'), "without a wheel", None),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_refused(text: str, message: str, line: int | None) -> None:
    with pytest.raises(LockFileError, match=message) as caught:
        read_pylock_toml(text, "pylock.toml", platforms=["linux-64"])
    assert caught.value.place
    assert (caught.value.place.file, caught.value.place.line) == ("pylock.toml", line)
    assert caught.value.remedy


def test_other_indexes_stay_and_the_default_one_has_no_address() -> None:
    index = '"https://index.example.org/simple"'
    own = package(name='"a"', version='"1.0"', index=index, wheels=WHEEL)
    (found,) = read_pylock_toml(own, "x", platforms=["linux-64"]).platforms["linux-64"].wheels
    assert (found.index, found.url) == ("https://index.example.org/simple", "")
    default = own.replace("https://f.example.org/", f"https://f.example.org/packages/ab/cd/{'0' * 60}/")
    (found,) = read_pylock_toml(default, "x", platforms=["linux-64"]).platforms["linux-64"].wheels
    assert (found.index, found.url) == ("", "")
