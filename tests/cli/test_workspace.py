"""``hermetic workspace``: declaring, showing, signing and keys, as a user types them."""

from __future__ import annotations

import json
import stat
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from support.serving import desk

from hermetic.cli import run
from hermetic.store.objects.signing import SigningKey
from hermetic.workspace_config import find_workspace

MANIFEST = '# ours\n[environments.default]\ndependencies = ["python"]  # any\n'


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def call(folder: Path, *words: str) -> Ran:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(["workspace", *words, "-C", str(folder)])
    return Ran(status, out.getvalue(), err.getvalue())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project"
    folder.mkdir()
    return folder


def test_a_workspace_is_declared_in_the_manifest_which_keeps_its_comments(project: Path) -> None:
    manifest = project / "hermetic.toml"
    manifest.write_text(MANIFEST)
    ran = call(project, "init", "team", "--registry", "registry.example.org/team", "--keyvault", "file")
    assert ran.status == 0, ran.err
    assert str(manifest) in ran.out
    text = manifest.read_text()
    assert text.startswith(MANIFEST)
    assert text.endswith('\n[workspace]\nname = "team"\nregistry = "registry.example.org/team"\nkeyvault = "file"\n')
    found = find_workspace(project)
    assert found
    assert (found.name, found.registry, found.folder) == (
        "team", "registry.example.org/team", project / ".hermetic/workspace",
    )  # fmt: skip
    assert (found.folder / "workspace.sqlite").is_file()


def test_without_a_manifest_it_is_a_config_json(project: Path) -> None:
    ran = call(project, "init", "--json")
    said = json.loads(ran.out)
    assert (said["name"], said["written"], said["created"]) == ("my-project", True, True)
    assert json.loads((project / "config.json").read_text()) == {"name": "my-project", "path": ".hermetic/workspace"}
    again = json.loads(call(project, "init", "--json").out)
    assert (again["written"], again["created"]) == (False, False)


def test_another_programs_config_json_is_left_alone(project: Path) -> None:
    (project / "config.json").write_text('{"name": "a web application"}')
    assert call(project, "init", "team").status == 0
    assert (project / "config.json").read_text() == '{"name": "a web application"}'
    found = find_workspace(project)
    assert found
    assert found.folder == project / ".hermetic/workspace"


def test_a_v1_config_json_is_a_workspace_that_init_makes(project: Path) -> None:
    (project / "config.json").write_text('{"subscription_id": "x", "resource_group": "y", "workspace_name": "team"}')
    said = json.loads(call(project, "init", "--json").out)
    assert (said["name"], said["written"], said["created"]) == ("team", False, True)


@pytest.mark.parametrize(
    "words", [["other"], ["--artefacts", "elsewhere"], ["--path", "elsewhere"], ["--keyvault", "file"]]
)
def test_what_is_declared_is_not_declared_anew(words: list[str], project: Path) -> None:
    call(project, "init", "team")
    before = (project / "config.json").read_bytes()
    ran = call(project, "init", *words)
    assert ran.status == 2
    assert "declared already" in ran.err
    assert (project / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a/b"], "no name of a workspace"),
        (["--database", "mysql://host/x"], "no database"),
        (["--database", "postgresql://me:password@host/x"], "holds a password"),
        (["--database", "postgresql://host/x?password=password@"], "holds a password"),
        (["--artefacts", "https://me:password@host/x"], "holds a password"),
        (["--keyvault", "safe"], "--keyvault"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(words: list[str], message: str, project: Path) -> None:
    ran = call(project, "init", *words)
    assert ran.status == 2
    assert message in ran.err
    assert "password@" not in ran.err
    assert list(project.iterdir()) == []


def test_a_database_that_cannot_be_reached_leaves_nothing_written(project: Path) -> None:
    ran = call(project, "init", "team", "--database", "postgresql://me@127.0.0.1:1/none")
    assert ran.status == 4, ran
    assert not (project / "config.json").exists()


def test_paths_are_the_callers(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "hermetic.toml").write_text(MANIFEST)
    inner = project / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    with redirect_stdout(StringIO()):
        assert run(["workspace", "init", "team", "--artefacts", "../files", "--path", "w"]) == 0
    found = find_workspace(inner)
    assert found
    assert (found.folder, found.artefacts) == (inner / "w", str(project / "files"))
    assert 'artefacts = "files"' in (project / "hermetic.toml").read_text()


def test_show_tells_where_the_parts_stand_and_how_much_they_hold(project: Path) -> None:
    call(project, "init", "team")
    (project / ".hermetic/workspace/artefacts/wheels/x").mkdir(parents=True)
    (project / ".hermetic/workspace/artefacts/wheels/x/y.whl").write_bytes(b"")
    ran = call(project, "show")
    assert ran.status == 0, ran
    assert "0 environments" in ran.out
    assert "1 wheel," in ran.out
    said = json.loads(call(project, "show", "--json").out)
    assert said["good"] is True
    assert said["parts"]["artefacts"]["counts"] == {"locks": 0, "wheels": 1}


def test_show_tells_what_is_wrong_with_which_part(project: Path) -> None:
    call(project, "init", "team")
    (project / ".hermetic/workspace/workspace.sqlite").write_bytes(b"no database" * 1000)
    call(project, "key", "list")
    (project / ".hermetic/workspace/keys.json").write_text("{")
    (project / ".hermetic/workspace/keys.json").chmod(0o600)
    ran = call(project, "show", "--json")
    assert ran.status == 1
    parts = json.loads(ran.out)["parts"]
    assert {name for name, part in parts.items() if part["trouble"]} == {"database", "keys of the file server"}
    assert "damaged" in call(project, "show").out


def test_show_asks_a_server_of_artefacts_for_its_health(project: Path, tmp_path: Path) -> None:
    with desk(tmp_path / "w") as found:
        call(project, "init", "team", "--artefacts", found.url)
        said = json.loads(call(project, "show", "--json").out)
        assert said["parts"]["artefacts"] == {"counts": {}, "trouble": None, "where": found.url}
        assert "keys of the file server" not in said["parts"]


def test_a_server_that_is_down_is_a_finding(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    call(project, "init", "team", "--artefacts", "http://127.0.0.1:1")
    ran = call(project, "show", "--json")
    assert ran.status == 1
    assert "127.0.0.1:1" in json.loads(ran.out)["parts"]["artefacts"]["trouble"]


def test_keys_are_made_shown_and_revoked(project: Path) -> None:
    call(project, "init", "team")
    assert "no keys yet" in call(project, "key", "list").out
    given = call(project, "key", "add", "--note", "ci machine").out.strip()
    kid = SigningKey.parse(given).id
    listed = call(project, "key", "list").out
    assert f"{kid}  " in listed
    assert "ci machine" in listed
    assert given.partition(":")[2] not in listed
    signs = call(project, "key", "rotate").out.strip()
    said = json.loads(call(project, "key", "list", "--json").out)
    assert [item["id"] for item in said["keys"] if item["signs"]] == [signs]
    assert "revoked 2" in call(project, "key", "revoke", kid).out
    file = project / ".hermetic/workspace/keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert call(project, "key", "revoke", "nothere").status == 2


def test_an_artefact_is_revoked_by_its_key_or_its_wheels_url(project: Path) -> None:
    call(project, "init", "team")
    path = f"wheels/{'ab' * 32}/mine-1.0-py3-none-any.whl"
    said = json.loads(call(project, "key", "revoke", f"hermetic://team/{path}", "--json").out)
    assert said["revoked"] == [path]
    assert path in call(project, "key", "list").out
    assert json.loads(call(project, "key", "restore", path, "--json").out)["revoked"] == []
    assert call(project, "key", "restore", path).status == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["revoke"], "revoke needs a key or an artefact"),
        (["list", "x"], "list takes no 'x'"),
        (["rotat"], "did you mean 'rotate'?"),
        (["list", "--note", "x"], "--note says nothing of list"),
        (["add", "--note", "two\nlines"], "one line"),
        (["revoke", "../../etc/passwd"], "no object"),
        (["revoke", "hermetic://team/x"], "no private wheel's URL"),
    ],
)
def test_words_that_make_no_sense(words: list[str], message: str, project: Path) -> None:
    call(project, "init", "team")
    ran = call(project, "key", *words)
    assert ran.status == 2
    assert message in ran.err


def test_a_signed_url_is_printed_and_good(project: Path) -> None:
    call(project, "init", "team")
    folder = project / ".hermetic/workspace"
    with desk(folder) as found:
        found.clock.now = time.time()
        path = found.keep(f"wheels/{'ab' * 32}/mine-1.0-py3-none-any.whl", b"bytes")
        for what in (path, f"hermetic://team/{path}"):
            url = call(project, "sign", what, "--server", found.url, "--expires", "60").out.strip()
            assert url.startswith(f"{found.url}/{path}?kid=")
            assert found.ask(url.removeprefix(found.url)).body == b"bytes"
        call(project, "key", "revoke", path)
        assert "is revoked" in call(project, "sign", path, "--server", found.url).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wheels/nothere"], "there is no wheels/nothere"),
        (["../keys.json"], "no key of an artefact"),
        (["wheels/x", "--expires", "0"], "0 seconds"),
        (["wheels/x", "--expires", "604801"], "604801 seconds"),
        (["wheels/x", "--server", "example.org"], "address of a workspace's file server"),
    ],
)
def test_what_cannot_be_signed(words: list[str], message: str, project: Path) -> None:
    call(project, "init", "team")
    ran = call(project, "sign", *words)
    assert ran.status == 2
    assert message in ran.err
    assert ran.out == ""


def test_without_a_workspace_it_says_how_to_make_one(project: Path) -> None:
    for words in (["show"], ["key", "list"], ["serve"], ["sign", "x"]):
        ran = call(project, *words)
        assert ran.status == 2
        assert "workspace init" in ran.err
    assert not list(project.iterdir())
