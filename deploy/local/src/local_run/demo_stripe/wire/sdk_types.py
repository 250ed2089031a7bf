"""What the official SDK says of parameters and objects, with every name of its annotations resolved."""

import ast
import importlib
import inspect
import sys
import typing
from functools import cache
from types import ModuleType, NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from stripe import StripeObject
from stripe._request_options import RequestOptions

_OPTIONS: Final = frozenset(RequestOptions.__annotations__)
"""What the SDK takes beside parameters and does not send: keys, versions."""


@cache
def parameters_of(params_type: type) -> dict[str, Any]:  # Any: annotations are of no one type
    """The parameters that a TypedDict of the SDK names, each with its annotation."""
    return _resolved(params_type, {name: at for name, at in _annotations(params_type).items() if name not in _OPTIONS})


@cache
def required_parameters(params_type: type) -> frozenset[str]:
    required: frozenset[str] = getattr(params_type, "__required_keys__", frozenset())
    return required - _OPTIONS


@cache
def fields_of(object_type: type) -> dict[str, Any]:
    """The fields that a class of the SDK names, each with its annotation."""
    found: dict[str, Any] = {}
    for each in reversed(object_type.__mro__):
        if issubclass(each, StripeObject) and each is not StripeObject:
            own = {name: at for name, at in _annotations(each).items() if not name.startswith("_")}
            found |= _resolved(each, {name: at for name, at in own.items() if get_origin(at) is not typing.ClassVar})
    return found


def members(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type that it is."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def may_be_none(annotation: Any) -> bool:
    return NoneType in members(annotation)


def literals(annotation: Any) -> tuple[Any, ...]:
    """The values of all literals in it."""
    return tuple(value for member in members(annotation) if get_origin(member) is Literal for value in get_args(member))


def is_fields_class(annotation: Any) -> bool:
    """Whether it is one of the SDK's classes that name fields."""
    found: Any = annotation
    return inspect.isclass(annotation) and issubclass(annotation, StripeObject) and bool(fields_of(found))


def _annotations(each: type) -> dict[str, Any]:
    return inspect.get_annotations(each)


def _resolved(owner: type, annotations: dict[str, Any]) -> dict[str, Any]:
    module = sys.modules[owner.__module__]
    bearer = type("Bearer", (), {"__annotations__": annotations})
    names = {**vars(typing), **_names_for_type_checkers(module)}
    return typing.get_type_hints(bearer, globalns=vars(module), localns=names)


@cache
def _names_for_type_checkers(module: ModuleType) -> dict[str, Any]:
    """What the module imports under `if TYPE_CHECKING:` alone; the SDK imports its classes so, against cycles."""
    found: dict[str, Any] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for each in node.body:
                if isinstance(each, ast.ImportFrom) and each.module and not each.module.startswith("stripe.params"):
                    source = importlib.import_module(each.module)
                    found |= {alias.asname or alias.name: getattr(source, alias.name) for alias in each.names}
    return found
