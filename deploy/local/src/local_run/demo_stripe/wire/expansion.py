"""`expand`: objects in place of their ids, and lists that are left out until they are asked for."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object

MAX_PATHS: Final = 20
MAX_DEPTH: Final = 4

type Asked = Callable[[Object], Object]
"""Makes the list that an object shows on demand."""


def expand(
    thing: Object, paths: list[str], find: Callable[[str], Object | None], on_demand: Mapping[tuple[str, str], Asked]
) -> Object:
    """A copy of the object in which each of `paths` (`latest_charge`, `data.customer`) is expanded.

    Raises:
        RefusedError: a path leads nowhere, or too deep.
    """
    if len(paths) > MAX_PATHS:
        raise RefusedError("You cannot expand that many properties at once.", param="expand")
    for path in paths:
        steps = path.split(".")
        if len(steps) - (steps[0] == "data") > MAX_DEPTH:
            raise RefusedError(f"You cannot expand more than {MAX_DEPTH} levels of a property.", param="expand")
        thing = _expanded(thing, steps, path, find, on_demand)
    return thing


def _expanded(
    value: Any,
    steps: list[str],
    path: str,
    find: Callable[[str], Object | None],
    on_demand: Mapping[tuple[str, str], Asked],
) -> Any:  # Any: whatever stands in an object
    if not steps or value is None:
        return value
    if isinstance(value, list):
        return [_expanded(each, steps, path, find, on_demand) for each in value]
    name = steps[0]
    if not isinstance(value, dict) or name == "id":
        raise _cannot(path)
    asked = on_demand.get((value.get("object", ""), name))
    if asked is not None and not isinstance(value.get(name), dict):
        inner: Any = asked(value)
    elif name in value:
        inner = value[name]
    else:
        raise _cannot(path)
    if isinstance(inner, str):
        inner = find(inner) or inner
        if isinstance(inner, str):
            raise _cannot(path)
    elif isinstance(inner, list):
        inner = [(find(each) or each) if isinstance(each, str) else each for each in inner]
    return {**value, name: _expanded(inner, steps[1:], path, find, on_demand)}


def _cannot(path: str) -> RefusedError:
    return RefusedError(f"This property cannot be expanded ({path}).", param="expand")
