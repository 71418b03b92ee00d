"""``hermetic channel`` as it is typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.desk import Desk
from support.needs import suits


@pytest.mark.parametrize(
    ("arguments", "environment", "config"),
    [(["--offline"], {}, ""), ([], {"HERMETIC_OFFLINE": "1"}, ""), ([], {}, "offline = true\n")],
)
def test_offline_holds_for_a_channel_too(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], config: str
) -> None:
    suits(sys.platform == "linux", "the embedded channel is made on Linux")
    desk = Desk(tmp_path)
    if config:
        (desk.home / "config.toml").write_text(config)
        environment = {"HERMETIC_CONFIG": str(desk.home / "config.toml")}
    said = desk("channel", "make", "./channel", "--wheel", "bottle", *arguments, status=4, **environment).stderr
    assert "we are offline: bottle" in said
    assert "--wheel FILE.whl" in said
