"""Calls one hook of a build backend (PEP 517). Run as a script, in a sandbox, by the build environment's own Python.

It knows the standard library only, and that of old Pythons too. The one argument is a JSON object: ``hook``
(``get_requires``, ``version`` or ``build_wheel``), ``backend``, ``backend_path`` and ``out``, the folder that takes
wheels and ``answer.json``.
"""

from __future__ import annotations

import json
import os
import sys
from email.parser import HeaderParser
from importlib import import_module
from typing import Any

ANSWER = "answer.json"


def main() -> None:
    """Call the hook that the argument names, and write down what it gives."""
    asked = json.loads(sys.argv[1])
    sys.argv = [sys.argv[0]]
    here = os.getcwd()  # noqa: PTH109
    sys.path.pop(0)  # this script's folder
    for folder in reversed(asked["backend_path"]):
        path = os.path.realpath(os.path.join(here, folder))  # noqa: PTH118
        if os.path.commonpath([path, os.path.realpath(here)]) != os.path.realpath(here):
            sys.exit(f"backend-path names {folder}, which is outside of the source")
        sys.path.insert(0, path)
    answer = {"get_requires": _requires, "version": _version, "build_wheel": _wheel}[asked["hook"]](
        _backend(asked["backend"]), asked["out"]
    )
    sys.stdout.flush()
    with open(os.path.join(asked["out"], ANSWER), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
        json.dump(answer, file)


def _backend(name: str) -> Any:
    module, _, attributes = name.partition(":")
    found: Any = import_module(module)
    for attribute in attributes.split(".") if attributes else ():
        found = getattr(found, attribute)
    return found


def _requires(backend: Any, _: str) -> list[str]:
    hook = getattr(backend, "get_requires_for_build_wheel", None)
    return [str(requirement) for requirement in hook(None)] if hook else []


def _version(backend: Any, out: str) -> str:
    hook = getattr(backend, "prepare_metadata_for_build_wheel", None)
    if hook is None:
        return str(backend.build_wheel(out, None)).split("-")[1]
    with open(os.path.join(out, hook(out, None), "METADATA"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
        return str(HeaderParser().parse(file)["Version"])


def _wheel(backend: Any, out: str) -> str:
    return str(backend.build_wheel(out, None))


if __name__ == "__main__":
    main()
