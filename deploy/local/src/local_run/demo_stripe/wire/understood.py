"""Refuses what Stripe knows and the demo does not do: silence about it would prove nothing."""

from typing import Any

from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object

_EVERYWHERE = frozenset({"expand", "metadata", "limit", "starting_after", "ending_before", "created"})


def understood(parameters: dict[str, Any], *names: str) -> None:
    """Let only these parameters through, and those that every endpoint takes.

    Raises:
        RefusedError: another one is there.
    """
    for name in parameters:
        if name not in names and name not in _EVERYWHERE:
            raise RefusedError(f"The demo Stripe does not do this: {name}", code="demo_not_done", param=name)


def merged_metadata(before: Object, given: Any) -> Object:  # Any: a mapping, or "" for none
    """Keys are added or replaced; an empty value removes one, and an empty text all."""
    if given == "":
        return {}
    merged = {**before, **(given or {})}
    return {name: value for name, value in merged.items() if value != ""}


def set_or_none(parameters: dict[str, Any], *names: str) -> Object:
    """Those parameters that are given; an empty text unsets."""
    return {name: (None if parameters[name] == "" else parameters[name]) for name in names if name in parameters}
