"""Why packages move, what moves alike, and how far."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from lock_samples import LOCK, changed, conda, locks, platform_lock, wheel

from hermetic.lock.diff import Move
from hermetic.lock.model import CondaPackage, Lock, Wheel
from hermetic.lock.updates import Cause, PackageMove, Reason, level, package_moves, platform_updates
from hermetic.spec.model import CondaRequirement, PipRequirement, Spec

SPEC_OF_TWO = Spec(
    channels=("demo",), conda=(CondaRequirement("app", "app"),), pip=(PipRequirement("web"),), platforms=("linux-64",)
)


def lock(*packages: CondaPackage | Wheel, spec: Spec = SPEC_OF_TWO, **more: str) -> Lock:
    return Lock(spec.to_dict(), {"linux-64": platform_lock("linux-64", *packages)}, **more)  # type: ignore[arg-type]


def moved(old: Lock | None, new: Lock, *update: str) -> dict[str, tuple[Reason, ...]]:
    return {move.name: move.reasons for move in package_moves(old, new, update)}


OLD = lock(conda("app", "1.0", "lib >=1,<2", "gone"), conda("lib", "1.0"), conda("gone", "1.0"), wheel("web", "1.0"))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("1.2.3", "2.0.0", "major"), ("1.2.3", "1.3", "minor"), ("1.2", "1.2.1", "patch"),
        ("1.2.3.4", "1.2.3.5", "patch"),
        ("2024.7.4", "2025.1", "major"), ("1.2", "1.2.0", ""), ("1.2", "1.2.post1", ""), ("1.2rc1", "1.2", ""),
        ("3.0", "1!1.0", "major"), ("2024a", "2024b", ""), ("latest", "1.0", ""), ("v1.0", "v1.1", "minor"),
    ],
)  # fmt: skip
def test_how_far_a_version_goes(old: str, new: str, found: str) -> None:
    assert level(old, new) == found
    assert level(new, old) == found


def test_what_was_asked_for_pulls_others_along() -> None:
    new = lock(conda("app", "2.0", "lib >=2", "came"), conda("lib", "2.0"), conda("came", "1.0"), wheel("web", "1.0"))
    assert moved(OLD, new, "app") == {
        "app": (Reason(Cause.ASKED),),
        "came": (Reason(Cause.NEEDED, "app 2.0", "came"),),
        "gone": (Reason(Cause.UNNEEDED, "app 1.0"),),
        "lib": (Reason(Cause.NEEDED, "app 2.0", "lib >=2"),),
    }


def test_what_does_not_go_with_what_moved_follows_it() -> None:
    new = lock(conda("app", "2.0", "lib", "gone"), conda("lib", "2.0"), conda("gone", "1.0"), wheel("web", "1.0"))
    assert moved(OLD, new, "lib") == {
        "lib": (Reason(Cause.ASKED),),
        "app": (Reason(Cause.FOLLOWS, "lib 2.0", "lib >=1,<2"),),
    }


def test_a_limit_that_is_not_kept_any_more_is_a_reason_too() -> None:
    old = lock(conda("app", "1.0", constrains=("lib <2",)), conda("lib", "1.0"))
    new = lock(conda("app", "1.1"), conda("lib", "2.0"))
    assert moved(old, new, "lib")["app"] == (Reason(Cause.FOLLOWS, "lib 2.0", "lib <2"),)


def test_a_changed_requirement_is_named() -> None:
    spec = replace(SPEC_OF_TWO, conda=(CondaRequirement("app", "app >=2"),))
    new = lock(conda("app", "2.0", "lib", "gone"), *OLD.platforms["linux-64"].conda[1:], wheel("web", "1.0"), spec=spec)
    assert moved(OLD, new) == {"app": (Reason(Cause.REQUIREMENT, requirement="app >=2"),)}
    without = replace(SPEC_OF_TWO, pip=())
    gone = lock(*OLD.platforms["linux-64"].conda, spec=without)
    assert moved(OLD, gone) == {"web": (Reason(Cause.REQUIREMENT),)}


def test_when_everything_moves_what_is_declared_is_told_from_what_is_needed() -> None:
    new = lock(conda("app", "1.1", "lib", "gone"), conda("lib", "1.1"), conda("gone", "1.0"), wheel("web", "1.1"))
    assert moved(OLD, new, "*") == {
        "app": (Reason(Cause.NEWEST, requirement="app"),),
        "lib": (Reason(Cause.NEEDED, "app 1.1", "lib"),),
        "web": (Reason(Cause.NEWEST, requirement="web"),),
    }


def test_wheels_are_pulled_along_by_who_needs_them() -> None:
    old = lock(wheel("web", "1.0", "idna"), wheel("idna", "3.0"))
    new = lock(wheel("web", "2.0", "idna"), wheel("idna", "3.1"))
    assert moved(old, new, "web")["idna"] == (Reason(Cause.NEEDED, "web 2.0"),)


def test_where_nothing_forced_a_move_the_terms_are_looked_at() -> None:
    new = lock(conda("app", "1.1", "lib", "gone"), *OLD.platforms["linux-64"].conda[1:], wheel("web", "1.0"))
    assert moved(OLD, new) == {"app": (Reason(Cause.SOLVED),)}
    assert moved(OLD, replace(new, exclude_newer="2026-01-31T23:59:59Z")) == {"app": (Reason(Cause.PLATFORM),)}


def test_a_wheel_that_a_conda_package_provides_limits_it_by_no_match_spec() -> None:
    old = lock(
        conda("pytorch", "2.0", "python", purls=("pkg:pypi/torch",)),
        conda("python", "3.11.0"),
        wheel("web", "1", "torch"),
    )
    new = lock(
        conda("pytorch", "2.1", "python", purls=("pkg:pypi/torch",)),
        conda("python", "3.11.0"),
        wheel("web", "1", "torch"),
    )
    assert moved(old, new) == {"pytorch": (Reason(Cause.SOLVED),)}


def test_platforms_that_move_alike_are_one_move_and_keep_their_sizes() -> None:
    new = LOCK
    for platform in ("linux-64", "osx-arm64"):
        tiny = next(package for package in LOCK.platforms[platform].wheels if package.name == "certifi")
        new = changed(new, platform, replace(tiny, version="2024.8.1", size=100 if platform == "linux-64" else 200))
    (move,) = package_moves(LOCK, new, ["certifi"])
    assert move.platforms == ("linux-64", "osx-arm64")
    assert [after for _, _, after in move.sizes] == [100, 200]
    assert (move.move, move.level, move.direct) == (Move.UP, "minor", False)


def test_platforms_are_told_as_a_whole() -> None:
    (linux, mac) = platform_updates(LOCK, changed(LOCK, "linux-64", drop=("tiny",)))
    assert linux.old_key != linux.new_key
    assert linux.new_bytes < linux.old_bytes
    assert (mac.old_key, mac.fetch) == (mac.new_key, 0)
    (linux, mac) = platform_updates(LOCK, replace(LOCK, platforms={"linux-64": LOCK.platforms["linux-64"]}))
    assert (mac.new_key, mac.new_bytes) == ("", 0)
    (first, _) = platform_updates(None, LOCK)
    assert (first.old_key, first.fetch) == ("", first.new_bytes)


@settings(max_examples=10)
@given(locks(), locks())
def test_any_two_locks_have_an_account_that_is_the_same_each_time(old: Lock, new: Lock) -> None:
    moves: tuple[PackageMove, ...] = package_moves(old, new, ["*"])
    assert moves == package_moves(old, new, ["*"])
    assert all(move.reasons for move in moves)
    assert package_moves(new, new, None) == ()
