"""Does a lock fit its spec? Drift in words; and a graph that another tool made is looked at closely."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lock_samples import IMAGE, LOCK, REGISTRY_BASE, SPEC, changed, conda, wheel, with_image

from hermetic.errors import Place
from hermetic.lock.check import Finding, check, check_bases
from hermetic.lock.file import write_lock
from hermetic.lock.markers import holds, marker_environment, platform_marker
from hermetic.lock.model import Base, ImagePlan, Lock
from hermetic.platforms import PLATFORMS, Accelerator
from hermetic.spec.model import CondaRequirement, PipOptions, PipRequirement, Spec

LINUX = LOCK.platforms["linux-64"]
NUMPY = next(p for p in LINUX.conda if p.name == "numpy")


def messages(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.message for finding in findings]


def test_a_lock_fits_the_spec_it_was_made_from() -> None:
    assert check(SPEC, LOCK, deep=True) == ()


def test_the_usual_answer_imports_no_library(tmp_path: Path) -> None:
    write_lock(LOCK, tmp_path / "x.lock.json")
    code = (
        "import sys; from hermetic.lock.file import read_lock; from hermetic.lock.check import check\n"
        "from hermetic.spec.model import Spec; lock = read_lock(sys.argv[1])\n"
        "assert check(Spec(), lock); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code, "x.lock.json"], cwd=tmp_path, capture_output=True, text=True,
                         check=True)  # fmt: skip
    assert not {"rattler", "conda_lock", "packaging", "yaml", "asyncio"} & set(out.stdout.split())


REQUESTS = next(r for r in SPEC.pip if r.name == "requests")
PYTHON = next(r for r in SPEC.conda if r.name == "python")

DRIFT: dict[str, tuple[Spec, list[tuple[str, str]]]] = {
    "added": (
        replace(SPEC, conda=(*SPEC.conda, CondaRequirement("xz", "xz >=5", channel="demo", category="dev"))),
        [("requirement-added", "conda requirement demo::xz >=5 [dev] was added")],
    ),
    "removed": (
        replace(SPEC, pip=(REQUESTS,)),
        [("requirement-removed", "pip requirement tiny==1.0 was removed")],
    ),
    "changed": (
        replace(SPEC, conda=(PYTHON, CondaRequirement("numpy", "numpy >=2"))),
        [("requirement-changed", "conda requirement changed: numpy >=1.26 -> numpy >=2")],
    ),
    "another platform": (
        replace(SPEC, pip=(replace(REQUESTS, platforms=("linux-64",)), SPEC.pip[1])),
        [("requirement-changed", "pip requirement changed: requests>=2 -> requests>=2 (on linux-64)")],
    ),
    "hashes": (
        replace(SPEC, pip=(replace(REQUESTS, hashes=("sha256:" + "0" * 64,)), SPEC.pip[1])),
        [("requirement-changed", f"pip requirement changed: requests>=2 -> requests>=2 --hash sha256:{'0' * 64}")],
    ),
    "from conda to pip": (
        replace(SPEC, conda=(PYTHON,), pip=(*SPEC.pip, PipRequirement("numpy", specifier=">=1.26"))),
        [
            ("requirement-removed", "conda requirement numpy >=1.26 was removed"),
            ("requirement-added", "pip requirement numpy>=1.26 was added"),
        ],
    ),
    "a wheel's path": (
        replace(SPEC, pip=(*SPEC.pip, PipRequirement("", url="./dist/x-1.0-py3-none-any.whl"))),
        [("requirement-added", "pip requirement ./dist/x-1.0-py3-none-any.whl was added")],
    ),
    "channels": (
        replace(SPEC, channels=("other", "demo")),
        [("setting-changed", "channels changed: demo -> other, demo")],
    ),
    "a variable": (
        replace(SPEC, variables=(("OMP_NUM_THREADS", "2"), ("A", "1"))),
        [
            ("setting-added", "variable A 1 was added"),
            ("setting-changed", "variable OMP_NUM_THREADS changed: 1 -> 2"),
        ],
    ),
    "accelerator": (
        replace(SPEC, accelerator=Accelerator("cuda", "12.4")),
        [("setting-added", "accelerator cuda-12.4 was added")],
    ),
    "system": (
        replace(SPEC, system=(("__glibc", "2.35"),)),
        [("setting-added", "system property __glibc 2.35 was added")],
    ),
    "options": (
        replace(SPEC, options=PipOptions(pre=True)),
        [("setting-added", "pip options pre yes was added")],
    ),
    "constraint": (
        replace(SPEC, constraints=(PipRequirement("certifi", specifier="<2025"),)),
        [("requirement-added", "pip constraint certifi<2025 was added")],
    ),
    "source builds": (
        replace(SPEC, source_builds=("tiny",)),
        [("setting-added", "source build of tiny was added")],
    ),
    "platform added": (
        replace(SPEC, platforms=(*SPEC.platforms, "win-64")),
        [("platform-missing", "platform win-64 is not locked")],
    ),
    "platform removed": (
        replace(SPEC, platforms=("linux-64",)),
        [("platform-extra", "platform osx-arm64 is locked, and no longer declared")],
    ),
}


@pytest.mark.parametrize("name", DRIFT)
def test_drift_is_told_in_words(name: str) -> None:
    spec, expected = DRIFT[name]
    assert [(finding.code, finding.message) for finding in check(spec, LOCK)] == expected


def test_a_finding_says_where_the_spec_says_it() -> None:
    place = Place("environment.yml", 7)
    moved = replace(SPEC, conda=(PYTHON, CondaRequirement("numpy", "numpy >=2", place=place)))
    (finding,) = check(moved, LOCK)
    assert finding.place == place
    assert (finding.old, finding.new) == ("numpy >=1.26", "numpy >=2")
    assert json.loads(json.dumps(finding.to_dict()))["line"] == 7


def test_what_means_the_same_is_no_drift() -> None:
    shuffled = replace(SPEC, conda=SPEC.conda[::-1], pip=SPEC.pip[::-1], variables=SPEC.variables[::-1])
    placed = replace(shuffled, conda=tuple(replace(r, place=Place("x", 1)) for r in shuffled.conda))
    assert check(placed, LOCK) == ()


def test_a_declared_base_is_pinned_on_every_platform_that_has_images() -> None:
    declared = replace(SPEC, base="team/base:1")
    (bare,) = check_bases(declared, LOCK)  # linux-64 and osx-arm64 are locked; the latter has no images
    assert (bare.code, bare.platform, bare.new) == ("base-unpinned", "linux-64", "team/base:1")
    assert "hermetic base pin" in bare.remedy
    (other,) = check_bases(declared, with_image(LOCK))
    assert (other.code, other.old, other.new) == ("base-changed", "embedded", "team/base:1")
    assert not check_bases(declared, with_image(LOCK, ImagePlan(REGISTRY_BASE)))
    assert not check_bases(SPEC, LOCK)
    assert not check_bases(SPEC, with_image(LOCK, IMAGE))  # nothing is declared, so whatever is pinned is right


def test_a_changed_dockerfile_is_told() -> None:
    declared = replace(SPEC, base_dockerfile="FROM debian:12-slim\n")
    lock = with_image(LOCK, ImagePlan(Base("dockerfile", manifest="sha256:" + "a" * 64, dockerfile="b" * 64)))
    assert not check_bases(declared, lock, dockerfile="b" * 64)
    (finding,) = check_bases(declared, lock, dockerfile="c" * 64)
    assert finding.code == "base-changed"


def test_an_unpinned_base_is_no_reason_to_lock_again() -> None:
    declared = replace(SPEC, base="team/base:1")
    assert not check(declared, replace(LOCK, spec=declared.to_dict()))


def test_asked_platforms_come_before_declared_ones() -> None:
    assert check(SPEC, LOCK, platforms=["linux-64"]) == ()
    assert messages(check(SPEC, LOCK, platforms=["win-64"])) == ["platform win-64 is not locked"]
    undeclared = replace(SPEC, platforms=())
    assert check(undeclared, LOCK) == ()
    assert [f.code for f in check(undeclared, replace(LOCK, platforms={}))] == ["platform-missing"]


UNSOUND: dict[str, tuple[Lock, str, str]] = {
    "a dependency is gone": (
        changed(LOCK, "linux-64", drop=("tzdata",)),
        "dependency-unmet", "python 3.11.9 needs tzdata: it is not locked",
    ),
    "a dependency has another version": (
        changed(LOCK, "linux-64", conda("libzlib", "1.2.13", "__glibc >=2.17")),
        "dependency-unmet", "python 3.11.9 needs libzlib >=1.3,<2.0a0: libzlib 1.2.13 h1_0 is locked",
    ),
    "a dependency has another build": (
        changed(LOCK, "linux-64", conda("python_abi", "3.11", build="1_pypy")),
        "dependency-unmet", "numpy 1.26.4 needs python_abi 3.11.* *_cp311: python_abi 3.11 1_pypy is locked",
    ),
    "a virtual package is too old": (
        changed(LOCK, "linux-64", replace(NUMPY, depends=(*NUMPY.depends, "__glibc >=2.35"))),
        "dependency-unmet", "numpy 1.26.4 needs __glibc >=2.35: __glibc 2.28 0 is locked",
    ),
    "a virtual package is not assumed": (
        changed(LOCK, "linux-64", replace(NUMPY, depends=(*NUMPY.depends, "__cuda"))),
        "dependency-unmet", "numpy 1.26.4 needs __cuda: it is not locked",
    ),
    "a dependency makes no sense": (
        changed(LOCK, "linux-64", replace(NUMPY, depends=(*NUMPY.depends, "python >>=3"))),
        "dependency-unmet", "numpy 1.26.4 needs python >>=3: it cannot be understood",
    ),
    "a limit is broken": (
        changed(LOCK, "linux-64", conda("zlib", "1.2.13")),
        "constraint-broken", "libzlib 1.3.1 allows only zlib 1.3.1 *_0: zlib 1.2.13 h1_0 is locked",
    ),
    "a requirement is gone": (
        changed(LOCK, "linux-64", drop=("tiny",)),
        "requirement-unmet", "tiny==1.0 is not met: it is not locked",
    ),
    "a requirement has another version": (
        changed(LOCK, "linux-64", wheel("tiny", "1.1")),
        "requirement-unmet", "tiny==1.0 is not met: 1.1 is locked",
    ),
    "a wheel's need is gone": (
        changed(LOCK, "linux-64", drop=("certifi",)),
        "dependency-unmet", "requests 2.32.3 needs certifi: it is not locked",
    ),
    "a project is claimed twice": (
        changed(LOCK, "linux-64", wheel("numpy", "1.26.3")),
        "claimed-twice", "numpy is locked twice: as a wheel (1.26.3) and by conda's numpy (1.26.4)",
    ),
    "a channel is not the spec's": (
        changed(LOCK, "linux-64", replace(NUMPY, channel="https://conda.example.org/other")),
        "channel-unknown", "numpy: from https://conda.example.org/other, which the spec does not name",
    ),
    "no Python for wheels": (
        changed(LOCK, "linux-64", drop=("python",)),
        "dependency-unmet", "wheels are locked, and no Python",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_graph_is_told(name: str) -> None:
    lock, code, message = UNSOUND[name]
    found = [(f.code, f.platform, f.message) for f in check(SPEC, lock, deep=True)]
    assert (code, "linux-64", message) in found
    assert {platform for _, platform, _ in found} == {"linux-64"}


def spec_and_lock(requirement: CondaRequirement | PipRequirement) -> tuple[Spec, Lock]:
    if isinstance(requirement, CondaRequirement):
        spec = replace(SPEC, conda=(*SPEC.conda, requirement))
    else:
        spec = replace(SPEC, pip=(*SPEC.pip, requirement))
    return spec, replace(LOCK, spec=spec.to_dict())


@pytest.mark.parametrize(
    ("requirement", "unmet"),
    [
        (CondaRequirement("numpy", "numpy 1.26.*", channel="other"), ["numpy"]),
        (CondaRequirement("numpy", "numpy * py311*", channel="demo"), []),
        (PipRequirement("NumPy".lower(), specifier=">=1.26"), []),
        (PipRequirement("numpy", specifier="<1"), ["numpy"]),
        (PipRequirement("colorama", marker="sys_platform == 'win32'"), []),
        (PipRequirement("colorama", marker="python_version >= '3.11'"), ["colorama"]),
        (PipRequirement("colorama", platforms=("win-64",)), []),
        (PipRequirement("", url="./dist/tiny-1.0-py3-none-any.whl"), []),
        (PipRequirement("", url="./dist/other-1.0-py3-none-any.whl"), ["./dist/other-1.0-py3-none-any.whl"]),
    ],
)
def test_requirements_of_the_user_are_held_against_both_kinds(
    requirement: CondaRequirement | PipRequirement, unmet: list[str]
) -> None:
    found = check(*spec_and_lock(requirement), deep=True)
    assert len(found) == 2 * len(unmet)  # on each of the two platforms
    assert all(finding.code == "requirement-unmet" and unmet[0] in finding.message for finding in found)


def test_constraints_are_held() -> None:
    spec = replace(SPEC, constraints=(PipRequirement("certifi", specifier="<2024"), PipRequirement("absent")))
    (finding, _) = check(spec, replace(LOCK, spec=spec.to_dict()), deep=True)
    assert finding.message == "the constraint certifi<2024 is not kept: 2024.7.4 is locked"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_platform_marker_holds_on_its_own_platform_only(platform: str) -> None:
    assert [other for other in PLATFORMS if holds(platform_marker(platform), other, "3.11.7")] == [platform]
    assert marker_environment(platform, "3.11.7")["python_version"] == "3.11"
