"""docs/api.md: its examples run, and it tells of every public name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sdk_samples import needed_glibc
from support.servers import simple_index
from support.wheels import make_wheel

import hermetic

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLES = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_run(channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={channel}")
    make_wheel(tmp_path / "wheels", "tabulate", "0.9.1")
    text = PAGE.read_text()
    namespace: dict[str, object] = {}
    with simple_index(tmp_path / "wheels") as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{index.url}/simple/")
        for found in EXAMPLES.finditer(text):
            line = text.count("\n", 0, found.start(1))
            example = found[1].replace('"2.36"', repr(needed_glibc(channel)))  # what this machine's Python needs
            exec(compile("\n" * line + example, str(PAGE), "exec"), namespace)


def test_the_page_tells_of_every_public_name() -> None:
    text = PAGE.read_text()
    named = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", " ".join(re.findall(r"`([^`\n]+(?:\n[^`\n]+)*)`", text))))
    classes = (
        hermetic.Environment,
        hermetic.CondaDependencies,
        hermetic.PythonSection,
        hermetic.DockerSection,
        hermetic.DockerPlatform,
        hermetic.ContainerRegistry,
        hermetic.Workspace,
        hermetic.EnvironmentBuild,
        hermetic.LocalBuild,
        hermetic.LocalImage,
    )
    members = {name for kind in classes for name in dir(kind) if not name.startswith("_")}
    assert sorted({*hermetic.__all__, *members} - named) == []


def test_parameters_are_named_as_they_are() -> None:
    import inspect

    text = " ".join(PAGE.read_text().split())
    for function in (
        hermetic.Environment.lock,
        hermetic.Environment.register,
        hermetic.Environment.diff,
        hermetic.Environment.get,
        hermetic.Environment.add_private_pip_wheel,
        hermetic.Environment.build_local,
        hermetic.EnvironmentBuild.wait_for_completion,
        hermetic.Environment.from_docker_image,
        hermetic.CondaDependencies.create,
        hermetic.declare,
        hermetic.build,
    ):
        parameters = [
            parameter.replace(annotation=inspect.Parameter.empty)
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name != "self"
        ]
        signature = str(inspect.Signature(parameters)).replace("'", '"')
        assert f"`{function.__name__}{signature}`" in text.replace("*, ", "*, ")
