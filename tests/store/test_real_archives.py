"""116 real conda packages: each is let through or refused with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.needs import suits

from hermetic.digest import sha256_file
from hermetic.errors import IntegrityError
from hermetic.store.archive import inspect, unpack

SHARED = Path(os.environ.get("HERMETIC_SHARED") or Path(__file__).parents[3] / "shared") / "conda-data" / "packages"
ARCHIVES = sorted(SHARED.rglob("*.conda")) + sorted(SHARED.rglob("*.tar.bz2"))

REFUSED = {
    "corrupt/noarch/another_bad_package.conda": "no archive that hermetic knows",
    "corrupt/noarch/bad_package.tar.bz2": "no archive that hermetic knows",
    # links that lost their targets when the packages were converted; py-rattler refuses them too
    "linux-64/zlib-1.2.11-h7b6447c_3.conda": "a symbolic link has no sound target (lib/libz.so.1)",
    "osx-64/zlib-1.2.11-h1de35cc_3.conda": "a symbolic link has no sound target (lib/libz.1.dylib)",
    # half a package
    "sparse/info-only-1.0.0-0.conda": "one info and one pkg part",
    # its own list names files that it does not hold
    "spiffy-test-app-0.5-pyh6afbcc8_0.tar.bz2": "is missing",
}


def test_the_archives_are_there() -> None:
    suits(ARCHIVES, "the shared conda packages are absent (HERMETIC_SHARED)")
    assert len(ARCHIVES) == 116


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_real_archive(archive: Path, tmp_path: Path) -> None:
    reason = next((reason for end, reason in REFUSED.items() if str(archive).endswith(end)), None)
    dest = tmp_path / "dest"
    dest.mkdir()
    if reason:
        with pytest.raises(IntegrityError) as caught:
            unpack(archive, dest)
        assert caught.value.message.startswith(f"{archive.name}: ")
        assert reason in caught.value.message
        return
    listing = unpack(archive, dest)
    assert len(inspect(archive).entries) == len(listing.entries)
    for entry in listing.entries:
        if entry.kind == "file":
            assert sha256_file(dest / entry.path) == entry.sha256
