"""conda-lock reads the same requirements out of the same files; where it does not, it is said why."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from hermetic.errors import SpecError
from hermetic.spec.load import load_spec
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import Spec
from hermetic.spec.pep508 import normal_name

SHARED = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[2].parent / "shared"))
CORPUS = SHARED / "corpus"


def files() -> list[Path]:
    if not CORPUS.is_dir():
        return []
    with (CORPUS / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "conda-yaml"]
    return [CORPUS / row["repo"].replace("/", "+") / row["path"] for row in rows]


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of real specs at {CORPUS}")
def test_conda_locks_parser_reads_the_same(tmp_path: Path) -> None:
    from conda_lock.src_parser import make_lock_spec

    mapping = tmp_path / "names.json"
    mapping.write_text("{}")
    compared = 0
    for path in files():
        try:
            spec = load_spec([path])
        except SpecError:
            continue
        platforms = list(spec.platforms) or ["linux-64", "osx-arm64"]
        try:
            theirs = make_lock_spec(src_files=[path], platform_overrides=platforms, mapping_url=str(mapping))
        except Exception:  # noqa: BLE001 - git+...#subdirectory= without #egg= is beyond it
            assert path.parent.name == "microsoft+computervision-recipes", path
            continue
        compared += 1
        assert list(spec.channels) == [channel.url for channel in theirs.channels], path
        for platform in platforms:
            found = theirs.dependencies[platform]
            ours = spec.for_platform(platform)
            conda = [item for item in found if item.manager == "conda"]
            assert conda_side(ours) == {
                (
                    canonical_match(f"{item.name} {item.version or '*'} {item.build or ''}").match,
                    item.conda_channel or "",
                )
                for item in conda
                if item.name != "pip"
            }, path
            assert pip_side(ours) == {
                (normal_name(item.name), specifier(getattr(item, "version", None)), tuple(sorted(item.extras)))
                for item in found
                if item.manager == "pip" and not type(item).__name__.startswith("VCS")
            }, path
    assert compared > 100


def conda_side(spec: Spec) -> set[tuple[str, str]]:
    # pip is left out: conda-lock adds one of its own and thereby loses the version that the file asks for
    return {(item.match, item.channel) for item in spec.conda if item.name != "pip"}


def pip_side(spec: Spec) -> set[tuple[str, str, tuple[str, ...]]]:
    # VCS and editable ones are left out: conda-lock guesses names for the former and drops the latter
    return {(item.name, item.specifier, item.extras) for item in spec.pip if not item.editable and "+" not in item.url}


def specifier(text: str | None) -> str:
    return ",".join(sorted(map(str, SpecifierSet("" if text in {None, "*"} else text))))
