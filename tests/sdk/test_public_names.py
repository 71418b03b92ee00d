"""The package's public names: complete, lazy, and cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hermetic


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_name_is_there() -> None:
    for name in hermetic.__all__:
        assert getattr(hermetic, name) is getattr(hermetic, name)
        assert name in dir(hermetic)
    assert [name for name in dir(hermetic) if not name.startswith("_")] == sorted(hermetic.__all__)


def test_importing_the_package_imports_no_room() -> None:
    code = "import sys, hermetic; print(*(m for m in sys.modules if m.startswith('hermetic.')))"
    assert run(code).split() == []


def test_names_load_what_they_need_and_no_more() -> None:
    heavy = ("rattler", "yaml", "urllib3", "packaging", "rich", "conda_lock", "asyncio")
    code = (
        "import sys\nfrom hermetic import Environment, CondaDependencies\n"
        "e = Environment('x'); e.python.conda_dependencies.add_conda_package('numpy>=1.2')\n"
        f"print(*(m for m in {heavy} if m in sys.modules))"
    )
    assert run(code).split() == []


def test_the_room_lock_can_be_called_whatever_is_imported_first() -> None:
    for first in ("import hermetic", "import hermetic.lock.model", "from hermetic import lock"):
        assert run(f"{first}\nimport hermetic\nprint(callable(hermetic.lock), hermetic.lock.__name__)") == (
            "True hermetic.lock\n"
        )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Enviroment'"):
        hermetic.Enviroment  # noqa: B018
    assert not hasattr(hermetic, "Worksapce")
