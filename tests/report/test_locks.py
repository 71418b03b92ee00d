"""Differences, moves and findings as a person reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lock_samples import IMAGE, LOCK, REGISTRY_BASE, SPEC, changed, conda, wheel, with_image

from hermetic.errors import Place
from hermetic.lock.check import Finding, check
from hermetic.lock.diff import diff
from hermetic.project.checking import LockCheck
from hermetic.project.locking import LockOutcome
from hermetic.report.locks import checks_text, checks_value, diff_text, findings_text, outcome_text
from hermetic.spec.model import CondaRequirement

LINUX = LOCK.platforms["linux-64"]
NUMPY = next(p for p in LINUX.conda if p.name == "numpy")
NEW = changed(
    LOCK,
    "linux-64",
    replace(NUMPY, version="1.27.0", sha256="0" * 64, size=2_500_000),
    replace(LINUX.conda[0], channel="other"),
    conda("python", "3.11.8", "libzlib >=1.3,<2.0a0", "tzdata"),
    conda("python_abi", "3.11", build="2_cp311"),
    conda("xz", "5.4.6"),
    replace(LINUX.wheels[0], sha256="1" * 64),
    replace(LINUX.wheels[1], categories=("main",)),
    drop=("tiny",),
)


def test_every_kind_of_move_has_its_line() -> None:
    assert diff_text(diff(LOCK, NEW)).splitlines() == [
        "linux-64  2.5 MB to fetch",
        "  ~  certifi     2024.7.4  other bytes: 9d53f0c8d3b1 -> 111111111111".replace(
            "9d53f0c8d3b1", LINUX.wheels[0].sha256[:12]
        ),
        "  ~  fast        2.0  same bytes, other details",
        "  ~  libzlib     1.3.1  from demo -> other",
        "  ~  numpy       1.26.4 -> 1.27.0",
        "  ~  python      3.11.9 -> 3.11.8  (down)",
        "  ~  python_abi  3.11  1_cp311 -> 2_cp311",
        "  -  tiny        1.0 (pip)",
        "  +  xz          5.4.6 h1_0 (demo)",
    ]


def test_a_base_that_moved_is_a_line_with_short_digests() -> None:
    old = with_image(LOCK, replace(IMAGE, base=REGISTRY_BASE))
    new = with_image(LOCK, replace(IMAGE, base=replace(REGISTRY_BASE, manifest="sha256:" + "e" * 64)))
    was = "team/base:1 index sha256:cccccccccccc, manifest sha256:"
    assert diff_text(diff(old, new)).splitlines() == [
        "linux-64",
        f"  ~  base  {was}dddddddddddd -> {was}eeeeeeeeeeee",
    ]


def test_no_differences() -> None:
    assert diff_text(diff(LOCK, LOCK)) == "no differences"


def test_platforms_that_differ_in_the_same_way_stand_together() -> None:
    both = changed(changed(LOCK, "linux-64", drop=("tiny",)), "osx-arm64", drop=("tiny",))
    assert diff_text(diff(LOCK, both)) == "linux-64, osx-arm64\n  -  tiny  1.0 (pip)"


def test_a_move_between_conda_and_pip_is_one_line() -> None:
    there = changed(LOCK, "linux-64", wheel("numpy", "1.26.4"), drop=("numpy",))
    there = replace(there, platforms={"linux-64": replace(
        there.platforms["linux-64"], wheels=(*there.platforms["linux-64"].wheels, wheel("numpy", "1.26.4"))
    )})  # fmt: skip
    text = diff_text(diff(replace(LOCK, platforms={"linux-64": LINUX}), there))
    assert "~  numpy  1.26.4 py311h1_0 (demo) -> 1.26.4 (pip)" in text


def test_colours_only_paint() -> None:
    plain, painted = diff_text(diff(LOCK, NEW)), diff_text(diff(LOCK, NEW), colour=True)
    assert "\033[32m" in painted
    for code in ("0", "1", "2", "31", "32", "33"):
        painted = painted.replace(f"\033[{code}m", "")
    assert painted == plain


def outcome(old: object, new: object, *, first: bool = False) -> LockOutcome:
    path = Path("lockfiles/default.lock.json")
    return LockOutcome("default", path, new, diff(old, new), first)  # type: ignore[arg-type]


def test_what_locking_came_to() -> None:
    total = sum(p.size for p in LINUX.conda) + sum(w.size for w in LINUX.wheels)
    chosen = "numpy 1.26.4, python 3.11.9, requests 2.32.3, tiny 1.0"
    assert outcome_text(outcome(None, replace(LOCK, platforms={"linux-64": LINUX}), first=True)).splitlines() == [
        "default: lockfiles/default.lock.json is made",
        f"  linux-64: 5 conda packages and 4 wheels, {total / 1000:.1f} kB: {chosen}",
    ]
    assert outcome_text(outcome(LOCK, LOCK)).startswith(
        "default: lockfiles/default.lock.json: nothing moved (linux-64:"
    )
    moved = outcome_text(outcome(replace(LOCK, platforms={"linux-64": LINUX}), NEW)).splitlines()
    assert moved[1].startswith("  osx-arm64 is new: 5 conda packages and 4 wheels")
    assert "    ~  numpy       1.26.4 -> 1.27.0" in moved
    assert "  platform osx-arm64 was removed" in outcome_text(
        outcome(LOCK, replace(LOCK, platforms={"linux-64": LINUX}))
    )


def test_findings_have_their_places_and_remedies() -> None:
    findings = [
        Finding("a", "numpy changed", place=Place("environment.yml", 7)),
        Finding("b", "xz is not locked", "linux-64"),
        Finding("c", "platform win-64 is not locked", "win-64", remedy="lock it"),
    ]
    assert findings_text(findings).splitlines() == [
        "environment.yml:7: numpy changed",
        "xz is not locked (linux-64)",
        "platform win-64 is not locked",
        "  lock it",
    ]


def test_checks_say_what_fits_and_how_to_mend_the_rest() -> None:
    spec = replace(SPEC, conda=(*SPEC.conda, CondaRequirement("xz", "xz")))
    checks = [LockCheck("a", "a.lock.json"), LockCheck("b", "b.lock.json", check(spec, LOCK))]
    assert checks_text(checks).splitlines() == [
        "a: a.lock.json fits its spec",
        "b: b.lock.json does not fit its spec",
        "  conda requirement xz was added",
        "bring it up to date with: hermetic lock b",
    ]
    assert checks_value(checks)["fits"] is False
    assert checks_value(checks[:1])["fits"] is True
