"""Keys hold what determines the bytes, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from lock_samples import conda, wheel

from hermetic.plan.files import FileEntry, Listing
from hermetic.plan.keys import conda_tree_key, pyc_tree_key, wheel_tree_key

PACKAGE = conda("numpy", "2.0", "python")
PYTHON = conda("python", "3.11.9")
SOURCES = st.lists(st.tuples(st.text(max_size=4), st.text("0123456789abcdef", max_size=4)), max_size=4)


def test_an_archive_is_its_digest_and_its_format() -> None:
    other = replace(PACKAGE, name="else", channel="mirror", subdir="noarch", depends=(), size=1, license="x")
    assert conda_tree_key(other) == conda_tree_key(PACKAGE)
    assert conda_tree_key(replace(PACKAGE, sha256="0" * 64)) != conda_tree_key(PACKAGE)
    assert conda_tree_key(replace(PACKAGE, file_name="numpy-2.0-h1_0.tar.bz2")) != conda_tree_key(PACKAGE)


def test_a_wheel_is_its_digest_and_its_file_name() -> None:
    one = wheel("tiny", "1.0")
    assert wheel_tree_key(replace(one, index="mirror", url="u", size=3, requires=("a",))) == wheel_tree_key(one)
    assert wheel_tree_key(replace(one, file_name="tiny-2.0-py3-none-any.whl")) != wheel_tree_key(one)


@given(SOURCES, st.randoms())
def test_compiled_modules_do_not_know_the_order(sources: list[tuple[str, str]], random: st.randoms) -> None:
    shuffled = sources.copy()
    random.shuffle(shuffled)
    assert pyc_tree_key(PYTHON, shuffled) == pyc_tree_key(PYTHON, sources)


@given(SOURCES, SOURCES)
def test_compiled_modules_are_their_sources_and_their_python(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    assert (pyc_tree_key(PYTHON, one) == pyc_tree_key(PYTHON, other)) == (sorted(one) == sorted(other))
    assert pyc_tree_key(replace(PYTHON, sha256="0" * 64), one) != pyc_tree_key(PYTHON, one)


def test_a_listing_comes_back_as_it_was() -> None:
    listing = Listing((FileEntry("a", "folder"), FileEntry("a/b", "file", "00", 3, True)), {"x": ["y"]})
    assert Listing.from_dict(listing.to_dict()) == listing
