"""``add`` and ``remove`` say what they wrote into which file, and what was chosen."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.desk import Desk, make_goods
from support.needs import suits


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    suits(sys.platform == "linux", "the tiny programs are for Linux")
    return make_goods(tmp_path_factory.mktemp("goods"))


@pytest.fixture
def desk(tmp_path: Path, goods: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.shops(goods / "channel")
    desk.declare("base<3")
    return desk


def test_what_is_written_where_and_what_is_chosen(desk: Desk) -> None:
    file = desk.project / "hermetic.toml"
    assert desk("add", "app>=1").stdout.startswith(f"{file}: app>=1 (app 2.0)\n")
    assert desk("add", "app<2").stdout.startswith(f"{file}: app>=1 -> app<2 (app 1.0)\n")
    kept = file.read_text()
    assert desk("add", "app").stdout.startswith(f"{file}: app<2 stands there already (app 1.0)\n")
    assert file.read_text() == kept
    assert desk("add", "app=*", "--no-lock").stdout == f"{file}: app<2 -> app=*\n"
    assert desk("remove", "app").stdout.startswith(f"{file}: app=* removed\n")


def test_the_same_as_json(desk: Desk) -> None:
    told = json.loads(desk("add", "app", "--json").stdout)
    assert told["file"] == str(desk.project / "hermetic.toml")
    assert told["changes"] == [{"name": "app", "before": "", "now": "app"}]
    assert [lock["name"] for lock in told["locks"]] == ["default"]


def test_a_password_is_not_repeated(desk: Desk) -> None:
    typed = "mine @ https://me:s3cret@example.org/mine-1.0-py3-none-any.whl"
    said = desk("add", "--pip", typed, "--no-lock", status=2)
    assert "hermetic secret set" in said.stderr
    assert "s3cret" not in said.stdout + said.stderr
    assert not any("s3cret" in path.read_text() for path in desk.project.glob("*.*"))
