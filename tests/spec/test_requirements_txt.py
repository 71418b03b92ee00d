"""Requirements files: what pip would install, from the same lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermetic.errors import Place, SpecError
from hermetic.spec.requirements_txt import Requirements, logical_lines, read_requirements

HEX = "ab" * 32


def read(folder: Path, text: str, **others: str) -> Requirements:
    for name, content in others.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".txt").write_text(content)
    path = folder / "requirements.txt"
    path.write_text(text)
    return read_requirements(path)


def test_requirements_have_their_lines(tmp_path: Path) -> None:
    found = read(
        tmp_path, "# comment\n\nflask>=2  # web\nnumpy ; python_version<'4' \\\n  and os_name=='posix'\nscipy\n"
    )
    file = str(tmp_path / "requirements.txt")
    assert [(item.text, item.place) for item in found.pip] == [
        ("flask>=2", Place(file, 3)),
        ('numpy; python_version < "4" and os_name == "posix"', Place(file, 4)),
        ("scipy", Place(file, 6)),
    ]


def test_hashes_over_continued_lines(tmp_path: Path) -> None:
    found = read(tmp_path, f"a==1 \\\n    --hash=sha256:{HEX} \\\n    --hash sha256:{HEX[::-1]}\n")
    assert found.pip[0].hashes == tuple(sorted({f"sha256:{HEX}", f"sha256:{HEX[::-1]}"}))


def test_included_files_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "-r sub/more.txt\n--constraint=limits.txt\na\n",
        sub__more="-r deep.txt\n-c../limits.txt\n./local\nb\n",
        sub__deep="c\n",
        limits="d<2\n",
    )
    assert sorted(item.text for item in found.pip) == ["./sub/local", "a", "b", "c"]
    assert {item.text for item in found.constraints} == {"d<2"}
    names = ["requirements.txt", "sub/more.txt", "sub/deep.txt", "sub/../limits.txt", "limits.txt"]
    assert found.files == [tmp_path / name for name in names]


def test_what_a_constraints_file_includes_are_constraints(tmp_path: Path) -> None:
    found = read(tmp_path, "-c one.txt\n", one="-r two.txt\n", two="a<2\n")
    assert (found.pip, [item.text for item in found.constraints]) == ([], ["a<2"])


def test_options(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "-i https://me:${TOKEN}@example.org/simple/\n"
        "--extra-index-url=https://somebody@example.org/extra\n"
        "--extra-index-url https://example.org/extra --pre\n"
        "-f ./wheels\n-fhttps://example.org/links\n--find-links file:///abs\n"
        "--only-binary=:all:\n--no-binary mine,Other_One\n"
        "--prefer-binary\n--trusted-host example.org\n--use-feature=fast-deps\n",
    )
    options = found.options
    assert options.index == "https://me:${TOKEN}@example.org/simple"
    assert options.extra_indexes == ("https://example.org/extra",)
    assert options.find_links == ("./wheels", "https://example.org/links", "/abs")
    assert (options.only_binary, options.no_binary, options.pre) == ((":all:",), ("mine", "other-one"), True)
    assert [warning.split(": ")[0][-2:] for warning in found.warnings] == [":2", "10", "11"]
    assert "somebody" not in repr(found)


@pytest.mark.parametrize(
    "line",
    [
        "-i https://me:hunter2@example.org/simple",
        "--extra-index-url=https://${USER}:hunter2@example.org/extra",
        "-f https://me:hunter2@example.org/links",
        "a @ https://me:hunter2@example.org/a.whl",
        "-e git+https://me:hunter2@example.org/a@v1#egg=a",
        "a @ https://example.org/a.whl?sv=1&sig=hunter2",
    ],
)
def test_a_typed_password_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(SpecError, match="typed password") as caught:
        read(tmp_path, f"b\n{line}\n")
    assert caught.value.place
    assert caught.value.place.line == 2
    assert "hunter2" not in str(caught.value)
    assert "${secret:NAME}" in (caught.value.remedy or "")


def test_the_later_word_on_a_project_wins(tmp_path: Path) -> None:
    options = read(tmp_path, "--no-binary a,b\n--only-binary a\n--no-binary :none:\n").options
    assert (options.only_binary, options.no_binary) == (("a",), ())
    options = read(tmp_path, "--no-binary a\n--only-binary :all:\n").options
    assert (options.only_binary, options.no_binary) == ((":all:",), ())


def test_editables(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "-e .\n--editable=./lib[x]\n-e git+https://example.org/a@v1#egg=A&subdirectory=s\n-e ./y ; os_name == 'nt'\n",
    )
    assert all(item.editable for item in found.pip)
    assert [item.text for item in found.pip] == [
        ".",
        "./lib[x]",
        "a @ git+https://example.org/a@v1#subdirectory=s",
        './y ; os_name == "nt"',
    ]


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("a\nb==\n", 2, "is no pip requirement", "name[extra]"),
        ("-r missing.txt", 1, "there is no file", "start at this file"),
        ("a\n-r requirements.txt", 2, "the files include each other", "remove one -r"),
        ("-r https://example.org/r.txt", 1, "depend on the network", "download it"),
        ("-r ${X}.txt", 1, "a variable in a path", "the path itself"),
        ("--no-deps", 1, "'--no-deps' has no place in a spec", "says what to install"),
        ("--hash=sha256:00", 1, "'--hash' has no place", "says what to install"),
        ("a --global-option=x", 1, "'--global-option' after a requirement", "only --hash"),
        ("a --config-settings x=y", 1, "'--config-settings' after a requirement", "only --hash"),
        ("a --hash=md5:00", 1, "no digest that pip accepts", "64 hex"),
        ("a --hash", 1, "--hash needs a value", "--hash=sha256:"),
        ("-i", 1, "--index-url needs a value", "--index-url VALUE"),
        ("-i example.org/simple", 1, "an index needs a URL", "https://host/simple"),
        ("-i https://example.org/a\n-i https://example.org/b", 2, "a second --index-url", "--extra-index-url"),
        ("--find-links 'x", 1, "a quotation mark is missing", "close it"),
        ("-e requests==2", 1, "the path", "path"),
        ("--require-hashes\na==1", 2, "a==1 has no --hash", "a lock holds every digest"),
        ("-x", 1, "'-x' has no place", "says what to install"),
    ],
)
def test_what_is_refused_says_where_why_and_what_to_do(
    tmp_path: Path, text: str, line: int, message: str, remedy: str
) -> None:
    if message == "the path":
        assert read(tmp_path, text).pip[0].url == "./requests==2"  # pip takes it for a path too
        return
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == Place(str(tmp_path / "requirements.txt"), line)


def test_a_constraint_is_a_name_and_a_version(tmp_path: Path) -> None:
    for line in ("a[x]<2", "./a", "-e ./a"):
        with pytest.raises(SpecError, match="a constraint limits the version"):
            read(tmp_path, "-c limits.txt", limits=line)


def test_a_loop_of_files_is_told_whole(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"requirements.txt -> .*a.txt -> .*b.txt -> .*a.txt"):
        read(tmp_path, "-r a.txt", a="-r b.txt", b="-c ./a.txt")


@pytest.mark.parametrize("name", ["x" * 300, "x/../" * 2000 + "y", "\u2028"])
def test_an_impossible_path_is_an_error_of_the_spec(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError):
        read(tmp_path, f"-r {name}")


LINES = st.lists(st.sampled_from(["a", "#", " #", "\\", "b==1", " ", "\t", "--pre"]), max_size=5).map("".join)


@given(st.lists(LINES, max_size=6).map("\n".join))
@settings(max_examples=300)
def test_lines_are_joined_as_pip_joins_them(text: str) -> None:
    preprocess = pytest.importorskip("pip._internal.req.req_file").preprocess
    assert [line for _, line in logical_lines(text)] == [line.strip() for _, line in preprocess(text) if line.strip()]
