"""``hermetic wheel``: a workspace's own wheels, uploaded once, listed, and opened for a while."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from support.wheels import make_wheel

from hermetic.cli import run


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call ``hermetic wheel ...`` in a workspace; give status, output and errors."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "config.json").write_text('{"workspace_name": "Team"}')
    monkeypatch.chdir(work)
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))

    def call(*words: str) -> tuple[int, str, str]:
        status = run(["wheel", *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def wheel(tmp_path: Path) -> str:
    return str(make_wheel(tmp_path / "dist", "mine", "1.0"))


def test_adding_prints_the_url_and_nothing_else(call: Any, wheel: str) -> None:
    status, said, _ = call("add", "-q", wheel)
    assert status == 0
    url = said.removesuffix("\n")
    assert url.startswith("hermetic://team/wheels/")
    assert call("add", "-q", wheel)[1] == said
    assert url in call("list")[1]


def test_several_at_once(call: Any, wheel: str, tmp_path: Path) -> None:
    other = make_wheel(tmp_path / "dist", "other", "2.0")
    status, said, _ = call("add", wheel, str(other), "--json")
    assert status == 0
    assert [item["name"] for item in json.loads(said)["wheels"]] == ["mine", "other"]


def test_other_bytes_need_a_word(call: Any, wheel: str, tmp_path: Path) -> None:
    call("add", wheel)
    other = str(make_wheel(tmp_path / "changed", "mine", "1.0", requires=["tabulate"]))
    status, said, complaint = call("add", other)
    assert (status, said) == (2, "")
    assert "mine-1.0-py3-none-any.whl" in complaint
    assert call("add", other, "--exist-ok")[0] == 0
    assert len(call("list")[1].splitlines()) == 2


def test_a_signed_address_opens_it(call: Any, wheel: str) -> None:
    url = call("add", wheel)[1].strip()
    status, said, complaint = call("sign", url, "--expires", "1h")
    assert status == 0
    assert f"'hermetic workspace sign {url} --server https://...'" in complaint
    with urlopen(said.strip()) as opened:
        assert opened.read() == Path(wheel).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("add", "nothere.whl"),
        ("add", "config.json"),
        ("sign", "hermetic://team/wheels/" + "0" * 64 + "/mine-1.0-py3-none-any.whl"),
        ("sign", "https://example.org/x.whl"),
        ("sign", "hermetic://team/wheels/x"),
        ("list", "--workspace", "nothere"),
    ],
)
def test_what_makes_no_sense_is_said_so(call: Any, words: tuple[str, ...]) -> None:
    status, said, complaint = call(*words)
    assert status in {2, 4}
    assert not said
    assert complaint.startswith("hermetic: ")


@pytest.mark.parametrize("time", ["soon", "0", "-5", "5w"])
def test_a_time_is_a_number_with_a_unit(call: Any, wheel: str, time: str) -> None:
    url = call("add", wheel)[1].strip()
    status, _, complaint = call("sign", url, f"--expires={time}")
    assert status == 2
    assert "90s, 15m" in complaint
