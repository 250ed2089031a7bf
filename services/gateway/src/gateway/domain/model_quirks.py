"""What a model refuses of what we write, learned from its own refusal: its largest maximum, that one's name, usage."""

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.lenient_json import decoded_or_none
from gateway.domain.request_fields import MAXIMA

LEAST_MAXIMUM: Final = 256
"""A smaller number in a refusal is something else: a version, a position, a code."""
_NUMBER: Final = re.compile(r"(?<![\d.-])\d{3,9}(?![\d.-]*\d)")
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_OTHER_NAME: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_ABOUT_A_NAME: Final = ("unsupported", "not supported", "instead", "unrecognized", "unknown")


class Quirks(Struct, frozen=True, kw_only=True):
    """None, and True: nothing is known against what is usual."""

    maximum_name: str | None = None
    largest_maximum: int | None = None
    takes_stream_options: bool = True


class Written(Struct, frozen=True, kw_only=True):
    """What we wrote into a request that its client did not: a maximum under a name, the wish for usage.

    `with_thinking`: the hold covers the body's thinking beside the maximum, and the body names no other maximum.
    """

    maximum_name: str = "max_tokens"
    maximum: int | None = None
    with_thinking: bool = False
    stream_options: bool = False

    @property
    def anything(self) -> bool:
        return self.maximum is not None or self.stream_options


def learn(known: Quirks, refusal: bytes, written: Written) -> Quirks | None:
    """What a refusal (400 or 422, unprocessed) tells of the model; None where it is about nothing that we wrote.

    A refusal may repeat words of the client's: what is learned is to be kept only once the call went through with it.
    """
    text = _THOUSANDS.sub("", refusal.decode("utf-8", "replace").lower())
    param = _param_of(refusal)
    learned = known
    if written.stream_options and _names(("stream_options", "include_usage"), param, text):
        learned = replace(learned, takes_stream_options=False)
    if written.maximum is not None and _names((*MAXIMA, "maximum", "max tokens"), param, text):
        other = _OTHER_NAME.get(written.maximum_name)
        if other is not None and other in text and known.maximum_name is None and any(w in text for w in _ABOUT_A_NAME):
            learned = replace(learned, maximum_name=other)
        elif "context" not in text and (param in MAXIMA or str(written.maximum) in text):
            largest = _largest_below(text, written.maximum)
            learned = learned if largest is None else replace(learned, largest_maximum=largest)
    return learned if learned != known else None


def _names(names: tuple[str, ...], param: str | None, text: str) -> bool:
    """Whether the refusal is about one of these fields: by its `param` where it has one, else by its words."""
    return any(name in (text if param is None else param) for name in names)


def _param_of(refusal: bytes) -> str | None:
    content = decoded_or_none(refusal)
    error = content.get("error") if isinstance(content, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    return param.lower() if isinstance(param, str) and param else None


def _largest_below(text: str, written: int) -> int | None:
    numbers = [int(number) for number in _NUMBER.findall(text)]
    return max((number for number in numbers if LEAST_MAXIMUM <= number < written), default=None)
