"""Loading images into a real Docker Engine."""

from __future__ import annotations

from support.engine import Engine


def test_the_engine_of_the_tests_runs_containers(engine: Engine) -> None:
    info = engine.client.info()
    assert info["DockerRootDir"].startswith(str(engine.folder))
