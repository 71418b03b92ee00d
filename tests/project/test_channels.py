"""A channel's name that is nearly one with an address is no public channel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.errors import SpecError
from hermetic.project.channels import nearly
from hermetic.project.locking import lock_environments


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("dmeo", ["demo"], "demo"),
        ("Demo", ["demo"], "demo"),
        ("dem", ["other", "demo"], "demo"),
        ("pytroch", ["pytorch"], "pytorch"),
        ("demo", ["demo", "demos"], ""),
        ("conda-forge", ["conda-forge2"], ""),
        ("bioconda", ["conda"], ""),
        ("pytorch-nightly", ["pytorch"], ""),
        ("https://example.org/dmeo", ["demo"], ""),
        ("./dmeo", ["demo"], ""),
        ("dmeo", [], ""),
    ],
)
def test_a_slip_of_the_hand(name: str, known: list[str], meant: str) -> None:
    assert nearly(name, known) == meant


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("hermetic.toml", '[environments.default]\nchannels = [\n  "dmeo",\n]\ndependencies = ["base"]\n', 3),
        ("hermetic.toml", '[environments.default]\nchannels = ["demo"]\ndependencies = ["dmeo::base"]\n', 3),
        ("environment.yml", "channels:\n- other\n- dmeo  # ours\ndependencies: [base]\n", 3),
    ],
)
def test_it_is_refused_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, line: int
) -> None:
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"demo={tmp_path}/nowhere other={tmp_path}/nowhere")
    (tmp_path / file).write_text(text)
    with pytest.raises(SpecError) as caught:
        lock_environments(str(tmp_path))
    assert caught.value.place == (str(tmp_path / file), line)
    assert "no channel 'dmeo'" in caught.value.message
    assert "did you mean 'demo'?" in (caught.value.remedy or "")
