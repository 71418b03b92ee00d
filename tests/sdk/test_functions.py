"""Locking and building from Python: real solves, real prefixes, real ends of programs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sdk_samples import needed_glibc
from support.wheels import make_wheel

import hermetic
from hermetic import CondaDependencies, Environment, HermeticWarning, Lock, Spec
from hermetic.errors import DriftError, UnsatisfiableError, UsageError
from hermetic.lock.file import read_lock
from hermetic.platforms import current_platform


@pytest.fixture
def work(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder where the default channel is the one made by hand."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={tiny_channel}")
    return folder


def environment(*packages: str, name: str | None = "example") -> Environment:
    made = Environment(name)
    for package in packages:
        made.python.conda_dependencies.add_conda_package(package)
    return made


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def versions(lock: Lock, platform: str = "linux-64") -> dict[str, str]:
    return {package.name: package.version for package in lock.platforms[platform].conda}


class TestLock:
    def test_is_written_where_the_command_line_has_it(self, work: Path) -> None:
        lock = environment("app").lock(platforms=["linux-64"])
        path = work / "lockfiles" / "example.lock.json"
        assert read_lock(path) == lock
        assert versions(lock)["app"] == "2.0"
        before = path.read_bytes()
        assert environment("app").lock() == lock
        assert path.read_bytes() == before

    def test_covers_the_platforms_that_are_asked_for(self, work: Path) -> None:
        lock = environment("app").lock("train.lock.json", platforms=["linux-64", "osx-arm64"])
        assert sorted(lock.platforms) == ["linux-64", "osx-arm64"]
        assert sorted(environment("app").lock("train.lock.json").platforms) == ["linux-64", "osx-arm64"]
        with pytest.raises(UsageError, match="unknown platform"):
            environment("app").lock(platforms=["linux"])
        with pytest.raises(TypeError, match="platforms is a list"):
            environment("app").lock(platforms="linux-64")

    def test_keeps_its_pins_until_they_may_move(self, work: Path) -> None:
        assert versions(environment("app<2").lock(platforms=["linux-64"]))["app"] == "1.5"
        assert versions(environment("app", "accel").lock())["app"] == "1.5"
        assert versions(environment("app", "accel").lock(update=["app"]))["app"] == "2.0"

    def test_a_gpu_is_declared_not_needed(self, work: Path) -> None:
        made = environment("accel")
        made.accelerator = "cuda-12.4"
        builds = {
            package.name: package.build for package in made.lock(platforms=["linux-64"]).platforms["linux-64"].conda
        }
        assert builds["accel"] == "cuda_1"

    def test_an_unsatisfiable_one_leaves_no_lock(self, work: Path) -> None:
        with pytest.raises(UnsatisfiableError, match="left") as caught:
            environment("left", "right").lock(platforms=["linux-64"])
        assert caught.value.exit_status == 3
        assert not (work / "lockfiles").exists() or not list((work / "lockfiles").iterdir())

    def test_without_a_name_it_needs_a_path(self, work: Path) -> None:
        with pytest.raises(UsageError, match="has no name"):
            environment("app", name=None).lock()
        assert versions(environment("app", name=None).lock("x.lock.json", platforms=["linux-64"]))["app"] == "2.0"

    def test_the_lock_of_a_declared_environment_is_not_overwritten(self, work: Path) -> None:
        (work / "hermetic.toml").write_text('[environments.example]\ndependencies = ["base"]\n')
        with pytest.raises(UsageError, match=r"hermetic\.toml declares"):
            environment("app").lock()
        environment("app").lock("other.lock.json", platforms=["linux-64"])

    def test_channels_of_the_project_are_known(
        self, work: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HERMETIC_CHANNELS")
        (work.parent / "hermetic.toml").write_text(f'[channels]\ntiny = "{tiny_channel.name}"\n')
        made = environment("app")
        made.python.conda_dependencies.remove_channel("conda-forge")
        made.python.conda_dependencies.add_channel("tiny")
        lock = made.lock(platforms=["linux-64"])
        assert {package.channel for package in lock.platforms["linux-64"].conda} == {"tiny"}

    def test_says_nothing_unless_asked(self, work: Path, capfd: pytest.CaptureFixture[str]) -> None:
        environment("app").lock(platforms=["linux-64"])
        assert capfd.readouterr() == ("", "")
        environment("app", "accel").lock(show_output=True)
        assert "example" in capfd.readouterr().out

    def test_takes_the_newest_python_that_the_pip_packages_admit(self, work: Path) -> None:
        wheel = make_wheel(work / "dist", "mine", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
        requirements = _write(work / "r.txt", "--no-index\n--find-links ./dist\nmine\n")
        made = Environment.from_pip_requirements("example", requirements)
        lock = made.lock(platforms=["linux-64"])
        assert versions(lock)["python"] == "3.11.9"
        assert [package.file_name for package in lock.platforms["linux-64"].wheels] == [wheel.name]

    def test_what_is_not_used_is_warned_of(self, work: Path) -> None:
        path = _write(work / "r.txt", "--trusted-host example.org\n")
        with pytest.warns(HermeticWarning, match="--trusted-host is not used"):
            hermetic.lock(path)

    def test_works_where_a_loop_runs_already(self, work: Path) -> None:
        async def notebook() -> Lock:
            return environment("app").lock(platforms=["linux-64"])

        assert versions(asyncio.run(notebook()))["app"] == "2.0"


class TestLockFunction:
    def test_every_source_gives_the_same_lock(self, work: Path) -> None:
        (work / "environment.yml").write_text("channels: [conda-forge]\ndependencies: [python, app<2]\n")
        environment("app<2").save_to_directory("directory")
        sources = [
            "environment.yml",
            [Path("environment.yml")],
            "directory",
            environment("app<2"),
            environment("app<2").python.conda_dependencies,
            hermetic.declare(["python", "app<2"], channels=["conda-forge"]),
        ]
        locks = [hermetic.lock(source, platforms=["linux-64"]) for source in sources]
        assert all(lock == locks[0] for lock in locks)
        assert versions(locks[0])["app"] == "1.5"
        assert not (work / "lockfiles").exists()

    def test_writes_only_to_a_path_and_keeps_its_pins(self, work: Path) -> None:
        hermetic.lock(hermetic.declare(["app<2"]), "a.lock.json", platforms=["linux-64"])
        lock = hermetic.lock(hermetic.declare(["app"]), "a.lock.json")
        assert versions(lock)["app"] == "1.5"
        assert read_lock("a.lock.json") == lock

    def test_addresses_of_channels_can_be_given(self, work: Path, tiny_channel: Path) -> None:
        spec = hermetic.declare(["app"], channels=["mine"], platforms=["linux-64"])
        lock = hermetic.lock(spec, channels={"mine": str(tiny_channel)})
        assert {package.channel for package in lock.platforms["linux-64"].conda} == {"mine"}

    def test_is_a_module_too(self) -> None:
        import hermetic.lock.model as module

        assert hermetic.lock.model is module  # type: ignore[attr-defined]
        assert hermetic.lock.model.Lock is Lock  # type: ignore[attr-defined]

    def test_what_cannot_be_locked(self, work: Path) -> None:
        with pytest.raises(TypeError, match="int cannot be locked"):
            hermetic.lock(5)  # type: ignore[arg-type]
        with pytest.raises(FileNotFoundError, match=r"nothing\.yml"):
            hermetic.lock("nothing.yml")
        with pytest.raises(UsageError, match="no spec file"):
            hermetic.lock([])


class TestDeclare:
    def test_says_what_files_say(self) -> None:
        spec = hermetic.declare(
            ["python=3.11", "numpy>=1.26"],
            ["requests>=2", "--extra-index-url https://example.org/simple"],
            channels=["conda-forge"],
            platforms=["linux-64"],
            accelerator="cuda-12.4",
            system={"glibc": "2.35"},
            variables={"A": "1"},
            source_builds=["annoy"],
        )
        assert isinstance(spec, Spec)
        assert [item.match for item in spec.conda] == ["numpy >=1.26", "python 3.11.*"]
        assert [item.text for item in spec.pip] == ["requests>=2"]
        assert spec.options.extra_indexes == ("https://example.org/simple",)
        assert (str(spec.accelerator), spec.system) == ("cuda-12.4", (("__glibc", "2.35"),))
        assert (spec.variables, spec.platforms, spec.source_builds) == ((("A", "1"),), ("linux-64",), ("annoy",))

    def test_nothing_is_an_empty_spec(self) -> None:
        assert hermetic.declare() == Spec()

    def test_lists_are_lists(self) -> None:
        with pytest.raises(TypeError, match="conda is a list of texts"):
            hermetic.declare("numpy")


class TestBuild:
    @pytest.mark.parametrize(
        "arguments",
        [{"useDocker": False, "pushImageToWorkspaceAcr": True}, {"useDocker": False, "registry": "r"}, {"prefix": "x"}],
    )
    def test_what_makes_no_sense_together(self, work: Path, arguments: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="build_local: ") as caught:
            environment("base").build_local(**arguments)
        assert caught.value.remedy

    def test_what_is_user_managed_needs_no_build(self, work: Path) -> None:
        made = Environment.from_docker_image("example", "base:1")
        with pytest.raises(UsageError, match="user-managed"):
            made.build_local(useDocker=False)

    def test_only_this_machine_can_be_built_for(self, work: Path) -> None:
        with pytest.raises(UsageError, match="cannot be built on"):
            environment("base").build_local(platform="Windows", useDocker=False)

    def test_the_prefix_and_the_lock_have_their_places(self, work: Path) -> None:
        made = environment("base")
        made.python.conda_dependencies.remove_conda_package("python")
        built = made.build_local(workspace=None, platform=None, useDocker=False)
        assert built.changed
        assert built.prefix == work / ".hermetic" / "envs" / "example"
        assert built.lock_path == work / "lockfiles" / "example.lock.json"
        assert built.lock == read_lock(built.lock_path)
        assert (built.prefix / "share" / "base.txt").read_text() == f"base 2.0 in {built.prefix}\n"
        again = made.build_local(useDocker=False)
        assert (again.changed, again.key, again.prefix) == (False, built.key, built.prefix)

    def test_a_lock_that_does_not_fit_is_mended_or_an_error(self, work: Path) -> None:
        def made(package: str) -> Environment:
            found = environment(package)
            found.python.conda_dependencies.remove_conda_package("python")
            return found

        with pytest.raises(DriftError, match="does not fit") as caught:
            made("base<2").build_local(useDocker=False, locked=True)
        assert "Environment.lock()" in str(caught.value.remedy)
        assert not (work / ".hermetic").exists()
        made("base<2").build_local(useDocker=False)
        assert (work / ".hermetic" / ".gitignore").read_text() == "*\n"
        assert made("base<2").build_local(useDocker=False, locked=True).changed is False
        with pytest.raises(DriftError):
            made("base>=2").build_local(useDocker=False, locked=True)
        assert "2.0" in (made("base>=2").build_local(useDocker=False).prefix / "share" / "base.txt").read_text()

    def test_a_lock_is_enough(self, work: Path) -> None:
        lock = hermetic.lock(hermetic.declare(["base"]))
        built = hermetic.build(lock, "there")
        assert built.prefix == work / "there"
        assert (built.lock, built.lock_path) == (lock, None)
        assert (built.prefix / "share" / "base.txt").is_file()
        assert not hermetic.build(hermetic.declare(["base"]), "there").changed

    def test_with_a_path_the_lock_is_kept(self, work: Path) -> None:
        built = hermetic.build(hermetic.declare(["base<2"]), "there", path="mine.lock.json")
        assert read_lock("mine.lock.json") == built.lock
        assert built.lock_path == work / "mine.lock.json"
        assert (
            hermetic.build(hermetic.declare(["base<2"]), "there", path="mine.lock.json", locked=True).changed is False
        )


def test_an_environment_from_code_runs(work: Path, channel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={channel}")
    wheel = make_wheel(work / "dist", "mine", "1.0")
    made = Environment("train")
    made.python.conda_dependencies = CondaDependencies.create(
        conda_packages=["numpy"], pip_packages=[f"./dist/{wheel.name}"], python_version="3.11"
    )
    made.environment_variables["GREETING"] = "hello"
    made.system = {"glibc": needed_glibc(channel)}
    built = made.build_local(useDocker=False)
    code = "import numpy, mine, os, sys; print(os.environ['GREETING'], numpy.arange(3).sum(), sys.prefix)"
    result = subprocess.run(
        [built.python, "-c", code],
        env=built.environment_variables({"PATH": "/usr/bin"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout.split() == ["hello", "3", str(built.prefix)]

    found = Environment.from_existing_conda_environment("again", built.prefix)
    conda = dict(text.split("==") for text in found.python.conda_dependencies.conda_packages)
    assert conda == {package.name: package.version for package in built.lock.platforms[current_platform()].conda}
    assert [item.name for item in found.to_spec().pip] == ["mine"]


ENDS = """
import hermetic
from hermetic.sdk.leaving import _activity
lock = hermetic.lock(hermetic.declare(["app"]), platforms=["linux-64"])
print(len(lock.platforms), len(_activity()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are watched through /proc")
def test_a_program_that_locks_may_end_at_once(work: Path) -> None:
    for _ in range(6):  # without the wait at the end, one in twelve crashes
        result = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")
        locked, threads = map(int, result.stdout.split())
        assert locked == 1
        assert threads > 0, "py-rattler's threads have another name now, so nobody waits for them"
