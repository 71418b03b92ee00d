"""The small parts that resolving is made of: versions, tags, logs, sizes, pins, explanations."""

from __future__ import annotations

import platform as machine_platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lock_samples import conda, wheel
from packaging import tags
from packaging.version import Version

from hermetic.errors import UsageError
from hermetic.events import SILENT
from hermetic.lock.backends import conda_solver, pip_resolver
from hermetic.lock.conda_lock_solver import CondaLockSolver
from hermetic.lock.conda_solver import RattlerSolver
from hermetic.lock.explanation import shorten
from hermetic.lock.incremental import check_update, kept_conda, kept_wheels, rivals
from hermetic.lock.job import parse_time
from hermetic.lock.merge import with_categories
from hermetic.lock.model import Lock, PlatformLock
from hermetic.lock.names import Provided
from hermetic.lock.piptools_resolver import PipToolsResolver
from hermetic.lock.pylock import read_pylock, write_pins
from hermetic.lock.sizes import find_sizes
from hermetic.lock.stubs import pip_version, write_stubs
from hermetic.lock.targets import platform_tags, wheel_rank, wheel_tags
from hermetic.lock.uv_annotations import read_annotations
from hermetic.lock.uv_log import read_trace
from hermetic.lock.uv_resolver import UvResolver
from hermetic.platforms import Accelerator, VirtualPackage, current_platform, virtual_packages
from hermetic.spec.model import CondaRequirement, PipRequirement, Spec


class TestBackends:
    def test_they_are_chosen_by_name(self, tmp_path: Path) -> None:
        rattler = RattlerSolver(tmp_path)
        assert conda_solver("", rattler, offline=False) is rattler
        assert isinstance(conda_solver("conda-lock", rattler, offline=False), CondaLockSolver)
        assert isinstance(pip_resolver("", tmp_path, SILENT), UvResolver)
        assert isinstance(pip_resolver("pip-tools", tmp_path, SILENT), PipToolsResolver)
        for choose in (
            lambda: conda_solver("pixi", rattler, offline=False),
            lambda: pip_resolver("poetry", tmp_path, SILENT),
        ):
            with pytest.raises(UsageError, match="unknown"):
                choose()

    def test_without_uv_pip_tools_resolves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "uv", None)
        assert isinstance(pip_resolver("", tmp_path, SILENT), PipToolsResolver)


class TestVersions:
    @given(st.text(alphabet="0123456789abcrpost._+!-", min_size=1, max_size=12))
    def test_any_conda_version_becomes_one_that_pip_knows(self, version: str) -> None:
        Version(pip_version(version))

    @pytest.mark.parametrize(
        ("theirs", "ours"), [("1.2.3", "1.2.3"), ("2024a", "2024a0"), ("1.1.1w", "1.1.1"), ("3.2_1", "3.2.post1"),
                             ("1!2.0", "1!2.0"), ("9e", "9"), ("main", "0")]
    )  # fmt: skip
    def test_meaning_is_kept_as_far_as_it_goes(self, theirs: str, ours: str) -> None:
        assert pip_version(theirs) == ours

    def test_a_stub_is_written_once(self, tmp_path: Path) -> None:
        asked = [Provided("some-name", "1.0", "some-name")]
        path = write_stubs(tmp_path, asked)["some-name"]
        before = path.stat().st_mtime_ns
        assert write_stubs(tmp_path, asked) == {"some-name": path}
        assert (path.name, path.stat().st_mtime_ns) == ("some_name-1.0-py3-none-any.whl", before)


class TestTargets:
    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
    def test_this_machines_tags_are_those_that_it_finds_itself(self) -> None:
        name, version = machine_platform.libc_ver()
        if name != "glibc":
            pytest.skip("this machine has another libc")
        assumed = virtual_packages(current_platform(), Accelerator(), {"__glibc": version})
        ours, theirs = platform_tags(current_platform(), assumed), list(tags.platform_tags())
        assert set(ours) == set(theirs)
        assert [t for t in ours if "manylinux" in t] == [t for t in theirs if "manylinux" in t]
        assert set(wheel_tags(current_platform(), "{}.{}.{}".format(*sys.version_info[:3]), assumed)) == set(
            tags.sys_tags()
        )

    def test_better_wheels_rank_before_worse(self) -> None:
        own = wheel_tags("linux-64", "3.11.7", (VirtualPackage("__glibc", "2.28"),))
        names = ["x-1-cp311-cp311-manylinux_2_28_x86_64.whl", "x-1-cp311-cp311-manylinux2014_x86_64.whl",
                 "x-1-cp38-abi3-manylinux_2_28_x86_64.whl", "x-1-py3-none-any.whl"]  # fmt: skip
        ranks = [wheel_rank(name, own) for name in names]
        assert None not in ranks
        assert ranks == sorted(ranks, key=lambda rank: -1 if rank is None else rank)
        for other in ("x-1-cp311-cp311-manylinux_2_35_x86_64.whl", "x-1-cp312-cp312-manylinux_2_28_x86_64.whl",
                      "x-1-cp311-cp311-win_amd64.whl", "no wheel"):  # fmt: skip
            assert wheel_rank(other, own) is None

    def test_macos_and_windows(self) -> None:
        mac = wheel_tags("osx-arm64", "3.12.1", (VirtualPackage("__osx", "14.0"),))
        assert wheel_rank("x-1-cp312-cp312-macosx_14_0_arm64.whl", mac) is not None
        assert wheel_rank("x-1-cp312-cp312-macosx_15_0_arm64.whl", mac) is None
        windows = wheel_tags("win-64", "3.12.1", ())
        assert wheel_rank("x-1-cp312-cp312-win_amd64.whl", windows) is not None


LOG = """\
DEBUG Solving with target Python version: >=3.11.7
DEBUG Adding direct dependency: requests[socks]*
DEBUG Selecting: requests==2.34.2 [compatible] (requests-2.34.2-py3-none-any.whl)
DEBUG Adding transitive dependency for requests==2.34.2: charset-normalizer>=2, <4
DEBUG Adding transitive dependency for requests==2.34.2: requests[socks]==2.34.2
DEBUG Adding transitive dependency for requests==2.34.2: numpy{python_full_version < '3.14'}>=2.0.2
DEBUG Adding transitive dependency for requests==2.33.0: absent>=1
DEBUG Selecting: sdist==1.0 [compatible] (sdist-1.0.tar.gz)
A line of another kind
"""


def test_a_log_of_uv_tells_edges_extras_and_files() -> None:
    trace = read_trace(LOG)
    assert trace.direct == {"requests"}
    assert trace.edges["requests", "2.34.2"] == {"charset-normalizer", "requests", "numpy"}
    assert trace.extras["requests"] == {"socks"}
    assert trace.files == {("requests", "2.34.2"): "requests-2.34.2-py3-none-any.whl"}


def test_annotations_tell_who_needs_what_and_where_it_is_from() -> None:
    text = (
        "leaf==1.0 \\\n    --hash=sha256:00\n    # via\n    #   -c constraints.txt\n    #   -r requirements.in\n"
        "    #   tree[dry]\n    # from http://127.0.0.1/simple\n"
        "own @ file:///x/own-1.0-py3-none-any.whl\n    # via leaf\n"
    )
    found = read_annotations(text)
    assert found.needed_by == {"leaf": {"tree"}, "own": {"leaf"}}
    assert found.found_at == {"leaf": "http://127.0.0.1/simple"}


def test_a_pylock_is_read_and_pins_are_written(tmp_path: Path) -> None:
    text = """
lock-version = "1.0"
[[packages]]
name = "a"
version = "1.0"
wheels = [{ url = "https://h.example.org/x/a-1.0%2Bcpu-py3-none-any.whl", size = 12, hashes = { sha256 = "00" } }]
[[packages]]
name = "b"
version = "2.0"
archive = { path = "/w/b-2.0-py3-none-any.whl", hashes = { sha256 = "11" } }
[[packages]]
name = "c"
version = "3.0"
sdist = { url = "https://h.example.org/c-3.0.tar.gz", hashes = { sha256 = "22" } }
"""
    found = read_pylock(text)
    assert (found["a"].wheels[0].file_name, found["a"].wheels[0].size) == ("a-1.0+cpu-py3-none-any.whl", 12)
    assert (found["b"].wheels[0].url, found["b"].direct) == ("/w/b-2.0-py3-none-any.whl", True)
    assert found["c"].sdist is not None
    assert found["c"].wheels == ()
    write_pins(tmp_path / "pylock.toml", {"b": "2", "a": "1"})
    assert {n: r.version for n, r in read_pylock((tmp_path / "pylock.toml").read_text()).items()} == {
        "a": "1",
        "b": "2",
    }


class _Sizes(BaseHTTPRequestHandler):
    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        status, headers = {
            "/ten": (200, {"Content-Length": "10"}),
            "/moved": (302, {"Location": "/ten", "Content-Length": "0"}),
            "/loop": (302, {"Location": "/loop", "Content-Length": "0"}),
            "/mute": (200, {}),
        }.get(self.path, (404, {"Content-Length": "0"}))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def asking() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Sizes,), {"asked": asked}))
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestSizes:
    def test_servers_files_and_what_is_known(self, tmp_path: Path) -> None:
        (tmp_path / "file.whl").write_bytes(b"12345")
        with asking() as (address, asked):
            paths = {"a": "ten", "b": "moved", "c": "loop", "d": "mute", "e": "gone", "g": "known"}
            wanted = {digest: f"{address}/{path}" for digest, path in paths.items()}
            wanted["f"] = (tmp_path / "file.whl").as_uri()
            sizes = find_sizes(wanted, [("g", 7), ("other", 9)], tmp_path / "memory.json")
        assert sizes == {"a": 10, "b": 10, "f": 5, "g": 7}
        assert "/known" not in asked

    def test_what_was_asked_is_remembered(self, tmp_path: Path) -> None:
        memory = tmp_path / "deep" / "memory.json"
        with asking() as (address, asked):
            for _ in range(2):
                assert find_sizes({"a": f"{address}/ten"}, (), memory) == {"a": 10}
        assert asked == ["/ten"]
        assert find_sizes({"a": "http://127.0.0.1:1/"}, (), memory, offline=True) == {"a": 10}
        memory.write_text("not JSON")
        assert find_sizes({"a": "http://127.0.0.1:1/"}, (), memory) == {}


class TestOldPins:
    LOCK = Lock(
        Spec(channels=("one", "two")).to_dict(),
        {
            "linux-64": PlatformLock(
                "linux-64",
                (),
                (conda("a", "1", channel="one"), conda("b_c", "1", channel="two", timestamp=0)),
                (wheel("w", "1"), wheel("x", "2")),
            )
        },
    )

    def test_all_are_kept_but_those_that_may_move(self) -> None:
        def names(update: list[str] | None) -> list[str]:
            return [p.name for p in kept_conda(self.LOCK, "linux-64", ["one", "two"], update)]

        assert names(None) == ["a", "b_c"]
        assert names(["b-c"]) == ["a"]
        assert names(["*"]) == []
        assert kept_conda(None, "linux-64", ["one"], None) == ()
        assert kept_conda(self.LOCK, "win-64", ["one"], None) == ()

    def test_a_channel_that_is_gone_takes_its_pins_along(self) -> None:
        assert [p.name for p in kept_conda(self.LOCK, "linux-64", ["two"], None)] == ["b_c"]

    def test_what_is_newer_than_the_time_or_of_unknown_age_is_not_kept(self) -> None:
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        assert [p.name for p in kept_conda(self.LOCK, "linux-64", ["one", "two"], None, moment)] == ["a"]
        assert kept_conda(self.LOCK, "linux-64", ["one", "two"], None, datetime(2020, 1, 1, tzinfo=UTC)) == ()

    def test_channels_that_came_before_are_rivals(self) -> None:
        assert rivals(self.LOCK, ["one", "two"]) == {}
        assert rivals(self.LOCK, ["new", "two", "one"]) == {"two": ("new",), "one": ("new", "two")}

    def test_wheels_of_another_platform_are_better_than_none(self) -> None:
        assert sorted(kept_wheels(self.LOCK, "osx-arm64", ["x"])) == ["w"]

    def test_an_update_names_what_is_locked(self) -> None:
        check_update(self.LOCK, ["a", "b-c", "w"])
        check_update(None, None)
        for lock in (self.LOCK, None):
            with pytest.raises(UsageError, match="'nothing' is not in the lock"):
                check_update(lock, ["nothing"])


def test_categories_follow_the_edges_of_both_kinds() -> None:
    spec = Spec(
        conda=(CondaRequirement("python", "python"), CondaRequirement("tool", "tool", category="dev")),
        pip=(PipRequirement("w", category="test"),),
    )
    lock = PlatformLock(
        "linux-64",
        (),
        (
            conda("lib", "1"),
            conda("numpy", "1", "python", "lib"),
            conda("python", "3.11.7"),
            conda("tool", "1", "lib >=1"),
        ),
        (wheel("v", "1", "numpy"), wheel("w", "1", "v")),
    )
    found = with_categories(spec, lock)
    assert {p.name: p.categories for p in found.conda} == {
        "lib": ("dev", "test"), "numpy": ("test",), "python": ("main", "test"), "tool": ("dev",)
    }  # fmt: skip
    assert {w.name: w.categories for w in found.wheels} == {"v": ("test",), "w": ("test",)}


class TestExplanations:
    TREE = "a cannot be installed:\n├─ a 1 would require\n│  └─ b\n└─ a 2 would require\n   └─ c"

    def test_a_short_one_stays_as_it_is(self) -> None:
        assert "\n".join(shorten(self.TREE)) == self.TREE
        assert shorten("no tree at all") == ["no tree at all"]

    @given(st.integers(5, 60))
    def test_a_long_one_keeps_its_shape(self, count: int) -> None:
        lines = ["a cannot be installed:"]
        for number in range(count):
            mark, bar = ("└", " ") if number == count - 1 else ("├", "│")
            lines += [f"{mark}─ a {number} would require", f"{bar}  └─ b {number}"]
        short = shorten("\n".join(lines))
        assert short[:3] == ["a cannot be installed:", "├─ a 0 would require", "│  └─ b 0"]
        assert short[-1] == f"└─ ... and {count - 3} more like these"
        assert len(short) == 8

    @given(st.text(alphabet="│├└─ ab\n", max_size=200))
    def test_nothing_breaks_it(self, text: str) -> None:
        assert all(line.strip() for line in shorten(text)) or True
        assert len(shorten(text)) <= 41


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31T12:00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.5+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_times_are_utc(text: str | None, moment: datetime | None) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize("text", ["now", "2026-13-01", "31.01.2026", "2026-01-3x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        parse_time(text)
