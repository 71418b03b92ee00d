"""An update as text and as Markdown: titles, folding, and text from channels that means nothing to a forge."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from hermetic.lock.diff import Move
from hermetic.lock.held import Held, Hold
from hermetic.lock.updates import Cause, PackageMove, PlatformUpdate, Reason
from hermetic.project.updating import EnvironmentUpdate
from hermetic.report.updates import title, updates_markdown, updates_text, updates_value

LINUX = PlatformUpdate("linux-64", "a" * 64, "b" * 64, 1_000_000, 3_500_000, 2_600_000, (("variable A", "", "x|y"),))
MAC = PlatformUpdate("osx-arm64", "c" * 64, "c" * 64, 1_000_000, 1_000_000, 0)


def move(name: str, old: str = "1.0", new: str = "2.0", *, kind: Move = Move.UP, **more: object) -> PackageMove:
    values: dict[str, object] = {
        "level": "major" if kind is Move.UP else "", "direct": True, "reasons": (Reason(Cause.ASKED),),
        "platforms": ("linux-64", "osx-arm64"), "sizes": (("linux-64", 500, 900), ("osx-arm64", 500, 1200)), **more,
    }  # fmt: skip
    return PackageMove(kind, name, "conda", old, new, **values)  # type: ignore[arg-type]


def update(
    *moves: PackageMove, name: str = "default", held: tuple[Held, ...] = (), **more: object
) -> EnvironmentUpdate:
    values: dict[str, object] = {"first": False, "changed": bool(moves), "dates": ("", ""), **more}
    path = f"lockfiles/{name}.lock.json"
    return EnvironmentUpdate(name, path, moves=moves, platforms=(LINUX, MAC), held=held, **values)  # type: ignore[arg-type]


def test_titles() -> None:
    pulled = move("lib", direct=False, reasons=(Reason(Cause.NEEDED, "app 2.0"),))
    assert title([update()]) == "Nothing to update"
    assert title([update(move("app"), pulled)]) == "Update app from 1.0 to 2.0"
    assert title([update(move("app")), update(name="train")]) == "Update app from 1.0 to 2.0 in default"
    assert title([update(move("app")), update(move("app"), name="train")]) == "Update app from 1.0 to 2.0"
    assert title([update(move("app"), move("b"), pulled)]) == "Update app and b"
    assert title([update(*(move(letter) for letter in "abcd"))]) == "Update a, b, c and d"
    assert title([update(*(move(letter) for letter in "abcdef"))]) == "Update a, b, c and 3 packages more"
    added = move("n", "", "1.0", kind=Move.ADDED, reasons=(Reason(Cause.REQUIREMENT, requirement="n"),))
    assert title([update(added)]) == "Add n"
    assert title([update(pulled)]) == "Update lib from 1.0 to 2.0"
    assert title([update(changed=True)]) == "Lock again what is declared"
    assert title([update(added, first=True)]) == "Lock default"


def test_platforms_are_folded_and_sizes_are_ranges() -> None:
    said = updates_markdown([update(move("app"), move("mac", platforms=("osx-arm64",), sizes=(("osx-arm64", 9, 9),)))])
    assert "| **`app`** | `1.0` | `2.0` | **major** | 900 B to 1.2 kB (+400 B to +700 B) | all | asked for |" in said
    assert "| **`mac`** | `1.0` | `2.0` | **major** | 9 B | osx-arm64 | asked for |" in said
    assert "| linux-64 | 2.6 MB | 3.5 MB (+2.5 MB) | `aaaaaaaaaaaa` → `bbbbbbbbbbbb` |" in said
    assert "| osx-arm64 | 0 B | 1.0 MB | `cccccccccccc` |" in said
    assert "- linux-64: variable A: `none` → `x|y`" in said


def test_many_that_nobody_declared_are_folded_away() -> None:
    others = [move(f"lib{n}", direct=False) for n in range(13)]
    said = updates_markdown([update(move("app"), *others)])
    shown, _, hidden = said.partition("<details>")
    assert "app" in shown
    assert "lib3" not in shown
    assert "<summary>13 packages that others pulled along</summary>\n\n| Package" in hidden
    assert "<details>" not in updates_markdown([update(move("app"), *others[:12])])


def test_a_file_that_was_replaced_is_no_common_move() -> None:
    said = updates_markdown([update(move("app", "1.0", "1.0", kind=Move.CONTENT))])
    assert "| **other bytes** |" in said
    assert "- `app` `1.0`: the same file's name has other bytes now: ask its publisher why" in said


def test_what_is_held_back_is_told_though_nothing_moved() -> None:
    held = Held("tool", "1.0", "2.0", (Hold("x 1", "tool <2"), Hold()), ("linux-64",))
    line = (
        "`tool` stays at `1.0` on linux-64, though there is `2.0`: `x 1` needs `tool <2`; "
        "the requirements, taken together, leave no room for it"
    )
    assert f"- {line}" in updates_markdown([update(held=(held,))])
    assert line.replace("`", "") in updates_text([update(held=(held,))])
    assert updates_value([update(held=(held,))])["changed"] is False


@given(st.text(st.characters(codec="utf-8")), st.text("|`*@#<>[]\\\n_ab"))
def test_no_text_of_a_channel_leaves_its_code_span_or_its_cell(version: str, requirement: str) -> None:
    reasons = (Reason(Cause.NEEDED, f"lib {version}", f"x {requirement}"),)
    said = updates_markdown([update(move("app", version or "1", requirement or "2", reasons=reasons))])
    (row,) = [line for line in said.splitlines() if line.startswith("| **`app`**")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 8 - 1
    assert row.count("`") % 2 == 0
    assert "@" not in re.sub(r"`[^`]*`", "", row)
