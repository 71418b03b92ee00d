"""CondaDependencies as users of the v1 SDK write it, and where it does better."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hermetic import CondaDependencies, HermeticWarning
from hermetic.errors import SpecError, UsageError
from hermetic.spec import load_spec


def packages(dependencies: CondaDependencies) -> list[str]:
    return list(dependencies.conda_packages)


WHEEL = "https://example.org/a-1.0-py3-none-any.whl"


def pip(dependencies: CondaDependencies) -> list[str]:
    return list(dependencies.pip_packages)


def test_a_new_one_has_the_default_channel_and_any_python() -> None:
    dependencies = CondaDependencies()
    assert list(dependencies.conda_channels) == ["conda-forge"]
    assert packages(dependencies) == ["python"]
    assert pip(dependencies) == []
    assert dependencies.get_python_version() is None


def test_create_takes_lists_or_one_package() -> None:
    made = CondaDependencies.create(
        pip_indexurl="https://example.org/simple",
        pip_packages=["requests>=2", "Flask"],
        conda_packages="numpy",
        python_version="3.11",
        pin_sdk_version=False,
    )
    assert packages(made) == ["python=3.11", "numpy"]
    assert pip(made) == ["requests>=2", "Flask"]
    assert list(made.pip_options) == ["--index-url https://example.org/simple"]


class TestChannels:
    def test_are_added_behind_the_others_once(self) -> None:
        dependencies = CondaDependencies()
        dependencies.add_channel("pytorch")
        dependencies.add_channel("https://example.org/mine/")
        dependencies.add_channel("conda-forge")
        assert list(dependencies.conda_channels) == ["conda-forge", "pytorch", "https://example.org/mine"]

    def test_are_removed_in_any_spelling(self) -> None:
        dependencies = CondaDependencies()
        dependencies.remove_channel("conda-forge/")
        dependencies.remove_channel("never-there")
        assert list(dependencies.conda_channels) == []


class TestCondaPackages:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("numpy=1.26", "numpy>=2"),
            ("NumPy", "numpy==1.26.4"),
            ("conda-forge::numpy", "numpy[version='>=2']"),
            ("numpy 1.26.4 py311h0_0", "numpy"),
        ],
    )
    def test_a_package_stands_once(self, first: str, second: str) -> None:
        dependencies = CondaDependencies()
        dependencies.add_conda_package(first)
        dependencies.add_conda_package("scipy")
        dependencies.add_conda_package(second)
        assert packages(dependencies) == ["python", second, "scipy"]

    def test_are_removed_by_name_whatever_the_version(self) -> None:
        dependencies = CondaDependencies.create(conda_packages=["numpy=1.26", "scipy"])
        dependencies.remove_conda_package("NumPy")
        dependencies.remove_conda_package("scipy=99")
        dependencies.remove_conda_package("never-there")
        assert packages(dependencies) == ["python"]

    @pytest.mark.parametrize("text", ["num py nonsense >", "numpy>=>1", "git+https://example.org/a.git", "a::b::c::"])
    def test_what_is_no_requirement_is_refused_at_once(self, text: str) -> None:
        with pytest.raises(SpecError):
            CondaDependencies().add_conda_package(text)

    @pytest.mark.parametrize("value", [None, 3, ("numpy",), b"numpy"])
    def test_what_is_no_text_is_a_type_error(self, value: object) -> None:
        for method in ("add_conda_package", "remove_conda_package", "add_pip_package", "add_channel", "set_pip_option"):
            with pytest.raises(TypeError, match=method):
                getattr(CondaDependencies(), method)(value)

    def test_a_comma_too_many_is_named(self) -> None:
        with pytest.raises(TypeError, match="a comma stands behind the value"):
            CondaDependencies().add_pip_package(("requests",))  # type: ignore[arg-type]

    def test_nothing_is_refused_with_the_reason(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            CondaDependencies().add_conda_package("  ")


class TestPython:
    @pytest.mark.parametrize(
        ("asked", "requirement", "version"),
        [
            ("3.11", "python=3.11", "3.11"),
            (">=3.9,<3.13", "python>=3.9,<3.13", ">=3.9,<3.13"),
            ("==3.11.4", "python==3.11.4", "3.11.4"),
            ("=3.11", "python=3.11", "3.11"),
            ("3.11.*", "python=3.11.*", "3.11"),
        ],
    )
    def test_its_version_is_set_and_read(self, asked: str, requirement: str, version: str) -> None:
        dependencies = CondaDependencies()
        dependencies.set_python_version(asked)
        assert packages(dependencies) == [requirement]
        assert dependencies.get_python_version() == version

    @pytest.mark.parametrize("text", ["abc", "3.11 numpy", "-3.11", "3.11\nnumpy", "numpy=3.11", ">", "[build=1]"])
    def test_what_is_no_version_is_refused_and_changes_nothing(self, text: str) -> None:
        dependencies = CondaDependencies()
        before = packages(dependencies)
        with pytest.raises(ValueError, match="no version of Python") as caught:
            dependencies.set_python_version(text)
        assert '"3.11"' in str(caught.value)
        assert packages(dependencies) == before

    def test_spaces_around_bounds_do_not_count(self) -> None:
        dependencies = CondaDependencies()
        dependencies.set_python_version(">=3.9, < 3.13 ")
        assert packages(dependencies) == ["python>=3.9,<3.13"]

    def test_a_range_stays_a_range(self) -> None:
        dependencies = CondaDependencies()
        dependencies.add_conda_package("python>=3.7")
        assert packages(dependencies) == ["python>=3.7"]
        assert dependencies.get_python_version() == ">=3.7"
        assert dependencies.to_spec().conda[0].match == "python >=3.7"

    def test_a_build_is_no_part_of_the_version(self) -> None:
        dependencies = CondaDependencies.create(conda_packages=["python=3.11=*_cpython"])
        assert dependencies.get_python_version() == "3.11"

    def test_without_one_there_is_no_version(self) -> None:
        dependencies = CondaDependencies()
        dependencies.remove_conda_package("python")
        assert dependencies.get_python_version() is None

    def test_a_number_is_refused_because_3_10_is_3_1(self) -> None:
        with pytest.raises(TypeError, match="quotation marks"):
            CondaDependencies().set_python_version(3.10)  # type: ignore[arg-type]


class TestPipPackages:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("a-b==1", "a_B==2"),
            ("requests", "requests[socks]>=2"),
            ("mine==1", "https://example.org/mine-2.0-py3-none-any.whl"),
            ("mine", "-e ./mine#egg=mine"),
            ("torch==1; sys_platform == 'linux'", "torch==2"),
        ],
    )
    def test_a_project_stands_once(self, first: str, second: str) -> None:
        dependencies = CondaDependencies()
        dependencies.add_pip_package(first)
        dependencies.add_pip_package("other")
        dependencies.add_pip_package(second)
        assert len(pip(dependencies)) == 2
        assert len({requirement.name for requirement in dependencies.to_spec().pip}) == 2
        assert pip(dependencies)[0] != first
        assert pip(dependencies)[1] == "other"

    def test_requirements_of_different_markers_stand_side_by_side(self) -> None:
        dependencies = CondaDependencies()
        dependencies.add_pip_package("tomli==1; python_version < '3.9'")
        dependencies.add_pip_package("tomli==2; python_version >= '3.9'")
        dependencies.add_pip_package("tomli==3; python_version >= '3.9'")
        assert pip(dependencies) == ["tomli==1; python_version < '3.9'", "tomli==3; python_version >= '3.9'"]

    def test_are_removed_by_name(self) -> None:
        dependencies = CondaDependencies.create(
            pip_packages=["Flask_Login==1", "requests", "./dist/a-1-py3-none-any.whl"]
        )
        for name in ("flask-login", "REQUESTS==7", "a", "never-there"):
            dependencies.remove_pip_package(name)
        assert pip(dependencies) == []

    def test_an_option_is_no_package(self) -> None:
        for method in (CondaDependencies.add_pip_package, CondaDependencies.remove_pip_package):
            with pytest.raises(UsageError, match="'--pre' is an option, no package"):
                method(CondaDependencies(), "--pre")

    def test_several_lines_are_no_package(self) -> None:
        with pytest.raises(SpecError, match="no pip requirement"):
            CondaDependencies().add_pip_package("a\nb")
        with pytest.raises(UsageError, match="no single requirement"):
            CondaDependencies().add_pip_package("# a comment")

    def test_a_wheel_stands_for_its_project(self) -> None:
        """As a version does: by URL, by path and as a private one, and each takes the place of the others."""
        dependencies = CondaDependencies.create(pip_packages=["six", "My_Pkg==0.9"])
        kept = f"hermetic://team/wheels/{'ab' * 32}/my_pkg-1.0-py3-none-any.whl"
        for target, text in (
            ("https://example.org/my_pkg-1.0-py3-none-any.whl",) * 2,
            (kept, kept),
            ("./my_pkg-1.0-py3-none-any.whl",) * 2,
        ):
            dependencies.add_pip_package(target)
            assert len(pip(dependencies)) == 2
            assert pip(dependencies)[0] == "six"
            assert pip(dependencies)[1].endswith(text)
        dependencies.add_pip_package("my-pkg>=2")
        assert pip(dependencies) == ["six", "my-pkg>=2"]
        dependencies.add_pip_package(kept)
        dependencies.remove_pip_package(kept)
        assert pip(dependencies) == ["six"]

    def test_a_package_keeps_its_place(self) -> None:
        dependencies = CondaDependencies.create(pip_packages=["a==1", "b"])
        dependencies.add_pip_package("a[x]==2")
        assert pip(dependencies) == ["a[x]==2", "b"]

    def test_a_password_in_a_url_is_refused_and_a_reference_is_kept(self) -> None:
        dependencies = CondaDependencies()
        for url in ("https://me:hunter2@example.org/a-1.0-py3-none-any.whl", f"{WHEEL}?sv=2024&sig=hunter2"):
            with pytest.raises(SpecError, match="holds a typed password") as caught:
                dependencies.add_pip_package(url)
            assert "hunter2" not in str(caught.value)
            assert "${secret:NAME}" in str(caught.value.remedy)
        assert pip(dependencies) == []
        for held in ("${TOKEN}", "me:${secret:pw}"):
            dependencies.add_pip_package(f"https://{held}@example.org/a-1.0-py3-none-any.whl")
            assert pip(dependencies) == [f"a @ https://{held}@example.org/a-1.0-py3-none-any.whl"]

    def test_requirements_are_read_as_pip_reads_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "more.txt").write_text("Six==1.17.0\n-c limits.txt\n")
        (tmp_path / "limits.txt").write_text("urllib3<3\n")
        monkeypatch.chdir(tmp_path)
        dependencies = CondaDependencies.create(pip_packages=["gone"])
        dependencies.set_pip_option("--no-index")
        digest = "0" * 64
        lines = ["# a comment", "-r more.txt", "--pre", "a==1 \\", f"  --hash=sha256:{digest}", "", "b  # why"]
        dependencies.set_pip_requirements(lines)
        assert pip(dependencies) == ["six==1.17.0", f"a==1 --hash=sha256:{digest}", "b"]
        assert list(dependencies.pip_constraints) == ["urllib3<3"]
        assert list(dependencies.pip_options) == ["--pre"]


class TestPipOptions:
    def test_one_index_and_several_extra_ones(self) -> None:
        dependencies = CondaDependencies()
        dependencies.set_pip_index_url("https://example.org/one")
        dependencies.set_pip_index_url("--index-url https://example.org/two")
        dependencies.set_pip_option("--extra-index-url https://example.org/x")
        dependencies.set_pip_option("--extra-index-url=https://example.org/y")
        dependencies.set_pip_option("--pre")
        assert list(dependencies.pip_options) == [
            "--index-url https://example.org/two",
            "--extra-index-url https://example.org/x",
            "--extra-index-url https://example.org/y",
            "--pre",
        ]

    def test_are_removed_by_name_or_with_their_value(self) -> None:
        dependencies = CondaDependencies()
        for option in ("--pre", "--extra-index-url https://example.org/x", "--extra-index-url https://example.org/y"):
            dependencies.set_pip_option(option)
        dependencies.remove_pip_option("--extra-index-url https://example.org/x")
        assert list(dependencies.pip_options) == ["--extra-index-url https://example.org/y", "--pre"]
        dependencies.remove_pip_option("--extra-index-url")
        dependencies.remove_pip_option("--pre")
        dependencies.remove_pip_option("--no-index")
        assert list(dependencies.pip_options) == []

    def test_a_password_in_an_index_or_channel_is_refused(self) -> None:
        dependencies = CondaDependencies()
        with pytest.raises(SpecError, match="holds a typed password"):
            dependencies.set_pip_index_url("https://me:hunter2@example.org/simple")
        with pytest.raises(SpecError, match="holds a typed password"):
            dependencies.add_channel("https://me:hunter2@example.org/mine")
        dependencies.set_pip_option("--extra-index-url https://${TOKEN}@example.org/more")
        assert list(dependencies.pip_options) == ["--extra-index-url https://${TOKEN}@example.org/more"]
        assert list(dependencies.conda_channels) == ["conda-forge"]

    @pytest.mark.parametrize("option", ["--no-deps", "requests", "--hash"])
    def test_what_is_no_option_of_a_spec_is_refused(self, option: str) -> None:
        with pytest.raises(UsageError):
            CondaDependencies().set_pip_option(option)

    @pytest.mark.parametrize(
        ("option", "way"),
        [
            ("requests", "write an option"),
            ("-e git+https://example.org/a.git", "add_pip_package takes it"),
            ("-r requirements.txt", "Environment.from_pip_requirements"),
        ],
    )
    def test_what_means_packages_is_refused_with_the_way_out(self, option: str, way: str) -> None:
        for method in (CondaDependencies.set_pip_option, CondaDependencies.remove_pip_option):
            with pytest.raises(UsageError, match="is no option") as caught:
                method(CondaDependencies(), option)
            assert way in caught.value.remedy

    def test_short_names_are_the_long_ones(self) -> None:
        dependencies = CondaDependencies()
        dependencies.set_pip_index_url("-i https://example.org/simple")
        dependencies.set_pip_option("-f https://example.org/wheels")
        assert list(dependencies.pip_options) == [
            "--index-url https://example.org/simple",
            "--find-links https://example.org/wheels",
        ]

    def test_what_is_the_machines_business_is_said_without_a_place(self) -> None:
        dependencies = CondaDependencies()
        with pytest.warns(HermeticWarning, match="^--trusted-host is not used"):
            dependencies.set_pip_option("--trusted-host example.org")
        assert list(dependencies.pip_options) == []


class TestMergeRequirements:
    def test_joins_what_concerns_one_project(self) -> None:
        merged = CondaDependencies.merge_requirements(["a==1,<3", "B[x]", "A>=0", "b[y]<2", "a; python_version < '3'"])
        assert merged == ["a<3,==1,>=0", "b[x,y]<2", 'a; python_version < "3"']

    @given(st.permutations(["a>=1", "A<3", "b", "b!=2", "c[z]", "c==1"]))
    def test_order_changes_the_order_alone(self, lines: list[str]) -> None:
        assert sorted(CondaDependencies.merge_requirements(lines)) == ["a<3,>=1", "b!=2", "c[z]==1"]


EXAMPLE = """\
# what we train with
name: train
channels: [pytorch, nodefaults, conda-forge]
prefix: /home/someone/envs/train
dependencies:
  - python >=3.9,<3.13
  - pytorch::torchvision
  - numpy=1.26   # [linux]
  - sel(osx): numpy=2
  - pip:
    - --extra-index-url https://example.org/simple
    - -r more.txt
    - Flask_Login ~= 1.0
    - ./dist/mine-1.0-py3-none-any.whl
variables:
  OMP_NUM_THREADS: "1"
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    (tmp_path / "more.txt").write_text("requests>=2\n-c limits.txt\n--pre\n")
    (tmp_path / "limits.txt").write_text("urllib3<3\n")
    path = tmp_path / "environment.yml"
    path.write_text(EXAMPLE)
    return path


class TestFiles:
    def test_a_specification_is_read_in_its_own_words(self, example: Path) -> None:
        dependencies = CondaDependencies(example)
        assert list(dependencies.conda_channels) == ["pytorch", "nodefaults", "conda-forge"]
        assert packages(dependencies) == ["python >=3.9,<3.13", "pytorch::torchvision", "numpy=1.26", "numpy=2"]
        assert pip(dependencies) == ["requests>=2", "Flask_Login ~= 1.0", "./dist/mine-1.0-py3-none-any.whl"]
        assert list(dependencies.pip_constraints) == ["urllib3<3"]
        assert list(dependencies.pip_options) == ["--extra-index-url https://example.org/simple", "--pre"]

    def test_it_means_what_the_file_means(self, example: Path) -> None:
        assert CondaDependencies(example).to_spec() == load_spec([example])

    def test_its_text_means_the_same_without_the_included_files(self, example: Path) -> None:
        dependencies = CondaDependencies(example)
        text = dependencies.serialize_to_string()
        assert "-r " not in text
        again = CondaDependencies.from_text(text, example.parent)
        assert again.to_spec() == dependencies.to_spec()
        assert again.serialize_to_string() == text

    def test_as_dict_is_what_yaml_gives(self, example: Path) -> None:
        values = CondaDependencies(example).as_dict()
        assert values["dependencies"][:2] == ["python >=3.9,<3.13", "pytorch::torchvision"]
        assert {"sel(linux)": "numpy=1.26"} in values["dependencies"]
        assert values["variables"] == {"OMP_NUM_THREADS": "1"}
        again = CondaDependencies.from_text(yaml.safe_dump(values), example.parent)
        assert again.to_spec() == CondaDependencies(example).to_spec()

    def test_plain_values_equal_the_yaml(self) -> None:
        dependencies = CondaDependencies.create(pip_packages=["a"], conda_packages=["numpy"])
        assert yaml.safe_load(dependencies.serialize_to_string()) == dependencies.as_dict()

    def test_saving_goes_back_to_the_file(self, example: Path) -> None:
        dependencies = CondaDependencies(example)
        dependencies.add_conda_package("scipy")
        assert dependencies.save() == str(example)
        assert "scipy" in packages(CondaDependencies(example))

    def test_saving_elsewhere_keeps_local_files_reachable(self, example: Path, tmp_path: Path) -> None:
        dependencies = CondaDependencies(example)
        other = tmp_path / "deep" / "down" / "environment.yml"
        dependencies.save(other)
        assert "../../dist/mine-1.0-py3-none-any.whl" in other.read_text()
        (before,) = [r.url for r in dependencies.to_spec().pip if r.url]
        (after,) = [r.url for r in CondaDependencies(other).to_spec().pip if r.url]
        assert (example.parent / before).resolve() == (other.parent / after).resolve()

    def test_save_to_file_gives_the_relative_path(self, tmp_path: Path) -> None:
        dependencies = CondaDependencies()
        assert dependencies.save_to_file(tmp_path) == "conda_dependencies.yml"
        assert dependencies.save_to_file(str(tmp_path), "sub/x.yml") == "sub/x.yml"
        assert (tmp_path / "sub" / "x.yml").read_text() == (tmp_path / "conda_dependencies.yml").read_text()

    def test_without_a_file_saving_asks_for_a_path(self) -> None:
        with pytest.raises(UsageError, match="give save a path"):
            CondaDependencies().save()

    def test_a_folder_is_no_file_to_save_to(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="is a folder") as caught:
            CondaDependencies().save(tmp_path)
        assert str(tmp_path / "conda_dependencies.yml") in caught.value.remedy
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_file_is_a_file_not_found_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"nothing\.yml"):
            CondaDependencies(tmp_path / "nothing.yml")

    def test_a_wrong_file_is_refused_with_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "environment.yml"
        path.write_text("name: x\ndependencies:\n  - python=3.11\n  - numpy>=>2\n")
        with pytest.raises(SpecError) as caught:
            CondaDependencies(path)
        assert str(caught.value.place) == f"{path}:4"

    def test_an_unknown_key_is_refused(self) -> None:
        with pytest.raises(SpecError, match="unknown key 'dependancies'"):
            CondaDependencies.from_text("dependancies: []\nchannels: []\n")


def test_iterators_are_copies() -> None:
    """Each call begins anew, and changing while looping is safe."""
    dependencies = CondaDependencies.create(conda_packages=["numpy"], pip_packages=["a", "b"])
    for package in dependencies.pip_packages:
        dependencies.remove_pip_package(package)
    for package in dependencies.conda_packages:
        dependencies.remove_conda_package(package)
    for channel in dependencies.conda_channels:
        dependencies.remove_channel(channel)
    assert dependencies.as_dict() == {"name": "project_environment", "dependencies": []}
    assert next(dependencies.conda_packages, None) is None


def test_create_begins_with_what_a_new_one_holds() -> None:
    assert CondaDependencies.create().as_dict() == CondaDependencies().as_dict()
    made = CondaDependencies.create(None, ["azureml-defaults"], ["python=3.9", "numpy"], "3.8", True)
    assert packages(made) == ["python=3.9", "numpy"]
    assert pip(made) == ["azureml-defaults"]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("add_tensorflow_pip_package", "add_pip_package('tensorflow')"),
        ("add_tensorflow_conda_package", "add_conda_package('tensorflow')"),
        ("add_cntk_package", "no longer made"),
        ("sdk_origin_url", "remove the line"),
        ("get_default_number_of_packages", "remove the line"),
    ],
)
def test_what_the_v1_sdk_has_is_told_apart(name: str, way: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(CondaDependencies(), name)
    assert way in str(caught.value)


def test_unknown_attributes_are_refused() -> None:
    with pytest.raises(AttributeError, match="did you mean 'add_pip_package'"):
        CondaDependencies().add_pip_packages("a")
    with pytest.raises(AttributeError, match="no attribute 'channels'"):
        CondaDependencies().channels = []  # type: ignore[attr-defined]


NAMES = st.sampled_from(["numpy", "scipy", "pandas", "zlib", "python"])
SPELLINGS = st.sampled_from(["{}", "{}=1.2", "{}>=1,<2", "{}==1.0", "conda-forge::{}", "{}[version='>1']"])
ADDS = st.lists(st.builds(lambda name, text: text.format(name), NAMES, SPELLINGS), max_size=12)


@given(ADDS, ADDS)
def test_whatever_is_added_the_text_reads_back_to_the_same(conda: list[str], wheels: list[str]) -> None:
    dependencies = CondaDependencies()
    for text in conda:
        dependencies.add_conda_package(text)
    for text in wheels:
        if "::" not in text and "[" not in text and "=1.2" not in text:
            dependencies.add_pip_package(text)
    names = [requirement.name for requirement in dependencies.to_spec().conda]
    assert len(names) == len(set(names))
    again = CondaDependencies.from_text(dependencies.serialize_to_string(), dependencies.root)
    assert again.as_dict() == dependencies.as_dict()
    assert again.to_spec() == dependencies.to_spec()
