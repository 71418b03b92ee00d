"""What ``--json`` prints has the shape that docs/json.md shows, key by key."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.wheels import make_wheel

PAGE = (Path(__file__).parent.parent.parent / "docs" / "json.md").read_text()
CALLS = {
    "init --channel tiny=CHANNEL --platform linux-64": "init",
    "add app<2 left": "add",
    "remove left": "add",
    "lock": "lock",
    "lock --update": "lock",
    "lock --update app --summary json": "lock --summary",
    "lock --check": "lock --check",
    "build": "build",
    "verify": "verify",
    "export -f explicit": "export",
    "import explicit.txt --name other": "import",
    "tree": "tree",
    "tree --flat": "tree",
    "why base": "why",
    "why base --all": "why",
    "add app=2": "add",
    "diff old.lock.json default": "diff",
    "store info": "store info",
    "store verify": "store verify",
    "build --oci-layout out --base scratch": "build of an image",
    "build --oci-layout out --explain": "build --explain",
    "verify out": "verify of an image",
    "pack -o x.sh": "pack",
    "ci check": "ci check",
    "ci check --verify": "ci check",
    "ci key": "ci key",
    "workspace init team --artefacts files": "workspace init",
    "workspace key add --note ci": "workspace key add",
    "workspace show": "workspace show",
    "workspace key revoke wheels/x/y.whl": "workspace key",
    "environment scaffold -n train -d train": "environment scaffold",
    "environment register -d train": "environment register",
    "environment register -d train -n other": "environment register",
    "environment list": "environment list",
    "environment show train": "environment show",
    "environment show Hermetic-Minimal": "environment show",
    "environment versions train": "environment versions",
    "environment diff train other": "environment diff",
    "environment lock Hermetic-Minimal": "environment lock",
    "environment archive other:1": "environment archive",
    "environment archive other": "environment archive",
    "environment download -n train -d copy": "environment download",
    "wheel add mine-1.0-py3-none-any.whl": "wheel add",
    "wheel list": "wheel add",
    "build nothere": "an error",
    "build --nosuch": "an error",
}
"""What is called, and whose example its document is like."""


def documented(title: str) -> Any:
    found = re.search(rf"^### {re.escape(title)}\n(?:(?!###).*\n)*?```json\n((?:.*\n)*?)```", PAGE, re.MULTILINE)
    assert found, f"docs/json.md has no example of {title}"
    return json.loads(found[1])


def fits(said: Any, example: Any, where: str) -> None:
    """Compare keys, and kinds of values; null fits all, and of findings, whatever is empty may be missing."""
    if said is None or example is None:
        return
    assert type(said) is type(example), where
    if isinstance(example, dict) and where.endswith(
        (".platforms", ".layers.packages", ".variables")
    ):  # keys are names; an empty example is any
        for item in said.values() if example else ():
            fits(item, next(iter(example.values())), where + "[]")
    elif isinstance(example, dict):
        assert said.keys() == example.keys() or (".findings" in where and said.keys() < example.keys()), where
        for key in said:
            fits(said[key], example[key], f"{where}.{key}")
    if isinstance(example, list):
        assert example or not said, f"{where}: the example has no entry"
        for item in said:
            fits(item, example[0], where)


@pytest.mark.skipif(sys.platform != "linux", reason="the examples are of Linux")
def test_documents_are_as_the_page_shows_them(tmp_path: Path, tiny_channel: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()

    def call(*words: str) -> dict[str, Any]:
        ran = subprocess.run(
            [sys.executable, "-m", "hermetic", *words, "--json"],
            cwd=project, capture_output=True, text=True, check=False,
            env={**os.environ, "HERMETIC_STORE": str(tmp_path / "store")},
        )  # fmt: skip
        found: dict[str, Any] = json.loads(ran.stdout or ran.stderr)
        return found

    make_wheel(project, "mine", "1.0")
    for words, title in CALLS.items():
        said = call(*words.replace("CHANNEL", str(tiny_channel)).split())
        fits(said, documented(title), words)
        if words.startswith("export"):
            (project / "explicit.txt").write_text(said["text"])
            (project / "old.lock.json").write_bytes((project / "lockfiles" / "default.lock.json").read_bytes())
    (project / ".hermetic" / "envs" / "default" / "share" / "base.txt").unlink()
    found = call("verify")
    assert found["findings"]
    fits(found, documented("verify"), "verify")
    manifest = project / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace("app=2", "app=1"))
    (url,) = (item["url"] for item in call("wheel", "list")["wheels"])
    fits(call("wheel", "sign", url, "--expires", "1h"), documented("wheel sign"), "wheel sign")
    conda = project / "copy" / "conda_dependencies.yml"
    conda.write_text(conda.read_text() + "variables: {A: b}\n")
    fits(call("environment", "register", "-d", "copy"), documented("environment register"), "environment register")
    found = call("environment", "diff", "train:1", "train:2")
    assert found["definition"]
    fits(found, documented("environment diff"), "environment diff")
    found = call("lock", "--check")
    assert not found["fits"]
    fits(found, documented("lock --check"), "lock --check")
    found = call("ci", "check")
    assert found["checks"][0]["problems"]
    fits(found, documented("ci check"), "ci check")
    (project / "image.json").write_text(json.dumps(documented("build of an image")))
    fits(call("ci", "outputs", "image.json"), documented("ci outputs"), "ci outputs")
