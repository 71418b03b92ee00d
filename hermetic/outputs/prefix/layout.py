"""Where things lie in a prefix, by platform and Python."""

from __future__ import annotations

from dataclasses import dataclass

from hermetic.errors import UsageError
from hermetic.lock.model import CondaPackage, PlatformLock

_UNCHECKED_PYC = (3, 7)  # PEP 552


@dataclass(frozen=True)
class PrefixLayout:
    """Places in a prefix, relative to it, with ``/``. Without a Python, those that belong to it are empty."""

    scripts: str
    site_packages: str = ""
    library: str = ""
    """The folder of Python's modules: where pyc files are made."""
    headers: str = ""
    executable: str = ""
    """The interpreter, as scripts name it."""
    pyc_tag: str = ""
    """How the tag of its pyc files begins (PEP 3147); empty if it can make none that do not go by the source's time."""

    def place(self, path: str, *, noarch_python: bool) -> str:
        """Give where a file of a conda archive goes (noarch python packages: CEP 20 and before)."""
        if not noarch_python:
            return path
        for folder, target in (("site-packages/", self.site_packages), ("python-scripts/", self.scripts)):
            if path.startswith(folder):
                return f"{target}/{path.removeprefix(folder)}"
        return path

    def entry_points(self, name: str) -> tuple[str, ...]:
        """Give the files that start an entry point."""
        if self.executable.endswith(".exe"):
            return (f"{self.scripts}/{name}-script.py", f"{self.scripts}/{name}.exe")
        return (f"{self.scripts}/{name}",)


def prefix_layout(lock: PlatformLock) -> PrefixLayout:
    """Give the layout of a platform's prefix. Raises UsageError for a Python whose version cannot be read."""
    windows = lock.platform.startswith("win-")
    scripts = "Scripts" if windows else "bin"
    python = lock.python()
    if python is None:
        return PrefixLayout(scripts)
    if windows:
        return PrefixLayout(
            scripts, python.python_site_packages_path or "Lib/site-packages", "Lib", "Include", "python.exe"
        )
    minor = _minor(python)
    site_packages = python.python_site_packages_path or f"lib/python{minor}/site-packages"
    library = site_packages.removesuffix("/site-packages")
    headers = f"include/{library.rpartition('/')[2]}"
    return PrefixLayout(scripts, site_packages, library, headers, f"bin/python{minor}", _pyc_tag(python, minor))


def _minor(python: CondaPackage) -> str:
    parts = python.version.split(".")
    if len(parts) < 2 or not parts[0].isdigit() or not parts[1].isdigit():
        raise UsageError(f"cannot tell the minor version of python {python.version}")
    return f"{parts[0]}.{parts[1]}"


def _pyc_tag(python: CondaPackage, minor: str) -> str:
    other = "pypy" in python.build or "graalpy" in python.build
    if other or tuple(map(int, minor.split("."))) < _UNCHECKED_PYC:
        return ""
    return f"cpython-{minor.replace('.', '')}"
