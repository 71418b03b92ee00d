"""Where a workspace's parts stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.config import load_config, workspace_named
from hermetic.errors import UsageError
from hermetic.workspace_config import (
    address_in,
    check_workspace_name,
    find_workspace,
    read_workspace_file,
    workspace_in,
)


def test_a_manifests_table_is_found_from_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "hermetic.toml").write_text(
        '[project]\nname = "x"\n\n[workspace]\nname = "team"\nartefacts = "s3://bucket/prefix"\n'
        'database = "postgresql://me:${PASSWORD}@db.example.org/team"\nregistry = "registry.example.org/team"\n'
    )
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = find_workspace(below)
    assert found is not None
    assert (found.name, found.folder) == ("team", tmp_path / ".hermetic" / "workspace")
    assert found.artefacts == "s3://bucket/prefix"
    assert found.database == "postgresql://me:${PASSWORD}@db.example.org/team"
    assert found.registry == "registry.example.org/team"
    assert found.place is not None
    assert found.place.line == 4


@pytest.mark.parametrize("name", ["config.json", ".azureml/config.json", "aml_config/config.json"])
def test_the_v1_sdks_file_names_a_workspace_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"subscription_id": "0", "resource_group": "g", "workspace_name": "old"}))
    found = find_workspace(tmp_path)
    assert found is not None
    assert (found.name, found.folder) == ("old", tmp_path / ".hermetic" / "workspace")
    assert read_workspace_file(path) == found


def test_the_manifest_goes_first_and_a_nearer_folder_before_it(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "hermetic.toml").write_text('[workspace]\nname = "manifest"\n')
    (tmp_path / "config.json").write_text('{"workspace_name": "json"}')
    assert getattr(find_workspace(inner), "name", "") == "manifest"
    (inner / "config.json").write_text('{"workspace_name": "near"}')
    assert getattr(find_workspace(inner), "name", "") == "near"


@pytest.mark.parametrize(
    "text", ['{"model_type": "bert", "name_or_path": "x"}', '{"name": "x"}', "[1]", "no name at all"]
)
def test_another_programs_config_json_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text if text != "no name at all" else "neither JSON nor ours")
    assert workspace_in(tmp_path) is None


def test_a_manifest_without_the_table_names_none(tmp_path: Path) -> None:
    (tmp_path / "hermetic.toml").write_text("[project]\n")
    assert workspace_in(tmp_path) is None
    with pytest.raises(UsageError, match="names no workspace"):
        read_workspace_file(tmp_path / "hermetic.toml")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('[workspace]\npath = "x"\n', "has no name", 1),
        ('\n[workspace]\nname = "x"\ncolour = "red"\n', "unknown key 'colour'", 2),
        ('[workspace]\nname = "a b"\n', "no name of a workspace", 1),
        ('[workspace]\nname = "x"\ndatabase = "mysql://h/d"\n', "'mysql' is no database", 1),
        ('[workspace]\nname = "x"\nkeyvault = "cloud"\n', "keyvault 'cloud'", 1),
        ("[workspace]\nname = 3\n", "'name' is no text", 1),
        ('workspace = "x"\n', "a table of texts", None),
        ("[workspace\n", "not TOML", 1),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_place(
    tmp_path: Path, text: str, message: str, line: int | None
) -> None:
    path = tmp_path / "hermetic.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        find_workspace(tmp_path)
    assert caught.value.place == (str(path), line)
    assert caught.value.remedy


@pytest.mark.parametrize("data", [b'{"workspace_name": ', b'{"workspace_name": "\xff"}'])
def test_a_damaged_file_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        find_workspace(tmp_path)
    assert caught.value.place is not None
    assert caught.value.place.file == str(tmp_path / "config.json")


def test_relative_places_start_from_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "hermetic.toml").write_text('[workspace]\nname = "x"\npath = "ws"\nartefacts = "../shared"\n')
    found = workspace_in(tmp_path)
    assert found is not None
    assert (found.folder, found.artefacts) == (tmp_path / "ws", str(tmp_path.parent / "shared"))
    given_one = address_in(tmp_path / "here", "y", {"keyvault": "file"})
    assert (given_one.name, given_one.folder, given_one.keyvault) == ("y", tmp_path / "here", "file")


def test_a_wheels_workspace_is_known_by_name_or_by_the_projects_folder(tmp_path: Path) -> None:
    (tmp_path / "hermetic.toml").write_text('[workspace]\nname = "Team"\n')
    user = tmp_path / "user.toml"
    user.write_text('[workspaces.far]\nartefacts = "s3://bucket"\n\n[workspaces."other.one"]\nartefacts = "there"\n')
    config = load_config(base=tmp_path, environ={"HERMETIC_CONFIG": str(user)})
    assert workspace_named(config, "team").folder == tmp_path / ".hermetic" / "workspace"
    assert workspace_named(config, "FAR").artefacts == "s3://bucket"
    assert workspace_named(config, "far").folder == tmp_path / "workspaces" / "far"
    assert workspace_named(config, "other.one").artefacts == str(tmp_path / "there")
    with pytest.raises(UsageError, match="'nowhere'"):
        workspace_named(config, "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workspaces = 3\n", "no table"),
        ("[workspaces]\nx = 3\n", "a table of texts"),
        ('[workspaces.x]\ncolour = "red"\n', "unknown key 'colour'"),
    ],
)
def test_a_faulty_table_of_the_user_is_told(tmp_path: Path, text: str, message: str) -> None:
    user = tmp_path / "user.toml"
    user.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_config(environ={"HERMETIC_CONFIG": str(user)})
    assert caught.value.place is not None
    assert caught.value.place.file == str(user)


@given(st.text(max_size=70))
def test_every_name_is_taken_or_refused(name: str) -> None:
    try:
        assert check_workspace_name(name) == name
    except UsageError:
        return
    assert name.isascii()
    assert 0 < len(name) <= 63
    assert not set(name) & set("/@:?# \n")


@pytest.mark.parametrize(
    ("key", "value", "refused"),
    [
        ("database", "postgresql://me:hunter2@db.example.org/team", True),
        ("database", "postgresql://me:${PW}hunter2@db.example.org/team", True),
        ("artefacts", "https://me:hunter2@files.example.org", True),
        ("database", "postgresql://me:${PW}@db.example.org/team", False),
        ("database", "postgresql://${secret:u}:${secret:p}@db.example.org/team", False),
        ("database", "postgresql://me@db.example.org/team", False),
        ("database", "${DATABASE}", False),
        ("artefacts", "https://files.example.org/a:b@c", False),
    ],
)
@pytest.mark.parametrize("file", ["hermetic.toml", "config.json"])
def test_a_typed_password_is_refused_and_not_repeated(
    tmp_path: Path, file: str, key: str, value: str, refused: bool
) -> None:
    values = {"name": "team", "path": "kept", key: value}
    table = "[workspace]\n" + "".join(f'{name} = "{text}"\n' for name, text in values.items())
    (tmp_path / file).write_text(table if file.endswith("toml") else json.dumps(values))
    if not refused:
        assert getattr(workspace_in(tmp_path), key) == value
        return
    for read in (lambda: workspace_in(tmp_path), lambda: read_workspace_file(tmp_path / file)):
        with pytest.raises(UsageError, match=f"{key!r} holds a typed password") as caught:
            read()
        assert caught.value.place
        assert "hunter2" not in str(caught.value)
