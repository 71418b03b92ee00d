"""A root file system from packages: the merged /usr, what scripts would have written, and nothing that moves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from deb_samples import base_debs, deb

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.bases.rootfs import Root


def root(folder: Path, packages: dict[str, bytes], *, finish: bool = True) -> Root:
    made = Root(io.BytesIO())
    for name, data in packages.items():
        path = folder / f"{name}.deb"
        path.write_bytes(data)
        made.add(path, name)
    if finish:
        made.finish()
    return made


def listing(made: Root) -> dict[str, tuple[str, int, Any]]:
    return {
        entry.path: (entry.kind, entry.mode, b"".join(pieces()) if entry.kind == "file" else entry.target)
        for entry, pieces in made.entries()
    }


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, tuple[str, int, Any]]:
    return listing(root(tmp_path, base_debs()))


def test_usr_is_merged_and_every_path_still_means_what_it_did(whole: dict[str, tuple[str, int, Any]]) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        assert whole[name] == ("link", 0o777, f"usr/{name}")
    assert whole["usr/bin/bash"] == ("file", 0o755, b"\x7fELF bash")
    assert whole["usr/bin/sh"] == ("link", 0o777, "dash")
    assert whole["usr/lib64/ld-linux-x86-64.so.2"][2] == "/usr/lib/x86_64-linux-gnu/ld.so"
    assert whole["usr/lib/x86_64-linux-gnu/libm.so"][2] == "../../../lib/x86_64-linux-gnu/libc.so.6"
    assert whole["usr/lib/x86_64-linux-gnu/locale"][2] == "/usr/share/i18n"  # as it stands, it would mean /usr/usr
    assert whole["etc/os-release"][2] == "../usr/lib/os-release"
    assert not [path for path in whole if path.startswith(("bin/", "sbin/", "lib/", "lib64/"))]


def test_what_scripts_of_packages_would_have_written_is_there(whole: dict[str, tuple[str, int, Any]]) -> None:
    assert whole["etc/passwd"][2].startswith(b"root:")
    assert whole["etc/group"][2] == b"root:*:0:\n"
    assert whole["etc/profile"][2] == b"# profile\n"
    assert whole["etc/ssl/certs/ca-certificates.crt"][2] == b"-----BEGIN A\n-----BEGIN B\n"
    assert whole["etc/ssl/certs/A.pem"][2] == "/usr/share/ca-certificates/mozilla/A.crt"
    assert whole["etc/ca-certificates.conf"][2] == b"mozilla/A.crt\nmozilla/B.crt\n"
    assert b"/bin/bash\n" in whole["etc/shells"][2]
    assert whole["etc/localtime"][2] == "/usr/share/zoneinfo/Etc/UTC"
    assert whole["usr/bin/which"][2] == "which.debianutils"
    assert whole["var/run"] == ("link", 0o777, "/run")
    assert whole["var/lib/dpkg/status.d/libc6"][2].startswith(
        b"Package: libc6\nStatus: install ok installed\nVersion: 1:2.36-9+deb12u1\n"
    )


def test_modes_are_those_of_the_packages_without_setuid(whole: dict[str, tuple[str, int, Any]]) -> None:
    assert whole["tmp"][1] == 0o1777
    assert whole["root"][1] == 0o700
    assert whole["usr/bin/dash"][1] == 0o755  # it is setuid in the package
    assert not [path for path, (_, mode, _) in whole.items() if mode & 0o6000]


def test_hard_links_become_files_and_manuals_are_left_out(whole: dict[str, tuple[str, int, Any]]) -> None:
    assert whole["usr/share/zoneinfo/Zulu"][2] == b"TZif2"
    assert "usr/share/man/man1/bash.1.gz" not in whole
    assert "usr/share/doc/base-files/changelog.gz" not in whole
    assert "usr/share/doc/base-files/copyright" in whole


def test_every_folder_above_a_file_is_listed_before_it(whole: dict[str, tuple[str, int, Any]]) -> None:
    seen: set[str] = set()
    for path in whole:
        above = path.rpartition("/")[0]
        assert not above or above in seen
        seen.add(path)


def test_the_order_of_packages_does_not_count(tmp_path: Path) -> None:
    packages = base_debs()
    backwards = dict(reversed(packages.items()))
    assert listing(root(tmp_path, packages)) == listing(root(tmp_path, backwards))


def test_packages_may_be_merged_already(tmp_path: Path) -> None:
    merged = deb("base-files", files={"./bin": "usr/bin", "./lib": "usr/lib", "./usr/bin/": None, "./usr/bin/x": b"x"})
    made = listing(root(tmp_path, {"base-files": merged}))
    assert made["bin"][2] == "usr/bin"
    assert made["usr/bin/x"][2] == b"x"


def test_a_root_without_passwords_still_has_root(tmp_path: Path) -> None:
    made = listing(root(tmp_path, {"a": deb("a", files={"./usr/a": b"x"})}))
    assert made["etc/passwd"][2].startswith(b"root:x:0:0:")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({"./usr/a": b"other"}, r"b: usr/a is in a too"),
        ({"./usr/a/b": b"x"}, "lies below usr/a"),
        ({"./usr/dir": b"x"}, "usr/dir is in a too"),
    ],
)
def test_packages_that_disagree_are_refused(second: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=reason):
        root(tmp_path, {"a": deb("a", files={"./usr/a": b"x", "./usr/dir/": None}), "b": deb("b", files=second)})


def test_bin_and_usr_bin_cannot_both_have_a_program(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="usr/bin/x is in a too"):
        root(tmp_path, {"a": deb("a", files={"./bin/x": b"1"}), "b": deb("b", files={"./usr/bin/x": b"2"})})
