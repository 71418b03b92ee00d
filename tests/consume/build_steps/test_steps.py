"""Steps of build systems: together they give what hermetic gives in one go, and each depends on its inputs only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefix_samples import config, open_store, tree
from support.images import image_lock, one_layer_each, small_base
from support.wheels import make_wheel

from hermetic.consume.build_steps.__main__ import main
from hermetic.consume.build_steps.steps import BASE
from hermetic.lock.file import lock_to_dict, part_from_dict
from hermetic.lock.model import Base, ImagePlan, Lock, PlatformLock
from hermetic.outputs.oci.blobs import open_blob
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.model import BaseImage
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.prefix import build_prefix
from hermetic.realize.source_build import python_alone
from hermetic.store import Store

OPTIONS = {"user": "1000", "labels": {"org.example.team": "ml"}}


class Bench:
    """A folder in which the steps of one lock are run, as a build system would."""

    def __init__(self, folder: Path, lock: PlatformLock, channel: Path, wheels: dict[str, Path]) -> None:
        self.folder, self.lock = folder, lock
        folder.mkdir(exist_ok=True)
        self.archives = {p.name: channel / p.subdir / p.file_name for p in lock.conda}
        self.archives |= {f"pip:{name}": path for name, path in wheels.items()}
        self.options = self.write("options.json", OPTIONS)

    def write(self, name: str, value: Any) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def part(self, name: str, *names: str) -> Path:
        """Cut some packages out of the lock, or all of it."""
        value = lock_to_dict(Lock(spec={}, platforms={self.lock.platform: self.lock}))["platforms"][self.lock.platform]
        if names:
            value = {
                "conda": {n: v for n, v in value["conda"].items() if n in names},
                "wheels": {n: v for n, v in value.get("wheels", {}).items() if f"pip:{n}" in names},
            }
        return self.write(f"{name.replace(':', '_')}.part.json", {"platform": self.lock.platform, **value})

    def look(self, name: str) -> Path:
        out = self.folder / f"{name.replace(':', '_')}.contents.json"
        part = self.part(f"look-{name}", name, "python")
        step("look", part=part, package=name, archive=self.archives[name], out=out)
        return out

    def survey(self) -> tuple[Path, dict[str, Path]]:
        out, lost = self.folder / "survey.json", {n: self.folder / f"{n}.lost".replace(":", "_") for n in self.archives}
        words = [f"--contents={self.look(name)}" for name in self.archives]
        words += [f"--lost={name}={path}" for name, path in lost.items()]
        step("survey", *words, part=self.part("all"), out=out)
        return out, lost

    def fragment(self, name: str, lost: Path) -> tuple[Path, Path]:
        out, member = (self.folder / f"{name.replace(':', '_')}.fragment{end}" for end in (".json", ""))
        compiling = [p.name for p in python_alone(self.lock).conda] if json.loads(lost.read_text())["compiles"] else []
        words = [f"--archive={n}={self.archives[n]}" for n in {name: 1, **dict.fromkeys(compiling)}]
        names = {name, "python", *(p.name for p in python_alone(self.lock).conda)}
        part = self.part(f"fragment-{name}", *names)
        step("fragment", *words, part=part, package=name, lost=lost, options=self.options, out=out, member=member)
        return out, member

    def image(self, base: Path, *, order: int = 1) -> str:
        survey, lost = self.survey()
        made = {name: self.fragment(name, lost[name]) for name in list(self.archives)[::order]}
        words: list[str] = []
        assert self.lock.image
        for number, layer in enumerate(self.lock.image.layers):
            out, blob = self.folder / f"layer{number}.json", self.folder / f"layer{number}.blob"
            flat = [word for name in layer.packages for word in ("--fragment", *map(str, made[name]))]
            step("layer", *flat, f"--name={layer.name}", options=self.options, out=out, blob=blob)
            words += ["--layer", str(out), str(blob)]
        whole = self.folder / "image"
        step("image", *words, part=self.part("all"), survey=survey, base=base, options=self.options, out=whole)
        return (self.folder / "image.digest").read_text().strip()


def step(name: str, *words: str, **options: object) -> None:
    assert main([name, *words, *(f"--{option}={value}" for option, value in options.items())]) == 0


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    return {
        "my-tool": make_wheel(folder, "my-tool", scripts={"my-tool": "my_tool:main"}, files={"my_tool.py": "A = 1\n"})
    }


@pytest.fixture(scope="module")
def lock(channel: Path, wheels: dict[str, Path]) -> PlatformLock:
    found = image_lock(channel, "prefix-probe", "idna", wheels=wheels.values(), variables={"A": "1"})
    return replace(found, image=ImagePlan(Base("registry.example.org/team/small:1"), one_layer_each(found)))


def base_folder(folder: Path, base: BaseImage, store: Store) -> Path:
    """Write a base as the step that asks its registry does."""
    (folder / "blobs").mkdir(parents=True)
    for layer in base.layers:
        assert layer.blob
        with open_blob(store, layer.blob) as source:
            (folder / "blobs" / layer.descriptor.sha256).write_bytes(source.read())
    layers = [{**layer.descriptor.to_dict(), "diff_id": layer.diff_id} for layer in base.layers]
    told = {"reference": base.reference, "digest": base.digest, "config": dict(base.config), "layers": layers}
    (folder / BASE).write_text(json.dumps(told))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def bench(tmp_path: Path, lock: PlatformLock, channel: Path, wheels: dict[str, Path]) -> Bench:
    return Bench(tmp_path / "bench", lock, channel, wheels)


def test_the_steps_give_the_very_image_that_a_build_gives(
    tmp_path: Path, bench: Bench, lock: PlatformLock, channel: Path, store: Store
) -> None:
    assert lock.image
    base = small_base(store)
    addresses = {p.sha256: bench.archives[p.name].as_uri() for p in lock.conda}
    addresses |= {w.sha256: bench.archives[f"pip:{w.name}"].as_uri() for w in lock.wheels}
    image = build_image(
        lock, lock.image.layers, base, store=store, config=config(channel), addresses=addresses,
        options=ImageOptions(user="1000", labels={"org.example.team": "ml"}),
    )  # fmt: skip
    folder = base_folder(tmp_path / "base", base, store)
    assert bench.image(folder) == image.manifest.digest
    again = Bench(tmp_path / "again", lock, channel, {"my-tool": bench.archives["pip:my-tool"]})
    assert again.image(folder, order=-1) == image.manifest.digest
    for path in sorted(bench.folder.rglob("*")):
        if path.is_file() and ".part." not in path.name:
            assert path.read_bytes() == (again.folder / path.relative_to(bench.folder)).read_bytes(), path.name


def test_the_environment_is_that_which_a_build_gives(
    tmp_path: Path, bench: Bench, lock: PlatformLock, channel: Path, store: Store
) -> None:
    addresses = {w.sha256: bench.archives[f"pip:{w.name}"].as_uri() for w in lock.wheels}
    prefix = tmp_path / "built"
    build_prefix(lock, prefix, store=store, config=config(channel), addresses=addresses)
    archives = [f"--archive={name}={path}" for name, path in bench.archives.items()]
    step("env", *archives, part=bench.part("all"), prefix=prefix, out=tmp_path / "env")
    assert tree(tmp_path / "env", times=False) == tree(prefix, times=False)


def test_another_packages_change_leaves_a_fragments_inputs_alone(
    tmp_path: Path, bench: Bench, lock: PlatformLock, channel: Path, wheels: dict[str, Path]
) -> None:
    _, lost = bench.survey()
    newer = make_wheel(tmp_path, "my-tool", "2.0", files={"my_tool.py": "A = 2\n"})
    found = image_lock(channel, "prefix-probe", "idna", wheels=[newer], variables={"A": "2"})
    other = Bench(tmp_path / "other", replace(found, image=lock.image), channel, {"my-tool": newer})
    _, moved = other.survey()
    assert moved["idna"].read_bytes() == lost["idna"].read_bytes()
    bench.part("idna", "idna", "python")
    other.part("idna", "idna", "python")
    assert (other.folder / "idna.part.json").read_bytes() == (bench.folder / "idna.part.json").read_bytes()


def test_bytes_that_are_not_the_locks_are_refused(
    tmp_path: Path, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.conda"
    wrong.write_bytes(bench.archives["idna"].read_bytes()[:-1] + b"x")
    part, out = bench.part("idna", "idna", "python"), tmp_path / "out.json"
    assert main(["look", f"--part={part}", "--package=idna", f"--archive={wrong}", f"--out={out}"]) == 5
    assert "sha256" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["look", "--package=nothing", "--archive=x"], "no package 'nothing'"),
        (["look", "--package=idna", "--archive=/nowhere"], "there is no archive of idna"),
        (["survey"], "nothing tells what is in"),
        (["fragment", "--package=idna", "--archive=idna", "--lost=x", "--member=y"], "no NAME=FILE"),
        (["env", "--archive=other=x"], "no package 'other'"),
    ],
)
def test_bad_arguments_are_told(
    tmp_path: Path, bench: Bench, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    part = bench.part("bad", "idna", "python")
    assert main([*words, f"--part={part}", f"--out={tmp_path / 'out'}"]) == 2
    assert said in capsys.readouterr().err


def test_a_part_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, text in enumerate(("{", "[]", '{"platform": "linux-64", "conda": {"a": {"version": 1}}}')):
        part = tmp_path / f"{number}.json"
        part.write_text(text)
        assert main(["env", f"--part={part}", f"--out={tmp_path / 'out'}"]) == 2
        assert str(part) in capsys.readouterr().err


def test_what_the_machine_refuses_is_told(tmp_path: Path, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    part = bench.part("idna", "idna", "python")
    (tmp_path / "taken").write_text("a file")
    words = ["look", f"--part={part}", "--package=idna", f"--archive={bench.archives['idna']}"]
    assert main([*words, f"--out={tmp_path / 'taken' / 'out'}"]) == 6
    assert capsys.readouterr().err.startswith("hermetic look: ")


def test_one_package_is_fetched_by_itself(
    tmp_path: Path, bench: Bench, channel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMETIC_CHANNELS", f"demo={channel}")
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    out = tmp_path / "archive"
    for _ in range(2):  # what an earlier run left is replaced
        step("fetch", part=bench.part("one", "idna"), out=out)
        assert out.read_bytes() == bench.archives["idna"].read_bytes()
    step("addresses", part=bench.part("one", "idna"), out=tmp_path / "addresses.json")
    assert json.loads((tmp_path / "addresses.json").read_text()) == {"idna": [bench.archives["idna"].as_uri()]}


def test_a_part_is_read_as_the_lock_has_it(bench: Bench, lock: PlatformLock) -> None:
    assert part_from_dict(json.loads(bench.part("all").read_text())) == lock


def test_a_step_asks_no_network_and_reads_no_store(tmp_path: Path, bench: Bench) -> None:
    part = bench.part("two", "idna", "python")
    command = [sys.executable, "-m", "hermetic.consume.build_steps", "env", f"--part={part}", f"--out={tmp_path / 'e'}"]
    environment = {**os.environ, "HERMETIC_STORE": str(tmp_path / "store"), "HERMETIC_CONFIG": "/nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert not (tmp_path / "store").exists()
