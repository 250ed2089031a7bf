"""Lists as Stripe pages them: the newest first, from behind one id, with `has_more`."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from local_run.demo_stripe.wire.errors import invalid_parameter, no_such
from local_run.demo_stripe.wire.shapes import Object

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100


def list_of(things: Iterable[Object], url: str, *, has_more: bool = False) -> Object:
    return {"object": "list", "data": list(things), "has_more": has_more, "url": url}


def page_of(
    newest_first: Iterable[Object],
    url: str,
    parameters: dict[str, Any],  # Any: of many types
    matches: Callable[[Object], bool] = lambda _: True,
) -> Object:
    """One page of those that match `matches` and the parameter `created`, by `limit` and a cursor.

    Raises:
        RefusedError: the limit is out of bounds, or nothing has the cursor's id.
    """
    limit = parameters.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid_parameter("limit", f"This value must be between 1 and {MAX_LIMIT}.", "parameter_invalid_integer")
    known = list(newest_first)
    after, before = parameters.get("starting_after"), parameters.get("ending_before")
    # What the cursor names may match no longer: a subscription that ended between two pages.
    if after is not None:
        known = known[_position(known, after, "starting_after") + 1 :]
    elif before is not None:
        known = known[: _position(known, before, "ending_before")]
    found = [each for each in known if matches(each) and _in_time(each, parameters.get("created"))]
    page = found[-limit:] if before is not None else found[:limit]
    return list_of(page, url, has_more=len(found) > limit)


def same(parameters: dict[str, Any], *names: str) -> Callable[[Object], bool]:
    """Whether an object has the values that the parameters of these names have, where they are given."""
    wanted = {name: parameters[name] for name in names if name in parameters}
    return lambda thing: all(thing.get(name) == value for name, value in wanted.items())


def _position(found: list[Object], identifier: str, param: str) -> int:
    for position, each in enumerate(found):
        if each["id"] == identifier:
            return position
    raise no_such("object", identifier, param=param, status=400)


def _in_time(thing: Object, created: int | dict[str, int] | None) -> bool:
    at: int = thing.get("created", 0)
    match created:
        case None:
            return True
        case int():
            return at == created
        case _:
            bounds = {"gt": at > created.get("gt", -1), "gte": at >= created.get("gte", 0)}
            bounds |= {"lt": at < created.get("lt", at + 1), "lte": at <= created.get("lte", at)}
            return all(bounds.values())
