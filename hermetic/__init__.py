"""hermetic: lock once, build the same bytes anywhere.

The public names load on first use, so that ``import hermetic`` costs nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # typing's own would double what a no-op imports
if TYPE_CHECKING:
    from typing import Any

    from hermetic.errors import HermeticError
    from hermetic.lock.model import Lock
    from hermetic.sdk.builds import EnvironmentBuild
    from hermetic.sdk.conda_dependencies import CondaDependencies
    from hermetic.sdk.environment import Environment
    from hermetic.sdk.errors import HermeticWarning
    from hermetic.sdk.functions import build, declare, lock
    from hermetic.sdk.results import LocalBuild, LocalImage
    from hermetic.sdk.sections import ContainerRegistry, DockerPlatform, DockerSection, PythonSection
    from hermetic.sdk.workspace import Workspace
    from hermetic.spec.model import Spec
    from hermetic.workspace.keyvault.keyvault import Keyvault

_HOMES = {
    "CondaDependencies": "hermetic.sdk.conda_dependencies",
    "ContainerRegistry": "hermetic.sdk.sections",
    "DockerPlatform": "hermetic.sdk.sections",
    "DockerSection": "hermetic.sdk.sections",
    "Environment": "hermetic.sdk.environment",
    "EnvironmentBuild": "hermetic.sdk.builds",
    "HermeticError": "hermetic.errors",
    "HermeticWarning": "hermetic.sdk.errors",
    "Keyvault": "hermetic.workspace.keyvault.keyvault",
    "LocalBuild": "hermetic.sdk.results",
    "LocalImage": "hermetic.sdk.results",
    "Lock": "hermetic.lock.model",
    "PythonSection": "hermetic.sdk.sections",
    "Spec": "hermetic.spec.model",
    "Workspace": "hermetic.sdk.workspace",
    "build": "hermetic.sdk.functions",
    "declare": "hermetic.sdk.functions",
}
"""Where each public name lives."""

__all__ = [
    "CondaDependencies",
    "ContainerRegistry",
    "DockerPlatform",
    "DockerSection",
    "Environment",
    "EnvironmentBuild",
    "HermeticError",
    "HermeticWarning",
    "Keyvault",
    "LocalBuild",
    "LocalImage",
    "Lock",
    "PythonSection",
    "Spec",
    "Workspace",
    "build",
    "declare",
    "lock",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from importlib import import_module

    if name == "lock":
        return import_module("hermetic.lock")
    if name == "__version__":
        return import_module("importlib.metadata").version("hermetic")
    if name not in _HOMES:
        raise AttributeError(f"module 'hermetic' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Give the public names, loaded or not, and those that every module has."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


class _LockRoom(ModuleType):
    """The package ``hermetic.lock``, which is also the function: ``hermetic.lock("environment.yml")``."""

    def __call__(self, *arguments: Any, **options: Any) -> Lock:
        """Resolve what is declared to a Lock: see hermetic.sdk.functions.lock."""
        from hermetic.sdk.functions import lock as function

        return function(*arguments, **options)


class _Hermetic(ModuleType):
    """This package: importing its room ``lock`` puts that in the place of a function's name, so it becomes callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lock" and type(value) is ModuleType:
            value.__class__ = _LockRoom
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Hermetic
