"""Explicit lists that name a private wheel: the URL alone says which bytes are meant."""

from __future__ import annotations

import pytest

from hermetic.errors import LockFileError, SpecError
from hermetic.lock.formats.explicit import read_explicit_lock

SHA256 = "ab" * 32
URL = f"hermetic://team/wheels/{SHA256}/mine-1.0-py3-none-any.whl"
LIST = (
    f"# platform: linux-64\n@EXPLICIT\nhttps://example.org/demo/linux-64/python-3.11.7-h0_0.conda#sha256:{'cd' * 32}\n"
)


@pytest.mark.parametrize("line", [f"# pip mine @ {URL}#sha256={SHA256}", f"# pip mine @ {URL}"])
def test_it_is_locked_by_its_url(line: str) -> None:
    lock = read_explicit_lock(f"{LIST}{line}\n", "explicit.txt")
    (wheel,) = lock.platforms["linux-64"].wheels
    assert (wheel.name, wheel.version, wheel.url, wheel.sha256) == ("mine", "1.0", URL, SHA256)


@pytest.mark.parametrize("tail", [f"#sha256={'0' * 64}", "?sig=S3cr3tS3cr3t"])
def test_what_contradicts_it_is_refused(tail: str) -> None:
    with pytest.raises((LockFileError, SpecError)) as caught:
        read_explicit_lock(f"{LIST}# pip mine @ {URL}{tail}\n", "explicit.txt")
    assert caught.value.place is not None
    assert "S3cr3t" not in str(caught.value)
