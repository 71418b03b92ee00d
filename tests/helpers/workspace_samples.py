"""Definitions as small as they can be: what a workspace keeps is text to it."""

from __future__ import annotations

from hermetic.digest import sha256_bytes
from hermetic.workspace.model import Definition


def definition(name: str = "train", content: str = "numpy") -> Definition:
    """Give a definition whose identity is its name and one word of content."""
    return Definition(
        name=name,
        digest=sha256_bytes(content.encode("utf-8", "surrogatepass")),
        files={"azureml_environment.json": f'{{"name": "{name}"}}\n', "conda_dependencies.yml": f"- {content}\n"},
        spec=sha256_bytes(b"spec " + content.encode("utf-8", "surrogatepass")),
        packages=("python=3.11", content),
        origin="environment.yml",
    )
