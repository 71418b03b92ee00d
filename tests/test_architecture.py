"""The way of the data, held by a test: a module imports only from its left."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = (
    "errors files digest platforms events vault_hook secrets workspace_config config spec lock plan store realize "
    "outputs project workspace consume audit sdk report cli __main__"
).split()
MODULES = sorted((ROOT / "hermetic").rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "hermetic").parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Every room that a module imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "hermetic" else [f"hermetic.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("hermetic.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    # report/ draws what any room hands out, so it may look at all of them; nothing but the cli looks at it
    back = {name for name in imported_rooms(path) if ORDER.index(name) > ORDER.index(here)}
    assert not back, f"{path.relative_to(ROOT)} imports {sorted(back)}, which stand to its right"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_imports_are_not_used(path: Path) -> None:
    assert not [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level]


HEAVY = {
    "alembic", "asyncio", "conda_lock", "cryptography", "installer", "packaging", "psycopg", "rattler", "rich",
    "ruamel", "sqlalchemy", "tomlkit", "urllib3", "uvicorn", "yaml",
}  # fmt: skip


@pytest.mark.parametrize("module", ["hermetic", "hermetic.cli", "hermetic.cli.build", "hermetic.cli.lock"])
def test_a_no_op_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(out.stdout.split())


def test_no_public_registry_is_named() -> None:
    """Locks and code stay independent of mirrors: the clients know their own defaults."""
    hosts = "|".join(["pypi" + r"\.org", "python" + r"hosted\.org", "ana" + r"conda\.(org|com)", "npm" + r"js\.org",
                      "docker" + r"\.io/", "deb" + r"ian\.org", "prefix" + r"\.dev"])  # fmt: skip
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    named = []
    for name in listing.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and name != "LICENSE":
            text = path.read_text(errors="replace")
            named += [f"{name}:{n}" for n, line in enumerate(text.splitlines(), 1) if re.search(hosts, line)]
    assert not named
