"""The sections of an Environment: what of it is Python's, and what of it is the image's."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hermetic.errors import UsageError
from hermetic.sdk.attributes import Attribute, Strict, checked
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.errors import ArgumentError, MissingError
from hermetic.spec.passwords import check_dockerfile
from hermetic.spec.text import MAX_BYTES, decode, read_text
from hermetic.spec.urls import is_promise

_INSTRUCTION = re.compile(r"\s*(?:#|(?:FROM|ARG)\s)", re.IGNORECASE)


@runtime_checkable
class Readable(Protocol):
    """A file object: what ``open`` gives."""

    def read(self) -> str | bytes:
        """Give the rest of the content."""


class PythonSection(Strict):
    """Python's part of an environment.

    With ``user_managed_dependencies`` hermetic installs nothing: the interpreter at ``interpreter_path`` (which
    counts only then) and its packages are the user's own, mostly in an image.
    """

    user_managed_dependencies = Attribute[bool](bool, lambda: False, doc="Whether Python and its packages are not ours")
    interpreter_path = Attribute[str](str, lambda: "python", doc="The interpreter of a user-managed environment")

    _elsewhere = {  # noqa: RUF012
        "base_conda_environment": "it is kept in the file and changes nothing; remove the line",
    }

    def __init__(self) -> None:
        self._deferred: tuple[str, Path] | None = None  # what the dependencies will be read from, and where it stands
        self._conda_dependencies_file: str | None = None

    @property
    def conda_dependencies(self) -> CondaDependencies:
        """What is installed: a CondaDependencies."""
        if "_conda_dependencies" not in self.__dict__:
            made = CondaDependencies.from_text(*self._deferred) if self._deferred else CondaDependencies()
            self.__dict__.setdefault("_conda_dependencies", made)  # of two threads one is first
        found: CondaDependencies = self.__dict__["_conda_dependencies"]
        return found

    @conda_dependencies.setter
    def conda_dependencies(self, value: CondaDependencies) -> None:
        self.__dict__["_conda_dependencies"] = checked(self, "conda_dependencies", value, CondaDependencies)
        self._conda_dependencies_file = None

    @property
    def conda_dependencies_file(self) -> str | None:
        """An ``environment.yml`` that was read into ``conda_dependencies`` (deprecated in the v1 SDK too)."""
        return self._conda_dependencies_file

    @conda_dependencies_file.setter
    def conda_dependencies_file(self, value: str | os.PathLike[str] | None) -> None:
        if value is not None:
            self.conda_dependencies = CondaDependencies(value)
        self._conda_dependencies_file = None if value is None else os.fspath(value)


class ContainerRegistry(Strict):
    """Where an image is pulled from, and the credentials for it.

    A password is used at the moment of pulling and never written to a file. ``${NAME}`` stands for the
    environment variable NAME, ``${secret:NAME}`` for a secret of the key vault; they are no secrets, and are kept.
    What a key vault gave is taken for its reference.
    """

    address = Attribute[str | None](str, lambda: None, optional=True, doc="Host, with port if need be")
    username = Attribute[str | None](str, lambda: None, optional=True, doc="User name")
    password = Attribute[str | None](str, lambda: None, optional=True, doc="Password, or ${NAME} of a variable with it")
    registry_identity = Attribute[Any](object, lambda: None, optional=True, doc="Kept in files; not used")

    def __repr__(self) -> str:
        password = self.password if is_placeholder(self.password) else "***"
        return f"ContainerRegistry(address={self.address!r}, username={self.username!r}, password={password!r})"


class DockerPlatform(Strict):
    """What an image is for."""

    os = Attribute[str](str, lambda: "Linux", doc="Linux")
    architecture = Attribute[str](str, lambda: "amd64", doc="amd64, arm64")


class DockerSection(Strict):
    """The image's part of an environment: what it stands on and how its containers run.

    ``base_image``, ``base_dockerfile`` and ``build_context`` reset each other. Neither set means hermetic's own base.
    """

    enabled = Attribute[bool](bool, lambda: False, doc="Whether runs go into a container")
    shared_volumes = Attribute[bool](bool, lambda: True, doc="Whether containers see the host's folders")
    shm_size = Attribute[str | None](str, lambda: "2g", optional=True, doc="Size of a container's shared memory")
    platform = Attribute[DockerPlatform](DockerPlatform, DockerPlatform, doc="What the image is for")

    _elsewhere = {  # noqa: RUF012
        "gpu_support": "say what the environment computes on: environment.accelerator = 'cuda-12.4'",
    }

    def __init__(self) -> None:
        self._base_image: str | None = None
        self._base_dockerfile: str | None = None
        self._build_context: Any = None
        self._registry = ContainerRegistry()
        self._arguments: list[str] = []

    @property
    def base_image(self) -> str | None:
        """The image that the environment stands on; setting it takes the place of a Dockerfile."""
        return self._base_image

    @base_image.setter
    def base_image(self, value: str | None) -> None:
        checked(self, "base_image", value, str, optional=True)
        if value is not None:
            value = value.strip()
            if not value or any(character.isspace() for character in value):
                raise UsageError(
                    f"{value[:80]!r} is no image", remedy="write it as registry/repository:tag or @sha256:..."
                )
            self._base_dockerfile = self._build_context = None
        self._base_image = value

    @property
    def base_dockerfile(self) -> str | None:
        """The text of a Dockerfile that makes the base; set it as a path, a text or an open file."""
        return self._base_dockerfile

    @base_dockerfile.setter
    def base_dockerfile(self, value: str | os.PathLike[str] | Readable | None) -> None:
        text = dockerfile_text(self, value)
        if text is not None:
            check_dockerfile(text)
            self._base_image = self._build_context = None
        self._base_dockerfile = text

    @property
    def build_context(self) -> Any:
        """A folder that a cloud built the image from: kept in files, not used; it resets the two others."""
        return self._build_context

    @build_context.setter
    def build_context(self, value: Any) -> None:
        if value is not None:
            self._base_image = self._base_dockerfile = None
        self._build_context = value

    @property
    def base_image_registry(self) -> ContainerRegistry:
        """The registry of the base image; set it as an address or as a ContainerRegistry."""
        return self._registry

    @base_image_registry.setter
    def base_image_registry(self, value: ContainerRegistry | str) -> None:
        if isinstance(value, str):
            registry = ContainerRegistry()
            registry.address = value.strip() or None
        else:
            registry = checked(self, "base_image_registry", value, ContainerRegistry)
        self._registry = registry

    @property
    def arguments(self) -> list[str]:
        """Further arguments of ``docker run``, each a text of its own: ``["--network", "host"]``."""
        return self._arguments

    @arguments.setter
    def arguments(self, value: list[str]) -> None:
        found = checked(self, "arguments", value, list)
        self._arguments = [str(checked(self, "arguments", item, str)) for item in found]


def is_placeholder(password: str | None) -> bool:
    """Tell whether a password may be written down: there is none, or it names the variable or secret that holds it."""
    return password is None or is_promise(password)


def dockerfile_text(owner: object, value: str | os.PathLike[str] | Readable | None) -> str | None:
    """Give the text of a Dockerfile that is given as a path, as text, or as an open file.

    Raises MissingError for a path to nothing, ArgumentError for anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, Readable):
        content = value.read()
        if not isinstance(content, str | bytes) or len(content) > MAX_BYTES:
            raise ArgumentError("base_dockerfile: the file object gives no text", remedy="open the Dockerfile itself")
        return decode(content.encode() if isinstance(content, str) else content, "base_dockerfile")
    if isinstance(value, os.PathLike):
        path = Path(value)
    else:
        checked(owner, "base_dockerfile", value, str, optional=True)
        if "\n" in value or (_INSTRUCTION.match(value) and not Path(value).is_file()):
            return decode(value.encode(), "base_dockerfile")
        path = Path(value.strip())
    if not path.is_file():
        raise MissingError(
            f"base_dockerfile: there is no file {os.fspath(value)[:200]!r}, and it is no Dockerfile's text",
            remedy="give the path of a Dockerfile, or its text, which begins with FROM",
        )
    return read_text(path)
