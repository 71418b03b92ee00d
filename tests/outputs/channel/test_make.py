from __future__ import annotations

from pathlib import Path


def test_x(channel: Path, tiny_channel: Path, http_channel) -> None:
    assert (channel / "noarch/repodata.json").is_file()
    s = http_channel(tiny_channel)
    print(s.url)
