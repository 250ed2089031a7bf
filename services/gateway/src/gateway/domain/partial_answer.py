"""What can be read of a whole answer that did not come to its end: its figures if they had come, else its text."""

import json
import re
from typing import Any, Final

from gateway.domain.long_event import string_text
from gateway.domain.output_text import TEXT_NAMES
from gateway.domain.usage_figures import Figures, read_usage

_USAGE: Final = re.compile(r'"usage"\s*:\s*(?=\{)').finditer
_TEXT: Final = re.compile(r'"(?:' + "|".join(sorted(TEXT_NAMES)) + r')"\s*:\s*"((?:[^"\\]|\\.)*+)', re.DOTALL).finditer
_decode_from = json.JSONDecoder().raw_decode  # reads an object that other bytes follow


def partial_figures(body: bytes) -> Figures | None:
    """The last usage object that has come whole."""
    text = body.decode("utf-8", "replace")
    for match in reversed(list(_USAGE(text))):
        try:
            usage: Any = _decode_from(text, match.end())[0]
        except (ValueError, RecursionError):
            continue
        if (figures := read_usage(usage)) is not None:
            return figures
    return None


def partial_texts(body: bytes) -> list[str]:
    """The texts so far, the last possibly unfinished."""
    return [string_text(match[1]) for match in _TEXT(body.decode("utf-8", "replace")) if match[1]]
