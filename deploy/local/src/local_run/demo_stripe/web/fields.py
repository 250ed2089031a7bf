"""What a page's button or a program posts: a form, or a JSON object."""

import json
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from local_run.demo_stripe.web.bodies import read_body
from local_run.demo_stripe.wire.errors import RefusedError, missing_parameter

MAX_FIELDS: Final = 20

type Told = dict[str, Any]  # a request's fields as JSON has them


async def fields_of_request(request: Request) -> tuple[Told, bool]:
    """The fields, and whether the answer shall be JSON as well.

    Raises:
        RefusedError: the body is too large, or neither.
    """
    body = await read_body(request)
    if request.headers.get("content-type", "").startswith("application/json"):
        return _texts(read_json(body)), True
    try:
        return _texts(dict(parse_qsl(body.decode(), max_num_fields=MAX_FIELDS))), False
    except ValueError as error:
        raise RefusedError("The form cannot be read.") from error


def _texts(told: Told) -> Told:
    """What a page takes is text, and none that cannot be written."""
    for name, value in told.items():
        if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise RefusedError(f"Invalid {name[:50]!r}: must be a text")
    return told


def read_json(body: bytes) -> Told:
    """
    Raises:
        RefusedError: it is no JSON object.
    """
    try:
        told = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise RefusedError("The body must be a JSON object.")
    return told


def one_of(told: Told, name: str, allowed: tuple[str, ...]) -> str:
    if name not in told:
        raise missing_parameter(name)
    if told[name] not in allowed:
        raise RefusedError(f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
    return str(told[name])


def whole(told: Told, name: str, least: int, most: int) -> int:
    """`least` where it is not given."""
    value = told.get(name, least)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RefusedError(f"Invalid {name}: a whole number from {least} to {most}", param=name)
    return value


def number(told: Told, name: str, usual: float, most: float) -> float:
    value = told.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise RefusedError(f"Invalid {name}: a number from 0 to {most}", param=name)
    return float(value)
