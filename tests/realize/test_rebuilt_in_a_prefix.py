"""A wheel that was built from source on one machine is built again, and compared, where an environment needs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from source_samples import write_project, write_sdist

from hermetic.errors import IntegrityError
from hermetic.lock.model import Wheel
from hermetic.lock.source import SourceBuild, origin_of
from hermetic.outputs.prefix import build_prefix, verify_prefix

from .conftest import Workshop


def test_an_environment_builds_what_nobody_serves(workshop: Workshop, tmp_path: Path) -> None:
    sdist = write_sdist(write_project(tmp_path / "demo"), tmp_path / "demo-1.0.tar.gz")
    source = SourceBuild("demo", "1.0", sdist.name, url=sdist.as_uri())
    built = workshop.build(source)
    origin = replace(origin_of(source, built), url=sdist.as_uri())
    wheel = Wheel("demo", "1.0", built.file_name, Path(built.path).stat().st_size, built.sha256, origin=origin)
    lock = replace(workshop.environment, wheels=(wheel,))
    other = workshop.elsewhere()
    prefix = tmp_path / "env"
    build_prefix(lock, prefix, store=other.store, config=other.builder.config)
    assert list(prefix.glob("lib/python*/site-packages/demo.py"))
    assert verify_prefix(prefix, lock, store=other.store, config=other.builder.config) == ()
    wrong = replace(lock, wheels=(replace(wheel, sha256="0" * 64),))
    with pytest.raises(IntegrityError):
        build_prefix(wrong, tmp_path / "other", store=other.store, config=other.builder.config)
    assert not (tmp_path / "other").exists()
