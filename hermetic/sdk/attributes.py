"""Attributes that are checked when they are set, and objects that know no others.

A typing error in an attribute's name, or a value of the wrong type, is met in the line that has it, not when
the environment is built.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Generic, NoReturn, Self, TypeVar, overload

from hermetic.errors import UsageError
from hermetic.sdk.errors import ArgumentError, UnknownAttributeError
from hermetic.secrets import SecretText

T = TypeVar("T")


class Attribute(Generic[T]):
    """A public attribute of a ``Strict`` class: one type, a default, and a check."""

    def __init__(self, kind: type[Any], default: Callable[[], T], *, optional: bool = False, doc: str = "") -> None:
        self.kind = kind
        self.default = default
        self.optional = optional
        self.__doc__ = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        if self.name not in instance.__dict__:
            instance.__dict__.setdefault(self.name, self.default())  # of two threads one is first
        value: T = instance.__dict__[self.name]
        return value

    def __set__(self, instance: object, value: T) -> None:
        instance.__dict__[self.name] = checked(instance, self.name, value, self.kind, optional=self.optional)


class StrictType(type):
    """The type of ``Strict`` classes: what they lack is refused on the class as on its objects."""

    _elsewhere: dict[str, str] = {}  # noqa: RUF012  names from the v1 SDK: why they are not here and what to do

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        _refuse(cls, name, cls._elsewhere)


class Strict(metaclass=StrictType):
    """Base of objects whose attributes are fixed: any other name is refused, with the nearest one that exists."""

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and not hasattr(getattr(type(self), name, None), "__set__"):
            getattr(type(self), name)  # refuses it, if it is not there at all
            raise UnknownAttributeError(f"{type(self).__name__}.{name} cannot be set", remedy="remove this line")
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> NoReturn:
        getattr(type(self), name)  # refuses it
        raise AttributeError(name)


def _refuse(kind: type, name: str, elsewhere: dict[str, str]) -> NoReturn:
    public = [known for known in dir(kind) if not known.startswith("_")]
    near = get_close_matches(name, public, n=1)
    if name in elsewhere:
        remedy = elsewhere[name]
    elif near:
        remedy = f"did you mean {near[0]!r}?"
    else:
        settable = [known for known in public if hasattr(getattr(kind, known), "__set__")]
        remedy = f"it has: {', '.join(settable or public)}"
    raise UnknownAttributeError(f"{kind.__name__} has no attribute {name!r}", remedy=remedy)


def checked(owner: object, name: str, value: Any, kind: type[Any], *, optional: bool = False) -> Any:
    """Give ``value`` back if it is of ``kind`` (or None, where that is allowed). Raises ArgumentError otherwise.

    What a key vault gave is taken for its reference.
    """
    if isinstance(value, SecretText):
        value = value.reference
    where = f"{type(owner).__name__}.{name}"
    if (value is None and optional) or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], kind):
        raise ArgumentError(
            f"{where} is a tuple: a comma stands behind the value",
            remedy=f"remove the comma at the end of {name} = ...,",
        )
    expected = {"str": "a text", "bool": "True or False", "list": "a list", "dict": "a dictionary"}
    wanted = expected.get(kind.__name__, f"a {kind.__name__}") + (" or None" if optional else "")
    raise ArgumentError(f"{where} is {wanted}, not {_named(value)}", remedy=f"set {name} to {wanted}")


def text_argument(function: str, name: str, value: object) -> str:
    """Give a text argument back, without white space around it. Raises ArgumentError, UsageError if empty."""
    if isinstance(value, str):
        if stripped := value.strip():
            return stripped
        raise UsageError(f"{function}: {name} is empty", remedy=f"give {name} a text")
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], str):
        raise ArgumentError(
            f"{function}: {name} is a tuple: a comma stands behind the value", remedy="remove the comma"
        )
    raise ArgumentError(f"{function}: {name} is a text, not {_named(value)}", remedy=f"give {name} as a text")


def _named(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__}"
