"""conda-lock.yml: conda-lock itself takes what we write, and we take what it writes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from addresses import conda_address, name_channel, wheel_address
from lock_samples import LOCK, changed, conda

from hermetic.errors import LockFileError, UsageError
from hermetic.lock.formats import import_lock
from hermetic.lock.formats.conda_lock_yml import format_conda_lock, read_conda_lock
from hermetic.lock.model import Lock

TEXT = format_conda_lock(LOCK, conda_address, wheel_address)
SHA = "ab" * 32


def bare(lock: Lock) -> Lock:
    """Give a lock with only what conda-lock.yml can hold."""
    return Lock(
        spec={},
        platforms={
            name: replace(
                platform,
                variables=(),
                conda=tuple(
                    replace(
                        p, size=0, constrains=(), license="", timestamp=0, purls=(),
                        depends=tuple(sorted(p.depends)),
                    )
                    for p in platform.conda
                ),
                wheels=tuple(replace(w, size=0, origin=None) for w in platform.wheels),
            )
            for name, platform in lock.platforms.items()
        },
    )  # fmt: skip


def test_what_is_written_is_read_again_with_packages_digests_and_edges() -> None:
    again = read_conda_lock(TEXT, "conda-lock.yml", channel_name=name_channel)
    assert again.spec == {"channels": ["https://conda.example.org/demo"], "platforms": ["linux-64", "osx-arm64"]}
    # what a wheel needs from conda is known by its name there: numpy's purl is not in the format, its name is
    assert replace(again, spec={}) == bare(LOCK)
    assert (
        format_conda_lock(again, conda_address, wheel_address).partition("package:")[2]
        == (TEXT.partition("package:")[2])
    )


def test_the_file_is_what_the_standard_says() -> None:
    value = yaml.safe_load(TEXT)
    assert value["version"] == 1
    assert value["metadata"] == {
        "content_hash": {name: platform.key() for name, platform in LOCK.platforms.items()},
        "channels": [{"url": "https://conda.example.org/demo", "used_env_vars": []}],
        "platforms": ["linux-64", "osx-arm64"],
        "sources": [],
    }
    entries = {(e["manager"], e["name"], e["platform"], e["category"]): e for e in value["package"]}
    numpy = entries["conda", "numpy", "linux-64", "main"]
    assert numpy["dependencies"] == {"libzlib": "", "python": ">=3.11,<3.12.0a0", "python_abi": "3.11.* *_cp311"}
    assert numpy["url"] == "https://conda.example.org/demo/linux-64/numpy-1.26.4-py311h1_0.conda"
    assert set(numpy["hash"]) == {"md5", "sha256"}
    assert entries["pip", "fast", "linux-64", "dev"]["optional"] is True
    assert entries["pip", "fast", "linux-64", "main"]["optional"] is False


@pytest.mark.parametrize("kind", ["explicit", "env"])
def test_conda_lock_renders_it(kind: str, tmp_path: Path) -> None:
    (tmp_path / "conda-lock.yml").write_text(TEXT)
    done = subprocess.run(
        [sys.executable, "-m", "conda_lock", "render", "-k", kind, "-p", "linux-64", "conda-lock.yml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (rendered,) = (path for path in tmp_path.iterdir() if path.name != "conda-lock.yml")
    text = rendered.read_text()
    if kind == "env":
        assert yaml.safe_load(text)["dependencies"][:2] == ["libzlib=1.3.1=h1_0", "numpy=1.26.4=py311h1_0"]
    else:
        for package in LOCK.platforms["linux-64"].conda:
            assert f"{conda_address(package)}#{package.md5}" in text
        assert f"# pip certifi @ {wheel_address(LOCK.platforms['linux-64'].wheels[0])}" in text


def test_rattler_reads_it_too(tmp_path: Path) -> None:
    from rattler import LockFile

    path = tmp_path / "conda-lock.yml"
    path.write_text(TEXT)
    (environment,) = (environment for _, environment in LockFile.from_path(path).environments())
    assert {str(p.subdir) for p in environment.platforms()} == {"linux-64", "osx-arm64"}


def test_the_text_is_the_same_every_time() -> None:
    assert format_conda_lock(LOCK, conda_address, wheel_address) == TEXT


def test_one_platform_of_several() -> None:
    text = format_conda_lock(LOCK, conda_address, wheel_address, platforms=["osx-arm64"])
    assert list(read_conda_lock(text, "x").platforms) == ["osx-arm64"]
    assert list(read_conda_lock(TEXT, "x", platforms=["linux-64"]).platforms) == ["linux-64"]
    with pytest.raises(UsageError, match="does not lock win-64"):
        read_conda_lock(TEXT, "x", platforms=["win-64"])


def test_a_wheel_that_was_asked_for_by_address_stays_one() -> None:
    direct = replace(
        LOCK.platforms["linux-64"].wheels[0], url="https://files.example.org/own/certifi-2024.7.4-py3-none-any.whl"
    )
    text = format_conda_lock(changed(LOCK, "linux-64", direct), conda_address, wheel_address)
    again = read_conda_lock(text, "x")
    assert again.platforms["linux-64"].wheels[0].url == direct.url


def test_a_package_without_md5_cannot_be_written() -> None:
    with pytest.raises(UsageError, match="numpy has no md5"):
        format_conda_lock(changed(LOCK, "linux-64", conda("numpy", "2", md5="")), conda_address, wheel_address)


def test_two_match_specs_on_one_name_become_one() -> None:
    text = format_conda_lock(
        changed(LOCK, "linux-64", conda("numpy", "2", "python >=3.11", "python <3.12", "demo::tzdata 2024*")),
        conda_address,
        wheel_address,
    )
    numpy = read_conda_lock(text, "x").platforms["linux-64"].conda[1]
    assert numpy.depends == ("python >=3.11,<3.12", "tzdata 2024*")


HEAD = f"""\
version: 1
metadata:
  content_hash: {{linux-64: {SHA}}}
  channels: [{{url: conda-forge, used_env_vars: []}}]
  platforms: [linux-64]
  sources: []
package:
"""


def entry(**fields: object) -> str:
    values = {
        "name": "xz", "version": "5.4.6", "manager": "conda", "platform": "linux-64", "optional": False,
        "url": "https://conda.example.org/conda-forge/linux-64/xz-5.4.6-h1_2.conda",
        "hash": {"md5": "1" * 32, "sha256": SHA}, **fields,
    }  # fmt: skip
    return yaml.safe_dump([{name: value for name, value in values.items() if value is not None}])


def test_what_the_format_does_not_say_is_read_off_the_address() -> None:
    (package,) = read_conda_lock(HEAD + entry(), "x").platforms["linux-64"].conda
    assert (package.build, package.build_number, package.channel, package.noarch) == ("h1_2", 2, "conda-forge", "")
    python = entry(url="https://c.example.org/conda-forge/noarch/xz-5.4.6-h1_2.conda", dependencies={"python": ""})
    assert read_conda_lock(HEAD + python, "x").platforms["linux-64"].conda[0].noarch == "python"
    generic = entry(url="https://c.example.org/conda-forge/noarch/xz-5.4.6-h1_2.conda")
    assert read_conda_lock(HEAD + generic, "x").platforms["linux-64"].conda[0].noarch == "generic"


def test_credentials_in_addresses_do_not_get_into_the_lock() -> None:
    secret = entry(url="https://me:hunter2@conda.example.org/t/tk-1/private/linux-64/xz-5.4.6-h1_2.conda")
    (package,) = read_conda_lock(HEAD + secret, "x").platforms["linux-64"].conda
    assert package.channel == "https://conda.example.org/private"
    wheel = entry(manager="pip", url="https://me:hunter2@files.example.org/xz-5.4.6-py3-none-any.whl?sig=1")
    (locked,) = read_conda_lock(HEAD + wheel, "x").platforms["linux-64"].wheels
    assert locked.url == "https://files.example.org/xz-5.4.6-py3-none-any.whl"


def test_records_of_the_channel_turn_an_md5_into_a_sha256_if_it_is_the_same_file() -> None:
    text = HEAD + entry(hash={"md5": "1" * 32})
    record = {"name": "xz", "md5": "1" * 32, "sha256": "2" * 64, "size": 7, "depends": ["libgcc"], "build_number": 2}
    asked = []

    def records(channel: str, subdir: str, file_name: str) -> dict[str, object]:
        asked.append((channel, subdir, file_name))
        return record

    (package,) = read_conda_lock(text, "x", records=records).platforms["linux-64"].conda
    assert (package.sha256, package.size) == ("2" * 64, 7)
    assert asked == [("https://conda.example.org/conda-forge", "linux-64", "xz-5.4.6-h1_2.conda")]
    record["md5"] = "3" * 32
    with pytest.raises(LockFileError, match="with another md5 than its channel gives: xz"):
        read_conda_lock(text, "x", records=records)


BAD = {
    "not YAML": ("version: [\n", "not YAML", 2),
    "a tab": ("version: 1\nmetadata:\n\tx: 1\n", "not YAML", 3),
    "no packages": ("version: 1\nmetadata: {}\n", "no metadata and package", None),
    "a list": ("- 1\n", "no metadata and package", None),
    "version 9": (HEAD.replace("version: 1", "version: 9") + entry(), "version 9", None),
    "an unknown key": (HEAD + entry(colour="red"), "xz: package.0.colour", None),
    "no url": (HEAD + entry(url=None), "xz: package.0.url", None),
    "a number as version": (HEAD + entry(version=5.4), "xz: package.0.version", None),
    "package no list": (HEAD.replace("package:", "package: 3"), "package", None),
    "twice": (HEAD + entry() + entry(version="5.4.7"), "locked twice: xz", None),
    "twice in two categories": (HEAD + entry() + entry(category="dev", build="other"), "locked twice", None),
    "no digest": (HEAD + entry(hash={"md5": "1" * 32}), "without sha256", None),
    "a wrong digest": (HEAD + entry(hash={"md5": "1" * 32, "sha256": "xyz"}), "sha256", None),
    "a local archive": (HEAD + entry(url="file:///tmp/xz-5.4.6-h1_2.conda"), "no published conda archive", None),
    "no archive": (HEAD + entry(url="https://conda.example.org/c/linux-64/xz.zip"), "no published conda archive", None),
    "another platform": (HEAD + entry(platform="osx-64"), "does not list: xz", None),
    "a strange platform": (
        HEAD.replace("linux-64", "emscripten-wasm32") + entry(platform="emscripten-wasm32"),
        "unknown platform 'emscripten-wasm32'", None,
    ),
    "an sdist": (HEAD + entry(manager="pip", url="https://f.example.org/xz-1.zip"), "source archive.*xz 5.4.6", None),
    "a checkout": (HEAD + entry(manager="pip", url="git+https://g.example.org/xz.git@v1"), "VCS checkout", None),
    "a wheel without digest": (
        HEAD + entry(manager="pip", url="https://f.example.org/xz-1-py3-none-any.whl", hash={}),
        "without sha256: xz", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_imported_is_refused_with_the_reason(name: str) -> None:
    text, message, line = BAD[name]
    with pytest.raises(LockFileError, match=message) as caught:
        read_conda_lock(text, "conda-lock.yml")
    assert caught.value.place
    assert (caught.value.place.file, caught.value.place.line) == ("conda-lock.yml", line)
    assert caught.value.remedy


def test_the_dispatcher_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "any.name"
    path.write_text(TEXT)
    assert import_lock(path, channel_name=name_channel) == read_conda_lock(TEXT, str(path), channel_name=name_channel)
