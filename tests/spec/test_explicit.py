"""Explicit lists: nothing to solve, everything to check."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.errors import Place, SpecError
from hermetic.spec.explicit import is_explicit, parse_explicit
from hermetic.spec.load import load_spec
from hermetic.spec.model import Spec

MD5, SHA = "d7c89558ba9fa0495403155b64376d81", "ab" * 32
BASE = "https://example.org/ch"


def parse(text: str) -> Spec:
    return parse_explicit(text, Path("list.txt"), root=Path())


def test_a_list() -> None:
    found = parse(
        f"# made by a tool\n# platform: linux-64\n@EXPLICIT\n{BASE}/linux-64/b-1-0.conda#{MD5.upper()}\n"
        f"https://example.org/t/<TOKEN>/ch/noarch/a-1-0.tar.bz2?raw=1#sha256:{SHA}\n"
        f"{BASE}/linux-64/c-1-0.conda#{SHA}\n{BASE}/linux-64/d-1-0.conda\n"
        f"# pip demo @ https://example.org/demo-1.0-py3-none-any.whl --hash=sha256:{SHA}\n"
    )
    assert found.exact == (
        f"{BASE}/linux-64/b-1-0.conda#{MD5}",
        f"{BASE}/linux-64/c-1-0.conda#sha256:{SHA}",
        f"{BASE}/linux-64/d-1-0.conda",
        f"{BASE}/noarch/a-1-0.tar.bz2#sha256:{SHA}",
    )
    assert found.platforms == ("linux-64",)
    assert [(item.name, item.hashes) for item in found.pip] == [("demo", (f"sha256:{SHA}",))]


def test_the_order_of_lines_means_nothing() -> None:
    lines = [f"{BASE}/linux-64/{name}-1-0.conda#{MD5}" for name in "abc"]
    assert parse("\n".join(["@EXPLICIT", *lines])) == parse("\n".join(["@EXPLICIT", "", *reversed(lines), "# end"]))


def test_the_platform_is_told_by_the_archives_if_by_nothing_else() -> None:
    assert parse(f"@EXPLICIT\n{BASE}/osx-arm64/a-1-0.conda\n{BASE}/noarch/b-1-0.conda").platforms == ("osx-arm64",)
    assert parse(f"@EXPLICIT\n{BASE}/noarch/b-1-0.conda").platforms == ()


def test_it_is_known_by_its_marker_whatever_its_name(tmp_path: Path) -> None:
    text = f"@EXPLICIT\n{BASE}/linux-64/a-1-0.conda#{MD5}\n"
    assert is_explicit(text)
    assert not is_explicit("# @EXPLICIT\nrequests\n")
    for name in ("list.txt", "conda-linux-64.lock", "plain"):
        (tmp_path / name).write_text(text)
        assert load_spec([tmp_path / name]).exact == (f"{BASE}/linux-64/a-1-0.conda#{MD5}",)


@pytest.mark.parametrize(
    ("lines", "line", "message", "remedy"),
    [
        (["@EXPLICIT"], None, "the list is empty", "full URL"),
        (["numpy", "@EXPLICIT"], 1, "a line before @EXPLICIT", "put @EXPLICIT first"),
        (["@EXPLICIT", "numpy"], 2, "is no URL", "full URL"),
        (["@EXPLICIT", f"{BASE}/linux-64/a.conda"], 2, "no conda archive", "name-version-build"),
        (["@EXPLICIT", f"{BASE}/linux-64/a-1-0.zip"], 2, "no conda archive", "name-version-build"),
        (["@EXPLICIT", f"{BASE}/beos-64/a-1-0.conda"], 2, "is no platform", "noarch"),
        (["@EXPLICIT", f"{BASE}/noarch/a-1-0.conda#123"], 2, "neither md5 nor sha256", "32 or 64"),
        (["@EXPLICIT", f"{BASE}/noarch/a-1-0.conda", f"{BASE}/noarch/a-2-0.conda"], 3, "a second archive", "keep one"),
        (["# platform: linux-64", "@EXPLICIT", f"{BASE}/win-64/a-1-0.conda"], 3, "line 1 says linux-64", "one list"),
        (["@EXPLICIT", f"{BASE}/osx-64/b-1-0.conda", f"{BASE}/win-64/a-1-0.conda"], 3, "an archive above", "one list"),
        (["# platform: beos", "@EXPLICIT"], 1, "unknown platform", "linux-64"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_remedy(
    lines: list[str], line: int | None, message: str, remedy: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse("\n".join(lines))
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == Place("list.txt", line)
