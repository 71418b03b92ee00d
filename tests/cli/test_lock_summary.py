"""``lock --update --summary``, ``--dry-run``, ``--exit-code`` and ``--if-stale``, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import channel as hand
from support.desk import Desk, snapshot
from support.servers import simple_index
from support.wheels import make_wheel


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel where app 2.0 needs other libraries, and tools that cannot all move."""
    folder = tmp_path_factory.mktemp("shop")
    for version in ("3.11.9", "3.12.4", "3.13.1"):
        hand.write_python(folder, version, subdirs=("linux-64", "osx-arm64"))
    for name, version, depends in (
        ("libfoo", "1.2.0", ()), ("libfoo", "2.0.1", ()), ("libfoo", "3.0", ("__glibc >=9",)), ("libold", "1.0", ()),
        ("libnew", "0.1", ()), ("app", "1.0", ("libfoo >=1,<2", "libold")), ("app", "2.0", ("libfoo >=2", "libnew")),
        ("tool", "1.0", ("python >=3.11,<3.13|>=3.14",)), ("tool", "1.0.3", ("python >=3.13",)),
    ):  # fmt: skip
        licence = "MIT" if version < "2" else "GPL-3.0-only"
        hand.write_package(
            folder, name, version, depends=depends, license=licence, files={f"share/{name}": f"{version}\n" * 50}
        )
    return hand.index(folder)


@pytest.fixture
def desk(tmp_path: Path, shop: Path) -> Desk:
    """A project on that channel, locked when it wanted app 1, and free to move now."""
    desk = Desk(tmp_path)
    desk.shops(shop)
    declare(desk, "app<2")
    desk("lock")
    declare(desk, "app")
    desk("lock")
    return desk


def declare(desk: Desk, app: str) -> None:
    (desk.project / "hermetic.toml").write_text(
        f'[environments.default]\nchannels = ["shop"]\ndependencies = ["{app}", "tool",\n  "python=3.12"]\n'
        'platforms = ["linux-64", "osx-arm64"]\n'
    )


def test_a_pull_request_says_what_moves_why_and_by_how_much(desk: Desk) -> None:
    before = snapshot(desk.project)
    said = desk("lock", "--update", "app", "--summary", "markdown", "--dry-run", "--exit-code", status=1)
    assert snapshot(desk.project) == before
    assert "nothing was written" in said.stderr
    lines = said.stdout.splitlines()
    assert lines[0] == "# Update app from 1.0 to 2.0"
    assert "`lockfiles/default.lock.json`: 2 packages move (2 major), 1 new, 1 removed" in lines
    rows = {line.split(" | ")[0].strip("| *`"): line for line in lines if line.startswith("| ")}
    assert rows["app"].startswith("| **`app`** | `1.0` | `2.0` | **major** | ")
    assert rows["app"].endswith(" | asked for |")
    assert rows["libfoo"].endswith("| needed by `app 2.0` (`libfoo >=2`) |")
    assert rows["libnew"].endswith("| needed by `app 2.0` |")
    assert rows["libold"].endswith("| was needed by `app 1.0` |")
    assert rows["linux-64"].count("→") == 1
    assert "- licence of `app`: `MIT` → `GPL-3.0-only`" in lines
    assert "hermetic build --locked default      # every archive is compared with its digest" in lines
    assert str(desk.root) not in said.stdout, "no path of this machine"
    declared = [desk.project / "hermetic.toml"]
    assert all(file.exists() for file in declared)
    again = desk("lock", "--update", "app", "--summary", "markdown", "--exit-code", status=1, PYTHONHASHSEED="7")
    assert again.stdout == said.stdout
    assert desk("lock", "--update", "app", "--summary", "text", "--exit-code").stdout.startswith("Nothing to update\n")


def test_what_cannot_move_is_told_with_what_holds_it(desk: Desk) -> None:
    said = desk("lock", "--update", "--summary", "markdown", "--offline").stdout
    assert (
        "- `python` stays at `3.12.4`, though there is `3.13.1`: `python 3.12.*` is declared (hermetic.toml:4); "
        "`tool 1.0` needs `python >=3.11,<3.13|>=3.14`\n" in said
    )
    assert (
        "- `tool` stays at `1.0`, though there is `1.0.3`: `tool 1.0.3` needs `python >=3.13`, "
        "and `python 3.12.4` is locked (hermetic.toml:4)\n" in said
    )
    assert "`tool` | `1.0`" not in said
    told = json.loads(desk("lock", "--update", "libfoo", "--summary", "json").stdout)
    here = {tuple(held["platforms"]): held for held in told["environments"][0]["held"]}
    assert here.keys() == {("linux-64",), ("osx-arm64",)}, "each platform has its own reason"
    (hold,) = here["osx-arm64",]["holds"]
    assert hold == {"by": "libfoo 3.0", "requirement": "__glibc >=9", "missing": "no __glibc", "place": None}
    assert here["linux-64",]["holds"][0]["missing"].startswith("__glibc 2.")
    assert told["changed"] is False


def test_wheels_that_cannot_move_are_told_too(tmp_path: Path, shop: Path) -> None:
    wheels = tmp_path / "wheels"
    for version in ("1.0", "2.0", "3.0rc1"):
        make_wheel(wheels, "helper", version)
    make_wheel(wheels, "tool", "1.0", requires=["helper<2"])
    make_wheel(wheels, "tool", "1.1", requires=["helper>=2"])
    make_wheel(wheels, "plain", "1.0")
    make_wheel(wheels, "plain", "2.0")
    desk = Desk(tmp_path / "desk")
    with simple_index(wheels) as index:
        desk.shops(shop, index.url)
        desk.declare("python=3.12", pip=("tool==1.0", "plain<2", "helper"))
        desk("lock")
        said = desk("lock", "--update", "--summary", "markdown").stdout.splitlines()
        assert "- `helper` stays at `1.0`, though there is `2.0`: `tool 1.0` needs `helper<2`" in said
        assert "- `plain` stays at `1.0`, though there is `2.0`: `plain<2` is declared (hermetic.toml:4)" in said
        assert "- `tool` stays at `1.0`, though there is `1.1`: `tool==1.0` is declared (hermetic.toml:4)" in said
        desk.declare("python=3.12", pip=("tool", "plain<2", "helper<2"))
        said = desk("lock", "--update", "tool", "--summary", "markdown").stdout
        needs = "`tool 1.1` needs `helper>=2`, and `helper 1.0` is locked\n"
        assert f"- `tool` stays at `1.0`, though there is `1.1`: {needs}" in said
        desk.declare("python=3.12", pip=("tool", "plain<2", "helper"))
        said = desk("lock", "--update", "tool", "helper", "--summary", "markdown").stdout
        assert said.startswith("# Update helper and tool\n")
        assert "| **`helper` (pip)** | `1.0` | `2.0` | **major** |" in said


def test_the_date_limit_is_told(desk: Desk) -> None:
    said = desk("lock", "--exclude-newer", "2026-01-31", "--summary", "text").stdout
    assert "nothing that was published after 2026-01-31T23:59:59Z is taken (before: no limit)" in said
    said = desk("lock", "--exclude-newer", "none", "--summary", "text").stdout
    assert "the limit that nothing published after 2026-01-31T23:59:59Z is taken is lifted" in said


def test_only_what_is_stale_is_locked(desk: Desk) -> None:
    before = desk.lock.stat().st_mtime_ns, desk.lock.read_bytes()
    said = desk("lock", "--if-stale", "--exit-code", HERMETIC_CHANNELS="shop=http://127.0.0.1:9/gone")
    assert said.stdout.endswith("fits its spec\n")
    assert (desk.lock.stat().st_mtime_ns, desk.lock.read_bytes()) == before
    assert json.loads(desk("lock", "--if-stale", "--json").stdout) == {"locks": []}
    assert desk("lock", "--if-stale", "--summary", "markdown").stdout == "# Nothing to update\n"
    declare(desk, "app>=2")
    assert "app" in desk("lock", "--if-stale", "--exit-code", status=1).stdout
    desk("lock", "--if-stale", "--exit-code")
    whole = desk.lock.read_text()
    desk.lock.write_text(f"<<<<<<< ours\n{whole}=======\n{whole}>>>>>>> theirs\n")
    desk("lock", "--if-stale", "--exit-code", status=1)
    assert desk.lock.read_text() == whole


def test_what_makes_no_sense_together_is_refused(desk: Desk) -> None:
    assert "not allowed with" in desk("lock", "--check", "--update", status=2).stderr
    assert "not allowed with" in desk("lock", "--if-stale", "--update", "app", status=2).stderr
