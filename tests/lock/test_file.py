"""The lockfile: byte-stable, small in diffs, and anything but what was written is refused with file and line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from lock_samples import IMAGE, IMAGED, JSON, LOCK, SPEC, changed, conda, locks, wheel, with_image

from hermetic.digest import key, pretty_json
from hermetic.errors import IntegrityError, LockFileError, MachineError
from hermetic.lock import shape
from hermetic.lock.file import (
    format_lock,
    lock_from_dict,
    lock_to_dict,
    parse_lock,
    read_keys,
    read_lock,
    write_lock,
)
from hermetic.lock.model import Lock

SCHEMA = Draft202012Validator(json.loads(files("hermetic.lock").joinpath("schema/lock-v1.schema.json").read_text()))
TEXT = format_lock(LOCK)
IMAGED_TEXT = format_lock(IMAGED)


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "lockfiles" / "demo.lock.json"
    write_lock(LOCK, path)
    assert read_lock(path) == LOCK
    assert path.read_text() == TEXT


@settings(deadline=None)
@given(locks())
def test_any_lock_survives_the_file_and_fits_the_schema(lock: Lock) -> None:
    text = format_lock(lock)
    again = parse_lock(text)
    assert again == lock
    assert format_lock(again) == text
    SCHEMA.validate(json.loads(text))


def test_the_file_is_sorted_indented_json_with_a_final_newline() -> None:
    assert pretty_json(json.loads(TEXT)) == TEXT


def test_the_bytes_do_not_depend_on_hash_seed_or_order(tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lock_samples as s; from hermetic.lock.file import *\n"
    code += "sys.stdout.write(format_lock(s.LOCK))"
    helpers = str(Path(__file__).parent.parent / "helpers")
    for seed in ("1", "2"):
        out = subprocess.run(
            [sys.executable, "-c", code, helpers],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, cwd=tmp_path,
        )  # fmt: skip
        assert out.stdout == TEXT.encode()
    backwards = replace(LOCK, platforms=dict(reversed(LOCK.platforms.items())))
    assert format_lock(backwards) == TEXT
    linux = LOCK.platforms["linux-64"]
    shuffled = replace(linux, conda=linux.conda[::-1], wheels=linux.wheels[::-1])
    assert format_lock(replace(LOCK, platforms={**LOCK.platforms, "linux-64": shuffled})) == TEXT


def test_a_bumped_package_moves_its_own_lines_and_two_digests() -> None:
    bumped = format_lock(changed(LOCK, "linux-64", conda("tzdata", "2024b", subdir="noarch", noarch="generic")))
    moved = [b for a, b in zip(TEXT.splitlines(), bumped.splitlines(), strict=True) if a != b]
    assert {line.split('"')[1] for line in moved} == {"content", "key", "version", "file_name", "sha256", "md5"}


def test_what_has_its_default_is_left_out() -> None:
    assert set(lock_to_dict(LOCK)["platforms"]["linux-64"]["wheels"]["certifi"]) == {
        "version", "file_name", "sha256", "size",
    }  # fmt: skip


def test_an_image_adds_its_own_lines_and_changes_the_content_digest_only() -> None:
    """A lock without one has the text that it always had; the key is the environment's, with or without an image."""
    assert '"image"' not in TEXT
    with_it, without = IMAGED_TEXT.splitlines(), TEXT.splitlines()
    gone = [line for line in without if line not in with_it]
    assert [line.split('"')[1] for line in gone] == ["content"]
    assert parse_lock(IMAGED_TEXT).platforms["linux-64"].image == IMAGE
    assert IMAGED.platforms["linux-64"].key() == LOCK.platforms["linux-64"].key()


def test_the_order_of_layers_is_kept_and_that_of_the_base_s_packages_does_not_count() -> None:
    backwards = replace(IMAGE, layers=IMAGE.layers[::-1])
    again = parse_lock(format_lock(with_image(LOCK, backwards))).platforms["linux-64"].image
    assert again
    assert [layer.name for layer in again.layers] == ["own", "numpy", "python"]
    assert again.layers[2].packages == ("python", "libzlib", "tzdata")
    shuffled = replace(IMAGE, base=replace(IMAGE.base, packages=IMAGE.base.packages[::-1]))
    assert format_lock(with_image(LOCK, shuffled)) == IMAGED_TEXT


def test_a_moved_layer_moves_few_lines() -> None:
    layers = (replace(IMAGE.layers[0], packages=("python", "libzlib")), *IMAGE.layers[1:])
    moved = format_lock(with_image(LOCK, replace(IMAGE, layers=layers))).splitlines()
    assert len([line for line in moved if line not in IMAGED_TEXT.splitlines()]) <= 2  # "libzlib" loses its comma


def test_a_lock_that_readers_would_refuse_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "x.lock.json"
    linux = LOCK.platforms["linux-64"]
    twice = replace(LOCK, platforms={"linux-64": replace(linux, conda=linux.conda[:1] * 2)})
    escape = changed(LOCK, "linux-64", replace(linux.conda[0], file_name="../evil.conda"))
    secret = changed(LOCK, "linux-64", replace(linux.conda[0], channel="https://me:hunter2@conda.example.org/x"))
    package = IMAGE.base.packages[0]
    two_of_a_name = with_image(LOCK, replace(IMAGE, base=replace(IMAGE.base, packages=(package, package))))
    login = with_image(LOCK, replace(IMAGE, base=replace(IMAGE.base, reference="me:hunter2@registry.example.org/x")))
    for lock in (two_of_a_name, login, twice, escape, secret, replace(LOCK, version=2)):
        with pytest.raises(ValueError):
            write_lock(lock, path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path) -> None:
    path = tmp_path / "x.lock.json"
    path.write_text("{}")
    path.chmod(0o640)
    link = tmp_path / "link.lock.json"
    link.symlink_to("x.lock.json")
    write_lock(LOCK, link)
    assert link.is_symlink()
    assert read_lock(path) == LOCK
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.lock.json", "x.lock.json"]


def test_the_same_bytes_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "x.lock.json"
    write_lock(LOCK, path)
    os.utime(path, (1, 1))
    write_lock(LOCK, path)
    assert path.stat().st_mtime == 1


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.lock.json"
    path.mkdir()
    with pytest.raises(MachineError) as caught:
        write_lock(LOCK, path)
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_keys_are_read_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.lock.json"
    write_lock(LOCK, path)
    assert read_keys(path) == {name: platform.key() for name, platform in LOCK.platforms.items()}


def test_reading_imports_no_solver_and_no_schema_library(tmp_path: Path) -> None:
    path = tmp_path / "x.lock.json"
    write_lock(LOCK, path)
    code = "import sys; from hermetic.lock.file import read_lock; read_lock(sys.argv[1]); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert not {"rattler", "conda_lock", "jsonschema", "yaml", "packaging", "xxhash"} & set(out.stdout.split())


# --- edited by hand, merged ---------------------------------------------------------------------------------


def set_at(value: Any, path: tuple[Any, ...], item: Any) -> Any:
    """Give JSON values with one changed; an item of None drops the key."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    if item is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = item
    return copy


NUMPY = ("platforms", "linux-64", "conda", "numpy")
EDITS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a digest": ((*NUMPY, "sha256"), "0" * 64),
    "an edge": ((*NUMPY, "depends"), ["python"]),
    "a size": ((*NUMPY, "size"), 5),
    "a licence": ((*NUMPY, "license"), "MIT"),
    "a version": ((*NUMPY, "version"), "1.26.5"),
    "a build number": ((*NUMPY, "build_number"), 7),
    "purls": ((*NUMPY, "purls"), None),
    "a package dropped": (NUMPY, None),
    "a wheel's origin": (("platforms", "linux-64", "wheels", "tiny", "origin", "commit"), "f" * 40),
    "a wheel's index": (("platforms", "linux-64", "wheels", "certifi", "index"), "https://index.example.org/simple"),
    "a variable": (("platforms", "linux-64", "variables", "OMP_NUM_THREADS"), "2"),
    "a virtual package": (("platforms", "linux-64", "virtual_packages", 1), "__glibc=2.99=0"),
    "the spec": (("spec", "channels"), ["other"]),
    "the moment": (("exclude_newer",), "2024-01-01T00:00:00Z"),
    "a base": (("platforms", "linux-64", "image", "base", "reference"), "debian:12"),
    "a base's package": (("platforms", "linux-64", "image", "base", "packages", "libstdc++6", "size"), 5),
    "a layer": (("platforms", "linux-64", "image", "layers", 0, "packages"), ["python"]),
    "the order of layers": (
        ("platforms", "linux-64", "image", "layers"),
        json.loads(IMAGED_TEXT)["platforms"]["linux-64"]["image"]["layers"][::-1],
    ),
    "an image dropped": (("platforms", "linux-64", "image"), None),
    "another key": (("platforms", "linux-64", "key"), "1" * 64),
    "another content": (("platforms", "linux-64", "content"), "1" * 64),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_by_hand_is_told(name: str) -> None:
    text = pretty_json(set_at(json.loads(IMAGED_TEXT), *EDITS[name]))
    with pytest.raises(IntegrityError, match="edited by hand or merged") as caught:
        parse_lock(text, "demo.lock.json")
    error = caught.value
    assert error.exit_status == 5
    assert error.place
    assert error.place.line
    assert any(word in text.splitlines()[error.place.line - 1] for word in ("key", "content", "spec_digest"))
    assert "hermetic lock" in (error.remedy or "")
    parse_lock(text, verify=False)  # still good for taking pins from


def test_an_edit_with_a_new_key_is_told_by_the_content_digest() -> None:
    value = set_at(json.loads(TEXT), (*NUMPY, "sha256"), "0" * 64)
    linux = LOCK.platforms["linux-64"]
    numpy = next(p for p in linux.conda if p.name == "numpy")
    forged = changed(LOCK, "linux-64", replace(numpy, sha256="0" * 64)).platforms["linux-64"].key()
    with pytest.raises(IntegrityError, match="digest"):
        lock_from_dict(set_at(value, ("platforms", "linux-64", "key"), forged))


def test_a_merge_of_two_branches_is_told_though_every_line_came_from_a_sound_lock() -> None:
    """Ours added a variable on one platform, theirs a requirement: the merge holds both and was never solved."""
    theirs = lock_to_dict(replace(LOCK, spec={**LOCK.spec, "conda": [{"match": "xz"}]}))
    ours = lock_to_dict(LOCK)
    merged = {**ours, "spec": theirs["spec"], "spec_digest": theirs["spec_digest"]}
    with pytest.raises(IntegrityError, match="merged"):
        lock_from_dict(merged)


def test_the_spec_is_known_by_its_own_digest() -> None:
    assert lock_to_dict(LOCK)["spec_digest"] == SPEC.digest()


def test_layout_does_not_count() -> None:
    assert parse_lock(json.dumps(json.loads(TEXT))) == LOCK
    assert parse_lock(TEXT.replace("\n", "\r\n")) == LOCK


# --- no lockfile ----------------------------------------------------------------------------------------------

CONFLICT = TEXT.replace('  "lock_version"', '<<<<<<< HEAD\n  "a": 1,\n=======\n  "b": 2,\n>>>>>>> x\n  "lock_version"')
LINE = TEXT.splitlines().index('  "lock_version": 1,') + 1


def edit(old: str, new: str) -> Callable[[], bytes]:
    assert old in TEXT
    return lambda: TEXT.replace(old, new, 1).encode()


BAD: dict[str, tuple[Callable[[], bytes], str, int | None]] = {
    "empty": (lambda: b"", "cut off", 1),
    "truncated": (lambda: TEXT.encode()[: len(TEXT) // 2], "cut off|not JSON", -1),
    "truncated in a string": (lambda: TEXT.encode()[:40], "cut off|Unterminated", -1),
    "no JSON": (lambda: b"channels:\n  - demo\n", "not JSON", 1),
    "merge conflict": (CONFLICT.encode, "merge conflict", LINE),
    "key twice": (edit('  "lock_version": 1,', '  "lock_version": 1,\n  "lock_version": 1,'), "stands twice", LINE + 1),
    "latin-1": (lambda: b'{\n"lock_version": 1, "x": "\xe9"}', "UTF-8", 2),
    "UTF-16": (lambda: TEXT.encode("utf-16"), "UTF-8", 1),
    "BOM": (lambda: b"\xef\xbb\xbf" + TEXT.encode(), "byte order mark", 1),
    "half a character": (edit('"lock_version"', '"\\ud800": 1, "lock_version"'), "half a character", None),
    "float": (edit('"lock_version": 1', '"lock_version": 1.0'), "1.0 is no whole number", None),
    "NaN": (edit('"lock_version": 1', '"lock_version": NaN'), "NaN", None),
    "a number of 5000 digits": (edit('"lock_version": 1', '"lock_version": 1' + "0" * 5000), "not a lock", None),
    "deep": (lambda: b'{"lock_version": ' + b"[" * 100_000, "too deeply", None),
    "a list": (lambda: b"[]", "no hermetic lockfile", 1),
    "another JSON file": (lambda: b'{"name": "x"}', "no hermetic lockfile", 1),
    "newer": (edit('"lock_version": 1', '"lock_version": 2'), "version 2; this hermetic reads up to 1", LINE),
    "version 0": (edit('"lock_version": 1', '"lock_version": 0'), "whole number from 1", LINE),
    "version true": (edit('"lock_version": 1', '"lock_version": true'), "is true", LINE),
    "unknown key": (
        edit('  "lock_version": 1,', '  "lock_version": 1,\n  "lock_versoin": 1,'),
        "unknown key",
        LINE + 1,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_lockfile_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    make, message, line = BAD[name]
    path = tmp_path / "x.lock.json"
    path.write_bytes(make())
    with pytest.raises(LockFileError, match=message) as caught:
        read_lock(path)
    error = caught.value
    assert error.exit_status == 2
    assert error.remedy
    assert error.place
    assert error.place.file == str(path)
    assert error.place.line == (line if line != -1 else make().decode().count("\n") + 1)


def test_a_lockfile_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LockFileError, match="no such lockfile") as caught:
        read_lock(tmp_path / "x.lock.json")
    assert "hermetic lock" in (caught.value.remedy or "")
    with pytest.raises(MachineError):
        read_lock(tmp_path)


IMAGE_AT = ("platforms", "linux-64", "image")
WRONG: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "no spec": (("spec",), None, "lacks spec"),
    "no platforms": (("platforms",), None, "lacks platforms"),
    "spec a list": (("spec",), [], "spec: must be an object, is a list"),
    "no key": (("platforms", "linux-64", "key"), None, "lacks key"),
    "platform null": (("platforms", "linux-64"), "x", "platforms.linux-64: must be an object"),
    "platform no platform": (("platforms", "Linux 64"), {}, "platforms.Linux 64"),
    "unknown key": ((*NUMPY, "colour"), "red", "conda.numpy.colour: unknown key"),
    "no digest": ((*NUMPY, "sha256"), None, "numpy: lacks sha256"),
    "short digest": ((*NUMPY, "sha256"), "abc", "numpy.sha256: must be a sha256"),
    "upper-case digest": ((*NUMPY, "sha256"), "A" * 64, "must be a sha256"),
    "digest and newline": ((*NUMPY, "sha256"), "0" * 64 + "\n", "must be a sha256"),
    "md5": ((*NUMPY, "md5"), "0" * 31, "must be an md5"),
    "size text": ((*NUMPY, "size"), "5", "numpy.size: must be a whole number"),
    "size negative": ((*NUMPY, "size"), -5, "not negative"),
    "size true": ((*NUMPY, "size"), True, "is true"),
    "depends text": ((*NUMPY, "depends"), "python", "must be a list of strings"),
    "depends numbers": ((*NUMPY, "depends"), ["a", 3], r"numpy.depends\[1\]: must be a string, is 3"),
    "file name out": ((*NUMPY, "file_name"), "../../evil.conda", "bare file name"),
    "file name absolute": ((*NUMPY, "file_name"), "/evil.conda", "bare file name"),
    "file name backslash": ((*NUMPY, "file_name"), "..\\evil.conda", "bare file name"),
    "file name hidden": ((*NUMPY, "file_name"), ".evil.conda", "bare file name"),
    "file name of no archive": ((*NUMPY, "file_name"), "numpy.zip", "conda archive"),
    "wheel of no wheel": (("platforms", "linux-64", "wheels", "tiny", "file_name"), "tiny-1.0.tar.gz", "a wheel"),
    "subdir out": ((*NUMPY, "subdir"), "../linux-64", "conda subdir"),
    "version with a slash": ((*NUMPY, "version"), "../1", "numpy.version"),
    "name with a slash": (("platforms", "linux-64", "conda", "../x"), {}, "package name"),
    "channel with a password": ((*NUMPY, "channel"), "https://me:pw@conda.example.org/x", "credentials"),
    "channel with a token": ((*NUMPY, "channel"), "https://conda.example.org/t/tk-123/x", "credentials"),
    "channel with a query": ((*NUMPY, "channel"), "https://conda.example.org/x?sig=abc", "without query"),
    "url with a fragment": (("platforms", "linux-64", "wheels", "tiny", "url"), "https://e.org/a.whl#x", "fragment"),
    "virtual package": (("platforms", "linux-64", "virtual_packages"), ["glibc=2.28"], r"virtual_packages\[0\]"),
    "variable number": (("platforms", "linux-64", "variables"), {"A": 1}, "variables.A: must be a string"),
    "variable name": (("platforms", "linux-64", "variables"), {"A=B": "1"}, "no name of a variable"),
    "origin": (("platforms", "linux-64", "wheels", "tiny", "origin", "sha256"), "x", "tiny.origin.sha256"),
    "no base": ((*IMAGE_AT, "base"), None, "image: lacks base"),
    "base without a reference": ((*IMAGE_AT, "base", "reference"), None, "lacks reference"),
    "reference with a password": ((*IMAGE_AT, "base", "reference"), "me:pw@registry.example.org/x", "credentials"),
    "reference with a query": ((*IMAGE_AT, "base", "reference"), "registry.example.org/x?sig=abc", "reference"),
    "reference empty": ((*IMAGE_AT, "base", "reference"), "", "reference"),
    "index bare": ((*IMAGE_AT, "base", "index"), "0" * 64, "image's digest"),
    "manifest of another kind": ((*IMAGE_AT, "base", "manifest"), "sha512:" + "0" * 64, "image's digest"),
    "dockerfile": ((*IMAGE_AT, "base", "dockerfile"), "sha256:" + "0" * 64, "must be a sha256"),
    "debian digest": ((*IMAGE_AT, "base", "packages", "base-files", "sha256"), "0", "base-files.sha256"),
    "debian name": ((*IMAGE_AT, "base", "packages", "../x"), {}, "package name"),
    "layers an object": ((*IMAGE_AT, "layers"), {"python": []}, "layers: must be a list, is an object"),
    "layer without packages": ((*IMAGE_AT, "layers", 1, "packages"), None, r"layers\[1\]: lacks packages"),
    "layer's packages": ((*IMAGE_AT, "layers", 1, "packages"), [1], r"layers\[1\].packages\[0\]: must be a string"),
    "unknown key of an image": ((*IMAGE_AT, "colour"), "red", "image.colour: unknown key"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused_by_the_reader_and_by_the_schema(name: str) -> None:
    path, item, message = WRONG[name]
    value = set_at(json.loads(IMAGED_TEXT), path, item)
    text = pretty_json(value)
    with pytest.raises(LockFileError, match=message) as caught:
        parse_lock(text, "demo.lock.json")
    assert caught.value.place
    assert caught.value.place.line
    if item is not None and isinstance(path[-1], str):
        assert f'"{path[-1]}"'.replace("\\", "\\\\") in text.splitlines()[caught.value.place.line - 1] or name in {
            "depends numbers", "virtual package", "variable number", "variable name", "layer's packages",
        }  # fmt: skip
    assert not SCHEMA.is_valid(value)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        found += places(item, (*path, step))
    return found


SOUND = lock_to_dict(IMAGED)
PLACES = [place for place in places(SOUND) if place[0] != "spec"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), JSON)
def test_reader_and_schema_agree_on_any_value_anywhere(place: tuple[Any, ...], item: Any) -> None:
    value = set_at(SOUND, place, item) if item is not None else SOUND
    try:
        lock_from_dict(value, verify=False)
        accepted = True
    except shape.Malformed:
        accepted = False
    assert SCHEMA.is_valid(value) == accepted


@settings(deadline=None)
@given(st.integers(0, len(TEXT.encode()) - 1), st.integers(0, 255))
def test_a_changed_byte_never_passes_unnoticed_and_never_gives_a_traceback(position: int, byte: int) -> None:
    data = bytearray(TEXT.encode())
    data[position] = byte
    try:
        lock = parse_lock(bytes(data), "x")
    except (LockFileError, IntegrityError):
        return
    assert lock == LOCK


def test_the_key_names_what_decides_the_bytes_and_nothing_else() -> None:
    linux = LOCK.platforms["linux-64"]
    numpy = next(p for p in linux.conda if p.name == "numpy")
    same = replace(numpy, depends=(), license="MIT", size=1, timestamp=5, categories=("dev",), purls=())
    assert changed(LOCK, "linux-64", same).platforms["linux-64"].key() == linux.key()
    for other in (replace(numpy, sha256="0" * 64), replace(numpy, channel="other"), wheel("tiny", "1.1")):
        assert changed(LOCK, "linux-64", other).platforms["linux-64"].key() != linux.key()
    assert linux.key() == key(
        "environment/1",
        {
            "platform": "linux-64",
            "conda": [[p.channel, p.subdir, p.file_name, p.sha256] for p in linux.conda],
            "wheels": [[w.file_name, w.sha256] for w in linux.wheels],
            "variables": {"OMP_NUM_THREADS": "1"},
        },
    )


def test_the_documented_example_is_a_lock_to_the_byte() -> None:
    page = (Path(__file__).parents[2] / "docs" / "lock-format.md").read_text()
    example = page.partition("```json\n")[2].partition("```")[0]
    lock = parse_lock(example)
    assert format_lock(lock) == example
    assert lock.platforms["linux-64"].wheels[1].requires == ("certifi",)


def test_the_digests_are_computed_as_documented() -> None:
    """By hand, from the page: with nothing but a JSON library and sha256."""

    def digest(domain: str, value: Any) -> str:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return sha256(domain.encode() + b"\0" + text.encode()).hexdigest()

    value = json.loads(TEXT)
    assert value["spec_digest"] == digest("spec/1", value["spec"])
    for platform, lock in value["platforms"].items():
        conda = [[p["channel"], p["subdir"], p["file_name"], p["sha256"]] for _, p in sorted(lock["conda"].items())]
        wheels = [[w["file_name"], w["sha256"]] for _, w in sorted(lock["wheels"].items())]
        inputs = {"platform": platform, "conda": conda, "wheels": wheels, "variables": lock["variables"]}
        assert lock["key"] == digest("environment/1", inputs)
        rest = {name: item for name, item in lock.items() if name != "content"}
        assert lock["content"] == digest("lock-content/1", [value["spec_digest"], "", rest])
