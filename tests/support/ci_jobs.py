"""Jobs of CI systems, as far as our templates need them: their shell steps run for real, the rest is stood in for.

Stood in for are: the system's own expressions and conditions, the set-up of Python, and the cache, which copies
folders to and from one under its key, as the systems' do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.ci_runners import azure_commands, github_commands, github_outputs

ROOT = Path(__file__).parents[2]
PYTHON = getattr(sys, "_base_executable", sys.executable)


@dataclass
class Job:
    """One job on a fresh machine: a checkout, a home, a folder for temporary files, and a cache that outlives it."""

    checkout: Path
    machine: Path
    cache: Path
    variables: dict[str, str] = field(default_factory=dict)
    output: str = ""
    restored: str = ""
    status: int = 0

    def __post_init__(self) -> None:
        for name in ("home", "temp"):
            (self.machine / name).mkdir(parents=True)
        self.path = [os.environ["PATH"]]

    @property
    def temp(self) -> Path:
        return self.machine / "temp"

    def bash(self, script: str, more: Mapping[str, str], *options: str) -> str:
        """Run a script as the system does; give what it printed, and remember its status."""
        file = self.machine / "step.sh"
        file.write_text(script)
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", *options, str(file)],
            cwd=self.checkout,
            env={
                "HOME": str(self.machine / "home"),
                "PATH": os.pathsep.join(self.path),
                # what hermetic stands on is not fetched again: pip installs hermetic itself only
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("site-packages")),
                "PIP_NO_DEPS": "1",
                "HERMETIC_HTTP_TIMEOUT": "20",
                **self.variables,
                **more,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        self.status = ran.returncode
        self.output += ran.stdout
        assert "Traceback" not in ran.stdout, ran.stdout
        return ran.stdout

    def restore(self, path: Path, key: str, prefix: str) -> bool:
        """Bring what was kept, under the key or else under the latest one with the prefix."""
        kept = self.cache / key
        found = [kept] if kept.is_dir() else sorted(self.cache.glob(f"{prefix}*")) if prefix else []
        if found:
            shutil.copytree(found[-1], path, dirs_exist_ok=True)
            self.restored = found[-1].name
        return kept.is_dir()

    def save(self, path: Path, key: str) -> None:
        if not (self.cache / key).is_dir() and path.is_dir():
            shutil.copytree(path, self.cache / key)


class GithubJob(Job):
    """A job whose one step is our composite action, as it stands in a checkout of hermetic."""

    def __call__(self, action: Path, **given: str) -> dict[str, str]:
        """Run the action; give its outputs."""
        document = yaml.safe_load((action / "action.yml").read_text())
        names = {f"inputs.{name.replace('-', '_')}": item["default"] for name, item in document["inputs"].items()}
        names |= {f"inputs.{name}": value for name, value in given.items()}
        names["github.action_path"] = str(action)
        self.variables |= {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.checkout),
            "RUNNER_TEMP": str(self.temp),
        }
        at_end = []
        for number, step in enumerate(document["runs"]["steps"]):
            if not eval(_python(step.get("if", "'a' == 'a'")), {"names": names}):
                continue
            outputs: dict[str, str] = {}
            if "run" in step:
                assert step["shell"] == "bash"
                outputs = self._run(step, number, names)
            elif step["uses"].startswith("actions/setup-python@"):
                outputs = {"python-path": PYTHON}
            else:
                assert step["uses"].startswith("actions/cache@")
                wanted = {name: _filled(value, names) for name, value in step["with"].items()}
                hit = self.restore(Path(wanted["path"]), wanted["key"], wanted["restore-keys"])
                outputs = {"cache-hit": str(hit).lower()}
                at_end.append((Path(wanted["path"]), wanted["key"]))
            if "id" in step:
                names |= {f"steps.{step['id']}.outputs.{k}".replace("-", "_"): v for k, v in outputs.items()}
            if self.status:
                return {}
        for path, key in at_end:
            self.save(path, key)
        return {name: _filled(item["value"], names) for name, item in document["outputs"].items()}

    def _run(self, step: Mapping[str, Any], number: int, names: Mapping[str, str]) -> dict[str, str]:
        assert "${{" not in step["run"]
        files = {name: self.temp / f"{name}-{number}" for name in ("OUTPUT", "PATH", "STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        own = {name: _filled(value, names) for name, value in step.get("env", {}).items()}
        self.bash(step["run"], {**own, **{f"GITHUB_{k}": str(v) for k, v in files.items()}}, "-eo", "pipefail")
        self.path = [*files["PATH"].read_text().split(), *self.path]
        return github_outputs(files["OUTPUT"].read_text())

    @property
    def errors(self) -> list[dict[str, str]]:
        return [command.properties for command in github_commands(self.output) if command.name == "error"]


def _python(condition: str) -> str:
    condition = re.sub(r"\b(?:inputs|steps|github)\.[\w.-]+", lambda found: f"names.get({found[0]!r}, '')", condition)
    return condition.replace("&&", " and ").replace("||", " or ")


def _filled(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: names.get(found[1].replace("-", "_"), ""), str(text))


class GitlabJob(Job):
    """A job of our template, with the inputs that an include gives."""

    def __call__(self, name: str, **given: str) -> int:
        """Run the job; give its exit status."""
        head, _, body = (ROOT / "ci" / "gitlab" / "template.yml").read_text().partition("\n---\n")
        inputs = {item: about["default"] for item, about in yaml.safe_load(head)["spec"]["inputs"].items()}
        inputs |= {item.replace("_", "-"): value for item, value in given.items()}
        text = re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: inputs[found[1]], body)
        jobs = yaml.safe_load(text)
        job = {**jobs[".hermetic"], **jobs[name]}
        known = {"CI_PROJECT_DIR": str(self.checkout), "GITLAB_CI": "true", **self.variables}
        own = {key: re.sub(r"\$(\w+)", lambda found: known.get(found[1], ""), v) for key, v in job["variables"].items()}
        script = "\n".join([*job["before_script"], *job["script"]])
        key = job["cache"] and "-".join(
            [job["cache"]["key"]["prefix"], *map(self._digest, job["cache"]["key"]["files"])]
        )
        paths = [self.checkout / path for path in job["cache"]["paths"]] if job["cache"] else []
        for path in paths:
            self.restore(path, key, "")
        self.bash(script, {**known, **own}, "-eo", "pipefail")
        for path in paths if not self.status else ():
            self.save(path, key)
        return self.status

    def _digest(self, name: str) -> str:
        from hermetic.digest import sha256_file

        return sha256_file(self.checkout / name)


class AzureJob(Job):
    """A job whose steps are our template's."""

    def __call__(self, **given: Any) -> dict[str, str]:
        """Run the steps; give the variables that they set."""
        document = yaml.safe_load((ROOT / "ci" / "azure" / "steps.yml").read_text())
        parameters = {item["name"]: item["default"] for item in document["parameters"]}
        parameters = {name: {"true": True, "false": False}.get(v, v) for name, v in parameters.items()} | given
        values: dict[str, str] = {}
        self.variables |= {
            "TF_BUILD": "True",
            "BUILD_SOURCESDIRECTORY": str(self.checkout),
            "AGENT_TEMPDIRECTORY": str(self.temp),
        }
        at_end = []
        for step in _azure_steps(document["steps"], parameters):
            if "bash" in step:
                assert "${{" not in step["bash"]
                assert "$(" not in re.sub(r"\$\((?=printf)", "", step["bash"])
                self._run(step, parameters, values)
            elif step["task"] == "UsePythonVersion@0":
                program = self.machine / "python" / "bin" / "python"
                program.parent.mkdir(parents=True)
                program.write_text(f'#!/bin/sh\nexec {PYTHON} "$@"\n')
                program.chmod(0o755)
                values[f"{step['name']}.pythonLocation"] = str(program.parent.parent)
            else:
                assert step["task"] == "Cache@2"
                wanted = {name: _set(value, values).replace('"', "") for name, value in step["inputs"].items()}
                self.restore(Path(wanted["path"]), wanted["key"], wanted["restoreKeys"])
                at_end.append((Path(wanted["path"]), wanted["key"]))
            if self.status:
                return values
        for path, key in at_end:
            self.save(path, key)
        return values

    def _run(self, step: Mapping[str, Any], parameters: Mapping[str, Any], values: dict[str, str]) -> None:
        own = {}
        for name, value in step.get("env", {}).items():
            text = re.sub(r"\$\{\{ parameters\.(\w+) \}\}", lambda found: str(parameters[found[1]]), value)
            own[name] = _set(text, values)
        variables = {re.sub(r"\W", "_", name).upper(): value for name, value in values.items()}
        for command in azure_commands(self.bash(step["bash"], {**variables, **own})):
            if command.name == "task.setvariable":
                prefix = f"{step['name']}." if command.properties.get("isOutput") else ""
                values[f"{prefix}{command.properties['variable']}"] = command.text
            elif command.name == "task.prependpath":
                self.path.insert(0, command.text)
            elif command.name == "task.uploadsummary":
                assert Path(command.text).is_file()


def _set(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\(([\w.]+)\)", lambda found: values.get(found[1], found[0]), text)


def _azure_steps(steps: list[dict[str, Any]], parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for step in steps:
        ((first, inner), *_) = step.items()
        if not first.startswith("${{ if "):
            found.append(step)
            continue
        condition = first[len("${{ if ") : -len(" }}")]
        compared = re.fullmatch(r"ne\(parameters\.(\w+), ''\)", condition)
        name = compared[1] if compared else condition.removeprefix("parameters.")
        if parameters[name]:
            found += _azure_steps(inner, parameters)
    return found
