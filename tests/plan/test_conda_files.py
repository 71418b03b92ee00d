"""What a conda archive asks for, read from its info folder, newer and older."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.plan.conda_files import OLD_PLACEHOLDER, check_name, check_path, read_contents


def info(**files: str) -> Callable[[str], bytes | None]:
    return lambda name: files[name].encode() if name in files else None


def paths_json(*paths: dict[str, object]) -> str:
    return json.dumps({"paths": list(paths), "paths_version": 1})


def test_newer_archives_say_it_in_paths_json() -> None:
    found = read_contents(
        info(
            **{
                "paths.json": paths_json(
                    {"_path": "bin/tool", "path_type": "hardlink", "prefix_placeholder": "/old", "file_mode": "binary"},
                    {"_path": "lib/l.so", "path_type": "softlink"},
                    {"_path": "bin/.tool-post-link.sh", "path_type": "hardlink"},
                    {"_path": "bin/.tool-pre-unlink.sh", "path_type": "hardlink"},
                    {"_path": "site-packages/My_Tool-1.0.dist-info/METADATA", "path_type": "hardlink"},
                    {"_path": "site-packages/setuptools/_vendor/inner-1.0.dist-info/METADATA"},
                ),
                "link.json": json.dumps({"noarch": {"type": "python", "entry_points": ["b = m:f", "a = m:f"]}}),
                "files": "not/read",
            }
        )
    )
    assert found.prefixed == {"bin/tool": ("/old", "binary")}
    assert found.links == {"lib/l.so"}
    assert found.entry_points == ("a = m:f", "b = m:f")
    assert found.link_scripts == ("bin/.tool-post-link.sh",)  # what runs when it is unlinked is none of a build's
    assert found.distributions == ("My_Tool",)


def test_older_archives_say_it_in_lists() -> None:
    has_prefix = 'bin/plain\n/some/where text "share/with space"\n/else binary lib/l.so\n'
    found = read_contents(info(files="bin/plain\nshare/with space\n\nlib/l.so\n", has_prefix=has_prefix))
    assert found.paths == ("bin/plain", "share/with space", "lib/l.so")
    assert found.links is None
    assert found.prefixed == {
        "bin/plain": (OLD_PLACEHOLDER, "text"),
        "share/with space": ("/some/where", "text"),
        "lib/l.so": ("/else", "binary"),
    }


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"paths.json": "{"},
        {"paths.json": "{}"},
        {"paths.json": "[]"},
        {"paths.json": paths_json({"_path": 1})},
        {"paths.json": paths_json({"_path": "../out"})},
        {"paths.json": paths_json({"_path": "/etc/passwd"})},
        {"files": "lib/../../out\n"},
        {"files": "ok\n", "link.json": json.dumps({"noarch": {"entry_points": ["../../x = m:f"]}})},
        {"files": "ok\n", "link.json": json.dumps({"noarch": {"entry_points": ["a/b = m:f"]}})},
    ],
)
def test_nonsense_and_ways_out_are_refused(files: dict[str, str]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_contents(info(**files))


@given(st.text(st.sampled_from("ab./\\\0\n"), max_size=8))
def test_a_plain_path_stays_in_its_folder(path: str) -> None:
    try:
        check_path(path)
    except ValueError:
        return
    pure = PurePosixPath(path)
    assert str(pure) == path
    assert not pure.is_absolute()
    assert not {"..", "."} & set(path.split("/"))
    assert "\\" not in path
    assert "\0" not in path


@given(st.lists(st.sampled_from(["a", "b c", "...", ".x", "é"]), min_size=1, max_size=4).map("/".join))
def test_ordinary_paths_are_plain(path: str) -> None:
    check_path(path)


def test_a_script_has_a_plain_name() -> None:
    check_name("tool-1.0")
    for name in ("", "..", "a/b", "/a"):
        with pytest.raises(ValueError, match=r"unsafe|script"):
            check_name(name)
