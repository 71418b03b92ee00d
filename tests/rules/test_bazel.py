"""Bazel builds from a lock what hermetic builds, remembers it, and makes anew only what changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bazel import Bazel, bazel_on, http_cache
from support.registries import registry


@pytest.fixture
def bazel(tmp_path: Path, channel: Path) -> Iterator[Bazel]:
    with bazel_on(tmp_path / "desk", channel) as found:
        found.desk("base", "pin", "train", "--base", "scratch")
        yield found


def by_kind(steps: list[dict[str, object]]) -> Counter[str]:
    return Counter(str(step["mnemonic"]).removeprefix("Hermetic") for step in steps)


def digest_of(bazel: Bazel) -> str:
    """What the command line gives for the image that examples/bazel/BUILD.bazel declares."""
    words = ("--user", "1000", "--label", "org.example.team=ml", "--oci-layout", str(bazel.desk.root / "layout"))
    return str(json.loads(bazel.desk("build", "train", "--image", "train:1", *words, "--json").stdout)["digest"])


def test_an_image_is_the_command_lines_and_a_changed_package_makes_its_own_part_anew(
    bazel: Bazel, tmp_path: Path
) -> None:
    target = ("//:image", "--output_groups=+digest")
    first = by_kind(bazel.steps(*target))
    packages = json.loads((bazel.desk.project / "lockfiles/train.lock.json").read_text())["platforms"]["linux-64"]
    number, layers = len(packages["conda"]), packages["image"]["layers"]
    assert first == {"Look": number, "Survey": 1, "Fragment": number, "Layer": len(layers), "Image": 1}
    digest = bazel.desk.project / "bazel-bin" / "image.digest"
    assert digest.read_text().strip() == digest_of(bazel)

    assert bazel.steps(*target) == []

    bazel.stock("2.0")
    bazel.desk("lock", "train", "--update", "probe")
    output = Path(bazel("info", "output_base").splitlines()[0])
    archives = {path: path.stat().st_mtime_ns for path in output.glob("external/train__linux-64__*/archive")}
    assert len(archives) == number
    again = bazel.steps(*target)
    assert by_kind(again) == {"Look": 1, "Survey": 1, "Fragment": 1, "Layer": 1, "Image": 1}
    for step in again:
        if step["mnemonic"] in {"HermeticLook", "HermeticFragment"}:
            assert step["commandArgs"][step["commandArgs"].index("--package") + 1] == "probe"
    fetched = {path.parent.name for path, time in archives.items() if path.stat().st_mtime_ns != time}
    assert fetched == {"train__linux-64__probe"}
    assert digest.read_text().strip() == digest_of(bazel)

    with registry(tmp_path / "registry") as server:
        bazel("run", "//:push", "--", f"{server.host}/team/train:2")
        assert server.inspect("team/train:2")["Digest"] == digest.read_text().strip()


def test_programs_and_tests_run_with_the_environments_python_alone(bazel: Bazel) -> None:
    said = bazel("run", "//:train")
    assert "y = 2.00 x + 1.00" in said
    assert "train.runfiles" in said.partition("by ")[2]
    bazel("test", "//:train_test")
    (bazel.desk.project / "train.py").write_text("def fit(x, y):\n    return 1.0, 0.0\n")
    assert "AssertionError" in bazel("test", "--test_output=errors", "//:train_test", status=3)


def test_a_lock_that_does_not_fit_fails_its_test_and_is_made_anew_by_a_run(bazel: Bazel) -> None:
    bazel("test", "//:lock_test")
    bazel.declare("probe", "idna")
    assert "idna was added" in bazel("test", "--test_output=errors", "//:lock_test", status=3)
    bazel("run", "//:lock")
    bazel("test", "//:lock_test")


def test_another_machine_takes_all_from_a_remote_cache(bazel: Bazel) -> None:
    with http_cache() as cache:
        words = (f"--remote_cache={cache.address}", "@train//:env", "//:train")
        bazel("build", *words)  # with an execution log Bazel 4 does not upload folders
        assert cache.wait_for("/ac/")
        other = bazel.desk.root / "bazel-other"
        assert [step["remoteCacheHit"] for step in bazel.steps(*words, root=other)] == [True]
        assert "y = 2.00 x + 1.00" in bazel("run", "//:train", root=other)


def test_bytes_that_are_not_the_locks_are_refused_before_anything_is_built(bazel: Bazel) -> None:
    archive = next(bazel.extra.rglob("probe-1.0*.conda"))
    archive.write_bytes(archive.read_bytes() + b"x")
    said = bazel("build", "@train//:env", status=1)
    assert "Checksum was" in said
    assert "probe" in said


@pytest.mark.parametrize(
    ("lock", "said"),
    [('{"lock_version": 9, "platforms": {}}', "lock_version 9 is not known"), ("{", "json.decode")],
)
def test_a_lock_that_cannot_be_read_is_told(bazel: Bazel, lock: str, said: str) -> None:
    (bazel.desk.project / "lockfiles" / "train.lock.json").write_text(lock)
    assert said in bazel("build", "@train//:env", status=1)


def test_an_image_needs_a_base(bazel: Bazel) -> None:
    path = bazel.desk.project / "lockfiles" / "train.lock.json"
    path.unlink()
    bazel.desk("lock", "train")
    lock = json.loads(path.read_text())
    lock["platforms"]["linux-64"].pop("image", None)
    path.write_text(json.dumps(lock))
    assert "hermetic base pin" in bazel("build", "//:image", status=1)
