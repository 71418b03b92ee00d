"""Locks that were edited, merged, cut short or made by a later version: refused with the line, built never."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.desk import Desk, snapshot, take

Damage = Callable[[str], str | bytes]


@pytest.fixture
def desk(tmp_path: Path, goods: Path, locked: Path) -> Desk:
    """A machine with the locked project, and no index."""
    desk = Desk(tmp_path)
    desk.shops(goods / "channel", "http://127.0.0.1:9")
    return take(locked, desk)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def with_value(pattern: str, new: str) -> Damage:
    """Replace the first value that ``pattern`` finds."""
    return lambda text: re.sub(pattern, new, text, count=1)


def merged(text: str) -> str:
    lines = text.splitlines(keepends=True)
    middle = len(lines) // 2
    return "".join([*lines[:middle], "<<<<<<< HEAD\n", lines[middle], "=======\n", lines[middle], ">>>>>>> theirs\n"])


MALFORMED: dict[str, tuple[Damage, str]] = {
    "cut short": (lambda text: text[: len(text) // 2], r":\d+: "),
    "empty": (lambda text: "", ""),
    "not text": (lambda text: b"\xff\xfe\x00", r":\d+: .*UTF-8"),
    "a merge is not finished": (merged, r":\d+: .*merge"),
    "a comma too many": (lambda text: text.replace('"\n', '",\n', 1), r":\d+: "),
    "a key stands twice": (lambda text: text.replace('"platforms"', '"platforms": {},\n  "platforms"', 1), r":\d+: "),
    "a list at the top": (lambda text: f"[{text}]", ""),
    "another JSON": (lambda text: '{"name": "x", "lockfileVersion": 3}\n', ""),
    "nested without end": (lambda text: "[" * 100_000, ""),
    "a number that is none": (with_value(r'"size": \d+', '"size": NaN'), ": .*NaN"),
    "a digest cut short": (with_value(r'"sha256": "[0-9a-f]{8}', '"sha256": "'), r":\d+: "),
    "a size below nothing": (with_value(r'"size": \d+', '"size": -1'), r":\d+: "),
    "a file outside of the channel": (with_value(r'"file_name": "app', '"file_name": "../../app'), r":\d+: "),
    "a subdir outside of the channel": (with_value(r'"subdir": "noarch', '"subdir": "../noarch'), r":\d+: "),
    "packages are a list": (lambda text: json.dumps({**json.loads(text), "platforms": []}), ""),
}


@pytest.mark.parametrize(("damage", "says"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_lock_that_cannot_be_read(desk: Desk, damage: Damage, says: str) -> None:
    text = desk.lock.read_text()
    spoilt = damage(text)
    assert spoilt != text
    desk.lock.write_bytes(spoilt.encode() if isinstance(spoilt, str) else spoilt)
    before = snapshot(desk.project)
    result = desk("build", status=2)
    assert re.search(f"default.lock.json{says}", result.stderr), result.stderr
    assert re.search("`hermetic lock`|restore it", result.stderr)
    assert len(result.stderr) < 2000
    assert snapshot(desk.project) == before


@pytest.mark.parametrize(
    "verb", ["lock --check", "tree", "why app", "export -f explicit", "diff default default", "run default -- true"]
)
def test_every_verb_refuses_it_alike(desk: Desk, verb: str) -> None:
    desk.lock.write_text(merged(desk.lock.read_text()))
    before = snapshot(desk.project)
    result = desk(*verb.split(), status=2)
    assert "default.lock.json:" in result.stderr
    assert "hermetic lock" in result.stderr
    assert snapshot(desk.project) == before


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (r'"version": "2\.0"', '"version": "9.9"'),
        (r'("sha256": ")[0-9a-f]{8}', r"\g<1>00000000"),
        (r'("file_name": ")app-2\.0', r"\g<1>app-1.0"),
        (r'"channel": "shop"', '"channel": "elsewhere"'),
        (r'"size": (\d+)', r'"size": 1\1'),
        (r'"(__glibc=[^"]*)"', r'"\g<1>9"'),
    ],
)
def test_a_lock_edited_by_hand_is_told_from_one_that_was_locked(desk: Desk, part: str, other: str) -> None:
    text = desk.lock.read_text()
    edited = re.sub(part, other, text, count=1)
    assert edited != text
    desk.lock.write_text(edited)
    for verb in ("build", "build --locked", "lock --check", "run default -- true"):
        result = desk(*verb.split(), status=5)
        assert re.search(r"default\.lock\.json:\d+: ", result.stderr), result.stderr
        assert "hermetic lock" in result.stderr
    assert not desk.prefix.exists()
    assert desk.lock.read_text() == edited


def test_a_newer_lock_asks_for_a_newer_hermetic(desk: Desk) -> None:
    text = desk.lock.read_text()
    value = json.loads(text)
    number = next(name for name, item in value.items() if isinstance(item, int))
    desk.lock.write_text(text.replace(f'"{number}": {value[number]}', f'"{number}": {value[number] + 1}'))
    newer = desk.lock.read_text()
    for verb in ("build", "lock --check", "tree", "lock", "lock --update app", "add spare"):
        before = snapshot(desk.project)
        result = desk(*verb.split(), status=2)
        assert re.search(r"default\.lock\.json:\d+: .*\n.*newer hermetic", result.stderr), (verb, result.stderr)
        assert snapshot(desk.project) == before
    assert desk.lock.read_text() == newer


def test_locking_again_mends_every_damage(desk: Desk) -> None:
    text = desk.lock.read_text()
    desk.declare("python", "app")  # no wheels: the index is not there
    for damage in (merged, lambda text: text[:100], lambda text: text.replace('"2.0"', '"9.9"', 1)):
        desk.lock.write_text(damage(text))
        desk("lock")
        desk("lock", "--check")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("conda-lock.yml", "version: 1\npackage:\n  - name: [numpy\n", 3),
        ("conda-lock.yml", "version: 1\nmetadata: {}\npackage: numpy\n", None),
        ("pixi.lock", "version: 6\nenvironments:\n\tdefault: {}\n", 3),
        ("pylock.toml", 'lock-version = "1.0"\n[[packages]\n', 2),
        ("requirements.txt", "requests==2.0 --hash=sha256:abc\n", 1),
        ("explicit.txt", "@EXPLICIT\nhttps://example.org/c/noarch/app.conda\n", 2),
    ],
)
def test_a_foreign_lock_that_cannot_be_read(desk: Desk, name: str, content: str, line: int | None) -> None:
    (desk.project / name).write_text(content)
    before = snapshot(desk.project)
    result = desk("import", name, "--name", "other", status=2)
    assert f"{name}:{line}: " if line else name in result.stderr, result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2
    assert snapshot(desk.project) == before
