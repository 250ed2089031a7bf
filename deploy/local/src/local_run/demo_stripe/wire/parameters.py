"""Requests' forms, read by the SDK's own parameter types: what these do not name is refused, as Stripe does."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin
from urllib.parse import parse_qsl

from stripe import StripeObject
from typing_extensions import is_typeddict

from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter, unknown_parameter
from local_run.demo_stripe.wire.sdk_types import literals, members, parameters_of, required_parameters

type Raw = str | dict[str, "Raw"]
"""A form's value before it is read: lists still have their positions as names."""

MAX_FIELDS: Final = 2_000
MAX_TEXT: Final = 5_000
MAX_METADATA: Final = 50
MAX_INTEGER_DIGITS: Final = 15
_KEY: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\]){0,8})")


def decode_form(body: bytes) -> dict[str, Raw]:
    """`a[b][0]=c` as `{"a": {"b": {"0": "c"}}}`.

    Raises:
        RefusedError: it is not such a form.
    """
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise RefusedError("Invalid request: the form cannot be read.") from error
    form: dict[str, Raw] = {}
    for key, value in fields:
        matched = _KEY.fullmatch(key)
        if matched is None or "\0" in value:
            raise RefusedError("Invalid request: the form cannot be read.", param=key[:100])
        _put(form, [matched[1], *re.findall(r"\[([^\[\]]*)\]", matched[2])], value)
    return form


def _put(form: dict[str, Raw], path: list[str], value: str) -> None:
    place = form
    for name, following in zip(path, [*path[1:], None], strict=True):
        key = name or str(len(place))
        if following is None:
            place[key] = value
            return
        inner = place.setdefault(key, {})
        if isinstance(inner, str):
            raise invalid_parameter(path[0], "Invalid object")
        place = inner


def read_parameters(params_type: type, raw: Mapping[str, Raw]) -> dict[str, Any]:  # Any: values of many types
    """The form as `params_type` has it: numbers, booleans, lists.

    Raises:
        RefusedError: a parameter that is unknown, missing or of another type.
    """
    return _read_fields(params_type, raw, "")


def _read_fields(params_type: type, raw: Mapping[str, Raw], path: str) -> dict[str, Any]:
    known = parameters_of(params_type)
    for name in raw:
        if name not in known:
            raise unknown_parameter(_below(path, name))
    for name in sorted(required_parameters(params_type)):
        if name not in raw:
            raise missing_parameter(_below(path, name))
    return {name: _read(known[name], value, _below(path, name)) for name, value in raw.items()}


def _read(annotation: Any, value: Raw, path: str) -> Any:
    choices = [each for each in members(annotation) if each is not NoneType]
    allowed = literals(annotation)
    if isinstance(value, str) and value in allowed:
        return value
    if isinstance(value, str) and any(allowed) and not any(each in (int, float, bool) for each in choices):
        # A text beside the literals is the SDK's room for values to come; the demo knows those of today.
        raise invalid_parameter(path, f"Invalid {_last(path)}: must be one of {_listed(allowed)}")
    refusal: RefusedError | None = None
    for choice in sorted(choices, key=lambda each: each is str):
        if get_origin(choice) is Literal:
            continue
        try:
            return _read_as(choice, value, path)
        except RefusedError as error:
            # What is said of the parts of an object says more than that it is not of another kind.
            refusal = error if refusal is None or (error.param or "").startswith(f"{path}[") else refusal
    raise refusal or invalid_parameter(path, f"Invalid {_last(path)}: must be one of {_listed(allowed)}")


def _read_as(kind: Any, value: Raw, path: str) -> Any:
    origin = get_origin(kind)
    if is_typeddict(kind):
        return _read_fields(kind, _an_object(value, path), path)
    if origin is list:
        return _read_list(get_args(kind)[0], value, path)
    if origin is dict or (isinstance(origin, type) and issubclass(origin, StripeObject)):
        inner = get_args(kind)[-1]
        read = {name: _read(inner, each, _below(path, name)) for name, each in _an_object(value, path).items()}
        return _checked_metadata(read, path) if _last(path) == "metadata" else read
    if isinstance(value, dict):
        raise invalid_parameter(path, f"Invalid string: {_last(path)} must not be an object")
    return _read_scalar(kind, value, path)


def _read_scalar(kind: Any, value: str, path: str) -> Any:
    if kind is bool and value in ("true", "false"):
        return value == "true"
    if kind is bool:
        raise invalid_parameter(path, f"Invalid boolean: {value[:50]}")
    if kind is int:
        if re.fullmatch(rf"-?[0-9]{{1,{MAX_INTEGER_DIGITS}}}", value) is None:
            raise invalid_parameter(path, f"Invalid integer: {value[:50]}", "parameter_invalid_integer")
        return int(value)
    if kind in (float, Decimal):
        try:
            return Decimal(value)
        except InvalidOperation:
            raise invalid_parameter(path, f"Invalid decimal: {value[:50]}") from None
    if kind is str or kind is Any:
        if len(value) > MAX_TEXT:
            raise invalid_parameter(path, f"Invalid string: {path} is too long")
        return value
    raise invalid_parameter(path, f"The demo cannot read {path}")


def _read_list(inner: Any, value: Raw, path: str) -> list[Any]:
    entries = {} if value == "" else _an_object(value, path, "array")
    if list(entries) != [str(number) for number in range(len(entries))]:
        raise invalid_parameter(path, "Invalid array")
    return [_read(inner, each, f"{path}[{name}]") for name, each in entries.items()]


def _an_object(value: Raw, path: str, word: str = "object") -> dict[str, Raw]:
    if isinstance(value, str):
        raise invalid_parameter(path, f"Invalid {word}")
    return value


def _checked_metadata(read: dict[str, Any], path: str) -> dict[str, Any]:
    if len(read) > MAX_METADATA:
        raise invalid_parameter(path, f"Invalid metadata: at most {MAX_METADATA} keys")
    for name, value in read.items():
        if len(name) > 40 or len(value) > 500:
            raise invalid_parameter(
                _below(path, name[:40]), "Invalid metadata: keys up to 40, values up to 500 characters"
            )
    return read


def _below(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _last(path: str) -> str:
    return path.rpartition("[")[2].rstrip("]")


def _listed(allowed: tuple[Any, ...]) -> str:
    return ", ".join(str(each) for each in allowed if each != "")
