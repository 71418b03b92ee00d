"""Real environment files, read as CondaDependencies: they mean what they mean elsewhere, and survive a move."""

from __future__ import annotations

import csv
import os
import warnings
from pathlib import Path

import pytest
from support.needs import suits

from hermetic import CondaDependencies, HermeticError
from hermetic.spec import load_spec

SHARED = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[2].parent / "shared"))


def specs(kind: str, *suffixes: str) -> list[Path]:
    suits((SHARED / "corpus").is_dir(), "the corpus of real specs is not here")
    with (SHARED / "corpus" / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if kind in row["kind"]]
    paths = [SHARED / "corpus" / row["repo"].replace("/", "+") / row["path"] for row in rows]
    return [path for path in paths if path.suffix in suffixes]


def targets(dependencies: CondaDependencies) -> set[tuple[str, str]]:
    """Give the pip requirements, local ones by the files that they mean."""
    return {
        (requirement.name, str((dependencies.root / requirement.url).resolve()))
        if requirement.url.startswith(".")
        else (requirement.name, requirement.text)
        for requirement in dependencies.to_spec().pip
    }


def test_conda_specifications(tmp_path: Path) -> None:
    read = 0
    for path in specs("conda", ".yml", ".yaml"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                spec = load_spec([path])
            except HermeticError:
                with pytest.raises(HermeticError):
                    CondaDependencies(path)
                continue
            dependencies = CondaDependencies(path)
            assert dependencies.to_spec() == spec, path
            again = CondaDependencies.from_text(dependencies.serialize_to_string(), path.parent)
            assert again.to_spec() == spec, path
            moved = CondaDependencies.from_text(dependencies.text_for(tmp_path), tmp_path)
            assert targets(moved) == targets(dependencies), path
        read += 1
    assert read > 50


def test_requirements_files() -> None:
    read = 0
    for path in specs("", ".txt", ".in"):
        if "@EXPLICIT" in path.read_text(errors="replace"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                spec = load_spec([path])
            except HermeticError:
                with pytest.raises(HermeticError):
                    CondaDependencies.from_requirements(path)
                continue
            found = CondaDependencies.from_requirements(path).to_spec()
        assert (found.pip, found.constraints, found.options) == (spec.pip, spec.constraints, spec.options), path
        read += 1
    assert read > 20
