"""Messages as JSON: how all of them are written, and what reading one that anybody may have sent can raise."""

import re
from typing import Final

from msgspec import DecodeError, json

encode: Final = json.Encoder().encode
DECODE_ERRORS: Final = (DecodeError, ValueError, RecursionError)
"""No JSON, or not of the type; bytes that are no text, digits without end; more levels than any message has."""
_QUOTED: Final = re.compile(r"\A(Invalid enum value) .*?( - at `[^`]*`)?\Z", re.DOTALL)


def fault_of(error: Exception) -> str:
    """What is wrong, and where; what was sent is not quoted, for it may be anything, of any length."""
    return _QUOTED.sub(r"\1\2", str(error))
