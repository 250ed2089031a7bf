"""JSON of an upstream's, which may be anything."""

from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode


def decoded_or_none(data: bytes) -> Any:
    """What it says; None for null, and for what is no JSON."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # ValueError: not UTF-8, an integer of absurd length
        return None
