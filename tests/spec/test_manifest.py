"""hermetic.toml: a project's environments by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hermetic.errors import HermeticError, Place, UsageError
from hermetic.platforms import Accelerator
from hermetic.spec.manifest import Manifest, find_manifest, load_environment, load_manifest
from hermetic.spec.model import CondaRequirement

WHOLE = """\
[project]
name = "demo"

[channels]
demo = "./channel"

[environments.default]
from = ["envs/environment.yml", "pyproject.toml"]
channels = ["demo", "nodefaults"]
dependencies = [
  "python=3.11",
  "bioconda::samtools",
]
pip = ["requests>=2", "--extra-index-url https://example.org/simple", "-e ./lib"]
wheels = ["dist/mine-1.0-py3-none-any.whl"]
platforms = ["linux-64", "osx-arm64"]
accelerator = "cuda-12.4"
system = { glibc = "2.35" }
variables = { OMP_NUM_THREADS = "1" }
base = "example.org/base:1"
source-builds = ["Some_sdist"]
extras = ["gpu"]
groups = ["test"]

[environments.small]
dependencies = ["python"]
lock = "small.lock.json"
"""


def write(folder: Path, text: str) -> Manifest:
    (folder / "hermetic.toml").write_text(text)
    return load_manifest(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "environment.yml").write_text(
        "name: other\nchannels: [conda-forge]\nplatforms: [win-64]\n"
        "dependencies: [numpy, {pip: [-e .]}]\nvariables: {A: b}\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\ndependencies = []\noptional-dependencies = {gpu = ["cupy"]}\n'
        '[dependency-groups]\ntest = ["pytest"]\n'
    )
    return tmp_path


def test_a_whole_manifest(project: Path) -> None:
    manifest = write(project, WHOLE)
    assert (manifest.name, manifest.root, dict(manifest.channels)) == ("demo", project, {"demo": "./channel"})
    assert list(manifest.environments) == ["default", "small"]
    assert manifest.environment("default").lock == project / "lockfiles" / "default.lock.json"
    assert manifest.environment("small").lock == project / "small.lock.json"
    found = load_environment(manifest)
    spec = found.spec
    assert found.name == "default"
    assert found.files == tuple(project / name for name in ("hermetic.toml", "envs/environment.yml", "pyproject.toml"))
    assert spec.channels == ("demo", "conda-forge")
    assert {item.text for item in spec.conda} == {"python 3.11.*", "bioconda::samtools", "numpy"}
    assert {item.text for item in spec.pip} == {
        "requests>=2", "./lib", "./envs", "mine @ ./dist/mine-1.0-py3-none-any.whl", "cupy", "pytest",
    }  # fmt: skip
    assert spec.options.extra_indexes == ("https://example.org/simple",)
    assert spec.platforms == ("linux-64", "osx-arm64")
    assert spec.accelerator == Accelerator("cuda", "12.4")
    assert spec.system == (("__glibc", "2.35"),)
    assert spec.variables == (("A", "b"), ("OMP_NUM_THREADS", "1"))
    assert (spec.base, spec.source_builds) == ("example.org/base:1", ("some-sdist",))


def test_requirements_know_their_lines(project: Path) -> None:
    spec = load_environment(write(project, WHOLE)).spec
    lines = {item.name: item.place.line for item in spec.conda if item.place and item.place.file.endswith(".toml")}
    assert lines == {"python": 11, "samtools": 12}


def test_platforms_given_take_the_place_of_those_declared(project: Path) -> None:
    manifest = write(project, WHOLE)
    assert load_environment(manifest, platforms=["linux-aarch64"]).spec.platforms == ("linux-aarch64",)
    assert load_environment(manifest, "small").spec.conda == (CondaRequirement("python", "python"),)


def test_a_manifest_is_found_from_below(tmp_path: Path) -> None:
    write(tmp_path, WHOLE)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_manifest(below) == tmp_path / "hermetic.toml"


def test_an_unknown_environment_names_those_there_are(tmp_path: Path) -> None:
    manifest = write(tmp_path, "[environments.train]\n[environments.serve]\n")
    with pytest.raises(UsageError) as caught:
        manifest.environment("trian")
    assert caught.value.remedy == "did you mean 'train'?"
    with pytest.raises(UsageError) as caught:
        manifest.environment("xyz")
    assert caught.value.remedy == "there are: train, serve"


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("[environment.default]\n", 1, "unknown key 'environment'", "did you mean 'environments'?"),
        ("[project]\nnom = 'x'\n", 2, "unknown key 'nom' in [project]", "known keys: name"),
        (
            "[environments.a]\n\ndependecies = []\n",
            3,
            "unknown key 'dependecies' in [environments.a]",
            "'dependencies'",
        ),
        ("[environments.a]\nzzz = 1\n", 2, "unknown key 'zzz'", "known keys: from, channels"),
        ("[environments]\na = 1\n", 2, "environments.a is a table", "[environments.a]"),
        ("[environments.'a b']\n", 1, "is no name of an environment", "letters"),
        ("[environments.a]\ndependencies = 'numpy'\n", 2, "is a list of texts", '["..."]'),
        ("[environments.a]\ndependencies = ['numpy', 1]\n", 2, "is a list of texts", '["..."]'),
        ("[environments.a]\ndependencies = [\n 'x',\n 'a=1=2=3',\n]\n", 4, "no build string", "name>=1.2"),
        ("[environments.a]\npip = ['a=1']\n", 2, "is no pip requirement", "=="),
        ("[environments.a]\nwheels = ['a.tar.gz']\n", 2, "is no wheel", ".whl"),
        ("[environments.a]\nplatforms = ['linux-65']\n", 2, "unknown platform", "linux-64"),
        ("[environments.a]\n\nexclude-newer = 'soon'\n", 3, "'soon' is no time", "2026-01-31"),
        ("[environments.a]\nexclude-newer = 2026\n", 2, "exclude-newer is a text", "exclude-newer ="),
        ("[environments.a]\naccelerator = 'gpu'\n", 2, "is no accelerator", "cuda-12.4"),
        ("[environments.a]\nsystem = { libc = '2' }\n", 2, "unknown system property", "glibc"),
        (
            "[environments.a]\nsystem = { glibc = 2.35 }\n",
            2,
            "glibc is a text",
            'put it in quotation marks: glibc = "..."',
        ),
        ("[environments.a.variables]\n'1' = 'x'\n", 2, "no variable of one line", "letters"),
        ("[environments.a]\nlock = 'a.txt'\n", 2, "a lock is a JSON file", "lockfiles/a.lock.json"),
        (
            "[environments.a]\nlock = 'x.json'\n[environments.b]\nlock = 'x.json'\n",
            4,
            "a and b have one lock",
            "its own",
        ),
        ("[environments.a]\nextras = ['x']\n", 2, "extras choose among", "from ="),
        ("[environments.a]\nfrom = ['missing.yml']\n", 2, "there is no 'missing.yml'", "correct the path"),
        ("[environments.a]\nfrom = ['" + "x" * 300 + "']\n", 2, "there is no 'xxx", "correct the path"),
        ("[environments.a]\nfrom = ['hermetic.toml']\n", None, "is no spec", "the manifest"),
        ("[channels]\na = ''\n", 2, "needs a name and an address", "./folder"),
        ("[channels]\n'' = 'x'\n", 2, "needs a name and an address", "./folder"),
        ("[channels]\nb = './b'\na = 'https://me:s3cret@example.org/a'\n", 3, "a password or token", "${VARIABLE}"),
        ("[channels]\na = 'https://example.org/t/s3cret/a'\n", 2, "a password or token", "${VARIABLE}"),
        ("[environments.a]\nchannels = ['https://s3cret@example.org/a']\n", 2, "a password or token", "${VARIABLE}"),
        ("[channels]\na = 1\n", 2, "a is a text", 'put it in quotation marks: a = "..."'),
        ("[environments.a\n", 1, "malformed TOML", "mend"),
        ("", None, "", ""),
    ],
)
def test_what_is_wrong_is_told_with_line_and_remedy(
    tmp_path: Path, text: str, line: int | None, message: str, remedy: str
) -> None:
    if not text:
        assert write(tmp_path, text).environments == {}
        return
    (tmp_path / "hermetic.toml").write_text(text)
    with pytest.raises(HermeticError) as caught:
        load_environment(load_manifest(tmp_path), "a")
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert "s3cret" not in str(caught.value)
    if line:
        assert caught.value.place == Place(str(tmp_path / "hermetic.toml"), line)


def test_two_answers_to_one_question_name_both_places(project: Path) -> None:
    manifest = write(
        project, "[environments.a]\nfrom = ['envs/environment.yml']\n[environments.a.variables]\nA = 'c'\n"
    )
    with pytest.raises(HermeticError) as caught:
        load_environment(manifest, "a")
    assert caught.value.place == Place(str(project / "envs" / "environment.yml"), 5)
    assert f"{project / 'hermetic.toml'}:4" in caught.value.message


def test_reading_a_manifest_imports_no_parser_of_specs(tmp_path: Path) -> None:
    write(tmp_path, WHOLE)
    code = (
        "import sys; from hermetic.spec.manifest import load_manifest; load_manifest(sys.argv[1]); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert not {"yaml", "rattler", "packaging", "tomlkit", "conda_lock"} & set(out.stdout.split())


def test_a_base_that_a_dockerfile_makes(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text("FROM debian:12-slim\nCOPY a /a\n")
    text = '[environments.a]\nbase-dockerfile = "docker/Dockerfile"\nbase-context = "docker"\n'
    manifest = write(tmp_path, text)
    loaded = load_environment(manifest, "a")
    assert loaded.spec.base_dockerfile == "FROM debian:12-slim\nCOPY a /a\n"
    assert tmp_path / "docker" / "Dockerfile" in loaded.files  # a no-op notices when it changes
    assert manifest.environment("a").context == tmp_path / "docker"
    first = loaded.spec.to_dict()["base_dockerfile"]
    (tmp_path / "docker" / "Dockerfile").write_text("FROM debian:13-slim\n")
    assert load_environment(manifest, "a").spec.to_dict()["base_dockerfile"] != first
    inline = write(tmp_path, '[environments.a]\nbase-dockerfile = """\nFROM debian:12-slim\n"""\n')
    assert load_environment(inline, "a").spec.base_dockerfile == "FROM debian:12-slim\n"


def test_a_base_in_a_private_registry(tmp_path: Path) -> None:
    manifest = write(
        tmp_path,
        '[environments.a]\nbase = "team/base:1"\n'
        'base-registry = { address = "registry.example.org:5000", username = "me", password = "${TOKEN}" }\n',
    )
    assert load_environment(manifest, "a").spec.base == "registry.example.org:5000/team/base:1"
    assert manifest.environment("a").login == ("me", "${TOKEN}")
    assert "TOKEN" not in repr(manifest.environment("a"))
    assert "TOKEN" not in str(load_environment(manifest, "a").spec.to_dict())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('base = "debian:12"\nbase-dockerfile = "Dockerfile"', "named or built, not both"),
        ('base-context = "."', "for a Dockerfile"),
        ('base-dockerfile = "nowhere/Dockerfile"', "there is no 'nowhere/Dockerfile'"),
        ('base = "a:1"\nbase-registry = { address = "example.org", password = "hunter2" }', "known to everybody"),
        ('base = "a:1"\nbase-registry = { address = "https://example.org" }', "is its host"),
        ('base = "a:1"\nbase-registry = { host = "example.org" }', "unknown key"),
    ],
)
def test_what_a_base_cannot_be(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(HermeticError, match=message) as caught:
        load_environment(write(tmp_path, f"[environments.a]\n{lines}\n"), "a")
    assert caught.value.place
    assert caught.value.place.line
    assert "hunter2" not in str(caught.value)


def test_two_answers_for_the_base_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "azure").mkdir()
    (tmp_path / "azure" / "azureml_environment.json").write_text(
        '{"name": "x", "python": {"userManagedDependencies": true}, "docker": {"baseDockerfile": "FROM a\\n"}}'
    )
    manifest = write(tmp_path, '[environments.a]\nfrom = ["azure"]\nbase = "debian:12"\n')
    with pytest.raises(HermeticError, match="the base is 'a Dockerfile of sha256"):
        load_environment(manifest, "a")


@pytest.mark.parametrize(
    "value",
    ["'2026-01-31'", "2026-01-31", "2026-02-01T00:59:59+01:00", "'2026-01-31T23:59:59'", "'2026-01-31T23:59:59.9Z'"],
)
def test_a_date_after_which_nothing_counts(tmp_path: Path, value: str) -> None:
    (tmp_path / "environment.yml").write_text("dependencies: [numpy]\n")
    without = '[environments.a]\nfrom = ["environment.yml"]\n'
    spec = load_environment(write(tmp_path, f"{without}exclude-newer = {value}\n"), "a").spec
    assert spec.exclude_newer == "2026-01-31T23:59:59Z"
    plain = load_environment(write(tmp_path, without), "a").spec
    assert "exclude_newer" not in plain.to_dict()  # so that no digest made before moves
    assert plain.digest() != spec.digest()
