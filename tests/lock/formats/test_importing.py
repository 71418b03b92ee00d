"""What imports share: addresses become identities, and what was assumed is worked out."""

from __future__ import annotations

import pytest

from hermetic.lock.formats.addresses import channel_names, index_and_url, split_conda_address, split_file_name
from hermetic.lock.formats.importing import assumed, build_number

CONDA = "https://c.example.org"
DIGEST = f"https://files.example.org/packages/ab/cd/{'0' * 60}"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (f"{CONDA}/forge/linux-64/xz-5-h_0.conda", (f"{CONDA}/forge", "linux-64", "xz-5-h_0.conda")),
        (f"{CONDA}/t/tk-1/own/noarch/a%2Bb-5-h_0.tar.bz2#0123", (f"{CONDA}/own", "noarch", "a+b-5-h_0.tar.bz2")),
        ("https://me:pw@c.example.org/own/noarch/xz-5-h_0.conda?sig=1", (f"{CONDA}/own", "noarch", "xz-5-h_0.conda")),
        ("file:///srv/channel/linux-64/xz-5-h_0.conda", ("file:///srv/channel", "linux-64", "xz-5-h_0.conda")),
        (f"{CONDA}/xz-5-h_0.conda", None),
        (f"{CONDA}/own/noarch/xz-5-h_0.zip", None),
        (f"{CONDA}/own/some_folder/xz-5-h_0.conda", None),
        ("xz-5-h_0.conda", None),
        ("./linux-64/xz-5-h_0.conda", None),
    ],
)
def test_an_archive_address_is_taken_apart(url: str, parts: tuple[str, str, str] | None) -> None:
    assert split_conda_address(url) == parts


def test_a_file_name_is_taken_apart() -> None:
    assert split_file_name("ca-certificates-2024.7.4-hbcca054_0.conda") == ("ca-certificates", "2024.7.4", "hbcca054_0")
    assert split_file_name("xz.conda") is None


def test_channels_have_names_where_a_name_is_known() -> None:
    mirror = "https://mirror.example.org/conda-forge"
    assert channel_names(["conda-forge"])(mirror) == "conda-forge"
    assert channel_names([])(mirror) == mirror
    assert channel_names([], lambda url: "mine" if url == mirror else url)(f"{mirror}/") == "mine"
    assert channel_names(["forge"])("https://mirror.example.org/conda-forge") == mirror
    labelled = "https://mirror.example.org/conda-forge/label/dev"
    assert channel_names(["conda-forge", "conda-forge/label/dev"])(labelled) == "conda-forge/label/dev"


def test_the_address_that_condas_tools_give_a_name_is_that_name() -> None:
    from rattler import Channel

    assert channel_names([])(Channel("some-channel").base_url) == "some-channel"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{DIGEST}/a-1-py3-none-any.whl", ("", "")),
        ("https://files.example.org/packages/py3/a/a/a-1-py3-none-any.whl", ("", "")),
        ("https://files.example.org/own/a-1-py3-none-any.whl", ("", "https://files.example.org/own/a-1-py3-none-any.whl")),
        ("https://u:p@files.example.org/a-1-py3-none-any.whl?s=1#sha256=0", ("", "https://files.example.org/a-1-py3-none-any.whl")),
        (f"{DIGEST}/other-1-py3-none-any.whl", ("", f"{DIGEST}/other-1-py3-none-any.whl")),
    ],
)  # fmt: skip
def test_a_wheel_of_the_reference_index_keeps_nothing_of_its_address(url: str, expected: tuple[str, str]) -> None:
    assert index_and_url(url, "a-1-py3-none-any.whl") == expected


def test_a_stated_index_is_believed() -> None:
    assert index_and_url(f"{DIGEST}/a-1-py3-none-any.whl", "a-1-py3-none-any.whl", "https://i.example.org") == (
        "https://i.example.org", "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("depends", "virtual"),
    [
        ([], "__glibc=2.28=0"),
        (["__glibc >=2.17,<3.0.a0"], "__glibc=2.28=0"),
        (["__glibc >=2.34", "__glibc >=2.5"], "__glibc=2.34=0"),
        (["__cuda >=11.8|>=12.4"], "__cuda=12.4=0"),
        (["__cuda"], "__cuda=0=0"),
        (["__archspec 1 x86_64_v3"], "__archspec=1=x86_64"),
        (["__glibc <3", "__glibc !=2.99"], "__glibc=2.28=0"),
    ],
)
def test_what_a_foreign_lock_assumed_is_worked_out(depends: list[str], virtual: str) -> None:
    found = assumed("linux-64", depends)
    assert virtual in found
    assert found == tuple(sorted(found))


@pytest.mark.parametrize(
    ("build", "number"),
    [("h1_3", 3), ("py311h064e5ff_0", 0), ("0", 0), ("12", 12), ("1_cp311", 1), ("conda_forge", 0), ("3_cpython", 3),
     ("hab00c5b_0_cpython", 0), ("mkl", 0), ("", 0), ("h1_99999999999", 0)],
)  # fmt: skip
def test_build_numbers_are_read_off_build_strings(build: str, number: int) -> None:
    assert build_number(build) == number
