"""A file is known by what it holds; a lock is exported by the format's name."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from addresses import conda_address, name_channel, wheel_address
from hypothesis import HealthCheck, given, settings
from lock_samples import LOCK, locks

from hermetic.errors import HermeticError, LockFileError, MachineError, UsageError
from hermetic.lock.file import format_lock
from hermetic.lock.formats import FORMATS, ONE_PLATFORM, Format, export_lock, import_lock
from hermetic.lock.formats.dispatch import kind_of
from hermetic.lock.model import CondaPackage, Lock


def exported(form: Format) -> str:
    platforms = ["linux-64"] if form in ONE_PLATFORM else []
    return export_lock(LOCK, form, conda_address, wheel_address, platforms=platforms, name="demo")


@pytest.mark.parametrize("form", FORMATS)
def test_every_export_is_stable_and_holds_no_more_than_it_should(form: Format) -> None:
    text = exported(form)
    assert text == exported(form)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "/tmp" not in text


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_exported_is_imported_or_called_a_spec(form: Format, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(exported(form))
    if form in {"requirements", "environment"}:
        with pytest.raises(LockFileError, match="a spec, not a lock") as caught:
            import_lock(path)
        assert "from = ['file']" in (caught.value.remedy or "")
        return
    lock = import_lock(path, channel_name=name_channel)
    for name, platform in lock.platforms.items():
        for kind in ("conda", "wheels"):
            ours, theirs = getattr(platform, kind), getattr(LOCK.platforms[name], kind)
            if kind == "wheels" or form != "pylock":
                assert [(p.name, p.file_name, p.sha256) for p in ours] == [
                    (p.name, p.file_name, p.sha256) for p in theirs
                ]
    format_lock(lock)


def test_our_own_lock_is_imported_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(format_lock(LOCK))
    assert import_lock(path) == LOCK


@pytest.mark.parametrize("form", ONE_PLATFORM)
def test_formats_of_one_platform_need_one(form: Format) -> None:
    with pytest.raises(UsageError, match="holds one platform") as caught:
        export_lock(LOCK, form, conda_address, wheel_address)
    assert "linux-64, osx-arm64" in (caught.value.remedy or "")


def test_a_platform_that_is_not_locked_cannot_be_exported() -> None:
    with pytest.raises(UsageError, match="no win-64"):
        export_lock(LOCK, "pixi", conda_address, wheel_address, platforms=["win-64"])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"lock_version": 1}', "hermetic"),
        ("# c\n@EXPLICIT\n", "explicit"),
        ('lock-version = "1.0"\n[[packages]]\n', "pylock"),
        ("version = 1\n[[package]]\nname = 'a'\n", "project lock"),
        ('[[package]]\nname = "a"\n[metadata]\nlock-version = "2.0"\n', "project lock"),
        ("version: 6\nenvironments:\n", "pixi"),
        ("version: 3\nmetadata:\npackage:\n", "pixi"),
        ("package:\nmetadata:\nversion: 1\n", "conda-lock"),
        ("metadata:\npackage:\n", "conda-lock"),
        ("name: x\ndependencies:\n- a\n", "spec"),
        ("a==1\n", "spec"),
        ("a @ https://f.example.org/a.whl\n", "spec"),
        ("", ""),
        ("hello\n", ""),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no lock that hermetic knows"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"version = 1\n[[package]]\n", "project manager"),
        (b"version: 99\npackages: []\n", "it says version 99"),
        (b"version: 1\nmetadata: {a\nb: [\n", r"lock:3: .*no lock that hermetic knows: it is no YAML"),
    ],
)
def test_other_files_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(data)
    with pytest.raises(LockFileError) as caught:
        import_lock(path)
    assert re.search(message, str(caught.value))
    assert caught.value.place
    assert caught.value.place.file == str(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LockFileError, match="no such file"):
        import_lock(tmp_path / "absent")
    with pytest.raises(MachineError):
        import_lock(tmp_path)


def test_a_byte_order_mark_of_another_tool_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbf" + exported("conda-lock").encode())
    assert sorted(import_lock(path).platforms) == ["linux-64", "osx-arm64"]


JUNK = [
    "[" * 5000,
    "{" * 5000,
    "environments: " + "[" * 5000,
    "a: &a [*a]\nenvironments: *a\n",
    "metadata: !!python/object:os.x {}\npackage: 1\n",
    "version: 1\nmetadata: {}\npackage: []\n",
    "environments:\n  default: null\nversion: 6\n",
    "lock-version = '1.0'\npackages = [[]]\n",
    "@EXPLICIT\n\x00\n",
    "version: 1e999\nmetadata: 1\npackage: 2\n",
    "metadata: 2001-99-99\npackage: 1\n",
]


@pytest.mark.parametrize("text", JUNK)
def test_junk_never_gives_a_traceback(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(HermeticError):
        import_lock(path)


def plain_address(package: CondaPackage) -> str:
    """Give an address that is one, also for a channel that is named by its own."""
    return f"https://conda.example.org/channel/{package.subdir}/{package.file_name}"


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(locks())
def test_the_exports_of_any_lock_hold_all_its_packages(lock: Lock) -> None:
    """Whatever stands in versions, builds and licences, nothing breaks out of its place in the text."""
    wheels = {(w.name, w.version) for p in lock.platforms.values() for w in p.wheels}
    pylock = tomllib.loads(export_lock(lock, "pylock", conda_address, wheel_address))
    assert {(p["name"], p["version"]) for p in pylock.get("packages", [])} == wheels
    conda = {(p.name, p.sha256) for platform in lock.platforms.values() for p in platform.conda if p.md5}
    sound = replace(
        lock,
        platforms={n: replace(p, conda=tuple(c for c in p.conda if c.md5)) for n, p in lock.platforms.items()},
    )
    value = yaml.safe_load(export_lock(sound, "conda-lock", plain_address, wheel_address))
    assert {(p["name"], p["hash"]["sha256"]) for p in value["package"] if p["manager"] == "conda"} == conda
