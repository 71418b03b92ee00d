"""What has no wheel: refused with the way out, or pinned, built, and locked by the built wheel's digest."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.guarded import guarded
from tiny_channel import Server, misbehaving, python, write_channel
from tiny_wheels import make_wheel, write_index

from hermetic.config import Config
from hermetic.errors import NetworkError, OfflineError, Place, SpecError, UnsatisfiableError
from hermetic.lock.file import format_lock
from hermetic.lock.model import Lock, PlatformLock, Wheel
from hermetic.lock.resolve import resolve
from hermetic.lock.source import BuiltWheel, ResolveBuildRequirements, SourceBuild
from hermetic.platforms import current_platform
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import PipOptions, Spec
from hermetic.spec.pep508 import Origin, pip_requirement

HERE = current_platform()
ELSEWHERE = "osx-arm64" if HERE != "osx-arm64" else "linux-64"


class Workshop:
    """A channel, an index with an sdist on it, and a builder that makes the wheels it is told to."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.channel = write_channel(
            folder / "channel", python(subdir=HERE), python(subdir=ELSEWHERE), python("3.12.1", subdir=HERE)
        )
        wheels = folder / "wheels"
        make_wheel(wheels, "leaf", "1.0")
        make_wheel(wheels, "backend", "3.0", "leaf")
        make_wheel(wheels, "app", "1.0", "old-style >=1")
        make_wheel(wheels, "sometimes", "1.0")
        write_index(folder / "simple", wheels)
        self.sdists = {name: self.add_sdist(name, version) for name, version in
                       (("old-style", "1.4"), ("sometimes", "2.0"))}  # fmt: skip
        self.requires: Mapping[str, tuple[str, ...]] = {"old-style": ("leaf",)}
        self.tag = "py3-none-any"
        self.built: list[tuple[SourceBuild, PlatformLock]] = []

    def add_sdist(self, name: str, version: str) -> str:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as archive:
            info = tarfile.TarInfo(f"{name}-{version}/setup.py")
            text = b"raise SystemExit('no resolver may run this')\n"
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
        file = f"{name}-{version}.tar.gz"
        (self.folder / "wheels" / file).write_bytes(data.getvalue())
        digest = sha256(data.getvalue()).hexdigest()
        page = self.folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        before = page.read_text() if page.exists() else ""
        page.write_text(f'{before}<a href="../../wheels/{file}#sha256={digest}">{file}</a>\n')
        return digest

    def repository(self, name: str) -> tuple[str, Path]:
        """Make a Git repository that loopback serves; give its address and its folder."""
        folder = self.folder / name
        folder.mkdir()
        self.git(folder, "init", "--quiet", "--initial-branch=main")
        self.commit(folder, "first")
        return f"git+{self.server.address}/{name}/.git", folder

    def commit(self, folder: Path, text: str) -> str:
        (folder / "file.txt").write_text(text)
        self.git(folder, "add", "file.txt")
        self.git(folder, "commit", "--quiet", "--message", text)
        self.git(folder, "update-server-info")
        return self.git(folder, "rev-parse", "HEAD")

    def git(self, folder: Path, *arguments: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    def build(
        self, source: SourceBuild, environment: PlatformLock, requirements: ResolveBuildRequirements
    ) -> BuiltWheel:
        self.built.append((source, environment))
        made = make_wheel(self.folder / "built", source.name, source.version or "0.1",
                          *self.requires.get(source.name, ()), tag=self.tag)  # fmt: skip
        path = self.folder / "built" / made.file_name
        return BuiltWheel(str(path), made.file_name, made.sha256, made.size, source.sha256, "b" * 64)

    def lock(self, pip: list[str], *allowed: str, previous: Lock | None = None, **more: Any) -> Lock:
        editable = more.pop("editable", False)
        spec = Spec(
            channels=("demo",),
            conda=(canonical_match("python 3.11.*"),) if not more.pop("any_python", False) else (),
            pip=tuple(
                pip_requirement(text, Origin(Place("requirements.txt", n)), editable=editable)
                for n, text in enumerate(pip, 1)
            ),
            platforms=more.pop("platforms", (HERE,)),
            options=more.pop("options", PipOptions(index=f"{self.server.address}/simple")),
            source_builds=allowed,
        )
        more.setdefault("build_wheel", self.build)
        config = Config(channels={"demo": str(self.channel)}, store=self.folder / "cache")
        lock = resolve(spec, config=config, root=self.folder, previous=previous, **more).lock
        format_lock(lock)
        return lock


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    with misbehaving(tmp_path) as server:
        yield Workshop(tmp_path, server)


def wheels_of(lock: Lock, platform: str = HERE) -> dict[str, Wheel]:
    return {wheel.name: wheel for wheel in lock.platforms[platform].wheels}


class TestRefused:
    def test_a_project_without_wheels(self, workshop: Workshop) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            workshop.lock(["leaf", "app"])
        assert caught.value.place == Place("requirements.txt", 2)
        assert "old-style" in caught.value.message
        assert caught.value.remedy is not None
        assert 'source-builds = ["old-style"]' in caught.value.remedy
        assert not workshop.built

    def test_an_older_wheel_is_better_than_a_newer_sdist(self, workshop: Workshop) -> None:
        assert wheels_of(workshop.lock(["sometimes"]))["sometimes"].version == "1.0"

    @pytest.mark.parametrize(
        ("text", "editable"),
        [
            ("mine @ git+https://git.example.org/mine@main", False),
            ("mine @ https://example.org/mine-1.0.tar.gz", False),
            ("mine @ ./project", False),
            ("./mine-1.0.tar.gz", False),
            ("mine @ ./project", True),
        ],
    )
    def test_a_direct_reference_to_sources(self, workshop: Workshop, text: str, editable: bool) -> None:
        with pytest.raises(SpecError) as caught:
            workshop.lock(["leaf", text], editable=editable) if not editable else workshop.lock([text], editable=True)
        assert caught.value.place is not None
        assert caught.value.exit_status == 2
        assert 'source-builds = ["mine"]' in str(caught.value.remedy)

    def test_a_folder_that_does_not_say_its_name(self, workshop: Workshop) -> None:
        with pytest.raises(SpecError) as caught:
            workshop.lock(["./project"], "project")
        assert "NAME @ ./project" in str(caught.value.remedy)

    def test_an_option_that_asks_for_sources(self, workshop: Workshop) -> None:
        for name in ("leaf", ":all:"):
            options = PipOptions(index=f"{workshop.server.address}/simple", no_binary=(name,))
            with pytest.raises(SpecError, match="no-binary"):
                workshop.lock(["leaf"], options=options)

    def test_allowed_but_nothing_here_can_build(self, workshop: Workshop) -> None:
        with pytest.raises(UnsatisfiableError, match="nothing here can build it"):
            workshop.lock(["app"], "old-style", build_wheel=None)


class TestBuilt:
    def test_an_sdist_of_the_index(self, workshop: Workshop) -> None:
        """What the built wheel needs is resolved too, and no resolver ran the sdist's code."""
        found = wheels_of(workshop.lock(["app"], "old-style"))
        assert sorted(found) == ["app", "leaf", "old-style"]
        wheel = found["old-style"]
        assert (wheel.version, wheel.requires, wheel.url) == ("1.4", ("leaf",), "")
        assert wheel.sha256 == sha256((workshop.folder / "built" / wheel.file_name).read_bytes()).hexdigest()
        assert wheel.size == (workshop.folder / "built" / wheel.file_name).stat().st_size
        assert wheel.origin is not None
        assert (wheel.origin.file_name, wheel.origin.sha256) == ("old-style-1.4.tar.gz", workshop.sdists["old-style"])
        ((source, environment),) = workshop.built
        assert (source.name, source.version, source.sha256) == ("old-style", "1.4", workshop.sdists["old-style"])
        assert [(p.name, p.version) for p in environment.conda] == [("python", "3.11.7")]

    @pytest.mark.parametrize("configured", ["nothing", "nowhere", "a file"])
    def test_no_configuration_of_uv_lets_an_sdist_run(
        self, workshop: Workshop, configured: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("UV_NO_CONFIG")
        if configured == "nowhere":
            monkeypatch.setenv("UV_NO_CONFIG", "1")
        elif configured == "a file":
            (workshop.folder / "own.toml").write_text("offline = false\n")
            monkeypatch.setenv("UV_CONFIG_FILE", str(workshop.folder / "own.toml"))
        assert "old-style" in wheels_of(workshop.lock(["app"], "old-style"))

    def test_everything_may_be_allowed(self, workshop: Workshop) -> None:
        assert "old-style" in wheels_of(workshop.lock(["app"], ":all:"))

    def test_a_build_may_lead_to_another(self, workshop: Workshop) -> None:
        workshop.add_sdist("deeper", "1.0")
        workshop.requires = {"old-style": ("deeper",)}
        found = wheels_of(workshop.lock(["app"], "old-style", "deeper"))
        assert {source.name for source, _ in workshop.built} == {"old-style", "deeper"}
        assert found["old-style"].requires == ("deeper",)

    def test_build_requirements_are_resolved_for_the_environment(self, workshop: Workshop) -> None:
        seen: list[Wheel] = []

        def build(source: SourceBuild, environment: PlatformLock, requirements: ResolveBuildRequirements) -> BuiltWheel:
            seen.extend(requirements([pip_requirement("backend>=2", Origin())]).wheels)
            return workshop.build(source, environment, requirements)

        workshop.lock(["app"], "old-style", build_wheel=build)
        assert [(w.name, w.version, w.size > 0) for w in seen] == [("backend", "3.0", True), ("leaf", "1.0", True)]

    def test_another_platform_takes_a_wheel_that_holds_nothing_of_this_one(self, workshop: Workshop) -> None:
        lock = workshop.lock(["app"], "old-style", platforms=(HERE, ELSEWHERE))
        assert wheels_of(lock)["old-style"] == wheels_of(lock, ELSEWHERE)["old-style"]
        assert {environment.platform for _, environment in workshop.built} == {HERE}

    def test_another_platform_refuses_a_wheel_of_this_one(self, workshop: Workshop) -> None:
        workshop.tag = "cp311-cp311-linux_x86_64"
        with pytest.raises(UnsatisfiableError, match=f"must be built for {ELSEWHERE}"):
            workshop.lock(["app"], "old-style", platforms=(ELSEWHERE,))

    @pytest.mark.parametrize("text", ["mine @ ./project", "./mine-1.0.tar.gz"])
    def test_sources_that_are_not_there(self, workshop: Workshop, text: str) -> None:
        with pytest.raises(SpecError, match=r"there is no f.* \./(project|mine)") as caught:
            workshop.lock([text], "mine")
        assert caught.value.place
        assert workshop.built == []

    def test_sources_that_the_project_has(self, workshop: Workshop) -> None:
        (workshop.folder / "project").mkdir()
        wheel = wheels_of(workshop.lock(["mine @ ./project"], "mine"))["mine"]
        assert (wheel.url, wheel.origin and wheel.origin.url) == ("", "./project")
        assert workshop.built[0][0].path == str(workshop.folder / "project")

    def test_a_digest_in_the_spec_reaches_the_builder(self, workshop: Workshop) -> None:
        workshop.lock([f"mine @ https://example.org/mine-1.0.tar.gz#sha256={'a' * 64}"], "mine")
        source = workshop.built[0][0]
        assert (source.url, source.sha256) == ("https://example.org/mine-1.0.tar.gz", "a" * 64)


class TestGit:
    def test_a_branch_is_pinned_and_stays(self, workshop: Workshop) -> None:
        address, folder = workshop.repository("tool")
        first = workshop.git(folder, "rev-parse", "HEAD")
        lock = workshop.lock([f"tool @ {address}@main"], "tool")
        origin = wheels_of(lock)["tool"].origin
        assert origin is not None
        assert (origin.commit, origin.url) == (first, f"{address}@main")
        second = workshop.commit(folder, "second")
        again = workshop.lock([f"tool @ {address}@main"], "tool", previous=lock)
        assert workshop.built[-1][0].commit == first
        assert again.platforms == lock.platforms
        workshop.lock([f"tool @ {address}@main"], "tool", previous=lock, update=["tool"])
        assert workshop.built[-1][0].commit == second

    def test_a_secret_reaches_the_server_and_no_command_line(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, folder = workshop.repository("tool")
        monkeypatch.setattr("hermetic.vault_hook.lookup", {"git-token": "hunter2+more/x"}.get)
        with guarded(folder / ".git", "me", "hunter2+more/x") as guard:
            lock = workshop.lock([f"tool @ git+{guard.address('me:${secret:git-token}')}/@main"], "tool")
            assert guard.asked
            assert guard.shown == []
        assert "hunter2" not in format_lock(lock)

    def test_a_tag_and_a_commit(self, workshop: Workshop) -> None:
        address, folder = workshop.repository("tool")
        first = workshop.git(folder, "rev-parse", "HEAD")
        workshop.git(folder, "tag", "--annotate", "--message", "one", "v1")
        workshop.commit(folder, "second")
        workshop.lock([f"tool @ {address}@v1"], "tool")
        workshop.lock([f"tool @ git+https://git.example.org/tool@{first}"], "tool", offline=False)
        assert [source.commit for source, _ in workshop.built] == [first, first]

    def test_what_the_repository_does_not_have(self, workshop: Workshop) -> None:
        address, _ = workshop.repository("tool")
        with pytest.raises(SpecError, match="no branch or tag absent"):
            workshop.lock([f"tool @ {address}@absent"], "tool")
        with pytest.raises(NetworkError, match="cannot be read"):
            workshop.lock([f"tool @ git+{workshop.server.address}/nothing/.git@main"], "tool")

    def test_other_systems_are_refused(self, workshop: Workshop) -> None:
        with pytest.raises(SpecError, match="only Git"):
            workshop.lock(["tool @ hg+https://hg.example.org/tool"], "tool")

    def test_offline_a_branch_cannot_be_pinned(self, workshop: Workshop) -> None:
        address, _ = workshop.repository("tool")
        lock = workshop.lock([f"tool @ {address}@main"], "tool")
        with pytest.raises(OfflineError, match="which commit main is"):
            workshop.lock([f"tool @ {address}@main"], "tool", offline=True)
        again = workshop.lock([f"tool @ {address}@main"], "tool", previous=lock, offline=True)
        assert replace(again, spec=lock.spec) == lock
