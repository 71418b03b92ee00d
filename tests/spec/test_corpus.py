"""Every real spec of the corpus gives the right Spec, or an error with file, line and remedy."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from hermetic.errors import SpecError
from hermetic.spec.environment_yml import parse_environment_yml
from hermetic.spec.load import load
from hermetic.spec.serialize import environment_yml

SHARED = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[2].parent / "shared"))
CORPUS = SHARED / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of real specs at {CORPUS}")

ERRORS = {
    # file: (line, what is wrong, what to do)
    "Azure/MachineLearningNotebooks/how-to-use-azureml/automated-machine-learning/automl_env.yml":
        (19, "would make the spec depend on the network", "download it, commit it"),
    "Azure/MachineLearningNotebooks/how-to-use-azureml/automated-machine-learning/automl_env_linux.yml":
        (30, "would make the spec depend on the network", "download it, commit it"),
    "Azure/MachineLearningNotebooks/how-to-use-azureml/automated-machine-learning/automl_env_mac.yml":
        (26, "would make the spec depend on the network", "download it, commit it"),
    "conda/conda-lock/tests/test-pip-hash-checking/environment.yml":
        (8, "'sha256:1234' is no digest", "64 hex digits"),
    "conda/conda-lock/tests/test-pypi-resolve-gh155/environment.yml":
        (4, "unknown key 'platform'", "did you mean 'platforms'?"),
    "jupyterhub/repo2docker/tests/conda/py35-binder-dir/environment.yml":
        (4, "neither a list entry ('- ...') nor 'key: value'", "check indentation"),
    "jupyterhub/repo2docker/tests/venv/binder-dir/environment.yml":
        (3, "neither a list entry ('- ...') nor 'key: value'", "check indentation"),
}  # fmt: skip

COUNTS = {
    # where the index counts otherwise: (conda, pip)
    "Azure/MachineLearningNotebooks/tutorials/image-classification-mnist-data/img-classification-part1-training.yml":
        (0, 6),  # azureml-widgets stands twice
    "conda/conda-lock/tests/test-local-pip/environment.yml": (1, 1),  # "-e ." is a requirement
    "conda/rattler/test-data/environments/asymmetric_vqgan.environment.yaml": (6, 19),  # three editable ones
    "microsoft/computervision-recipes/contrib/crowd_counting/crowdcounting/test/ci/environment.yml":
        (5, 25),  # scikit-image stands twice, and one is editable
    "microsoft/computervision-recipes/contrib/crowd_counting/requirements.txt": (0, 22),
    "jupyterhub/repo2docker/playwright-requirements.txt": (0, 9),  # with those of the file that it includes
}  # fmt: skip


def rows() -> list[dict[str, str]]:
    if not CORPUS.is_dir():
        return []
    with (CORPUS / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def path_of(row: dict[str, str]) -> Path:
    return CORPUS / row["repo"].replace("/", "+") / row["path"]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['repo']}/{row['path']}")
def test_every_spec_is_read_or_refused_with_the_reason(row: dict[str, str]) -> None:
    path, label = path_of(row), f"{row['repo']}/{row['path']}"
    if label in ERRORS:
        line, message, remedy = ERRORS[label]
        with pytest.raises(SpecError) as caught:
            load([path])
        assert caught.value.place
        assert (caught.value.place.file, caught.value.place.line) == (str(path), line)
        assert message in caught.value.message
        assert remedy in (caught.value.remedy or "")
        return
    found = load([path])
    spec = found.spec
    assert (len(spec.conda) + len(spec.exact), len(spec.pip)) == COUNTS.get(
        label, (int(row["n_conda"]), int(row["n_pip"]))
    )
    assert [*spec.channels] == [channel for channel in row["channels"].split() if channel != "nodefaults"]
    assert found.files[0] == path
    assert all(item.place and item.place.line for item in (*spec.conda, *spec.pip))
    if not spec.exact and not spec.constraints:
        again = parse_environment_yml(environment_yml(spec), path, root=path.parent).spec
        assert again == spec
        assert again.digest() == spec.digest()


def test_the_corpus_is_whole() -> None:
    assert len(rows()) == 145
    assert {f"{row['repo']}/{row['path']}" for row in rows()} >= {*ERRORS, *COUNTS}
