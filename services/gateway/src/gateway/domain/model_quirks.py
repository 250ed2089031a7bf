"""What a model refuses of what we write, learned from its own refusal: its largest maximum, that one's name, usage."""

import re
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.request_fields import MAXIMA

LEAST_MAXIMUM: Final = 16
"""A smaller number in a refusal is something else: a version, a position, a code."""
_NUMBER: Final = re.compile(r"\d{2,9}")
_OTHER_NAME: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """None, and True: nothing is known against what is usual."""

    maximum_name: str | None = None
    largest_maximum: int | None = None
    takes_stream_options: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What we wrote into a request that its client did not: a maximum under a name, the wish for usage."""

    maximum_name: str | None = None
    maximum: int | None = None
    stream_options: bool = False

    @property
    def anything(self) -> bool:
        return self.maximum is not None or self.stream_options


def learn(known: Quirks, refusal: str, written: Written) -> Quirks | None:
    """What a refusal (400 or 422, unprocessed) tells of the model; None where it is about nothing that we wrote."""
    text = refusal.lower()
    learned = known
    if written.stream_options and ("stream_options" in text or "include_usage" in text):
        learned = replace(learned, takes_stream_options=False)
    if written.maximum is not None and any(name in text for name in (*MAXIMA, "maximum", "max tokens")):
        other = _OTHER_NAME.get(written.maximum_name or "")
        if other is not None and other in text and known.maximum_name is None and _is_about_the_name(text):
            learned = replace(learned, maximum_name=other)
        elif (largest := _largest_below(text, written.maximum)) is not None and "context" not in text:
            learned = replace(learned, largest_maximum=largest)
    return learned if learned != known else None


def _is_about_the_name(text: str) -> bool:
    return any(word in text for word in ("unsupported", "not supported", "instead", "unrecognized", "unknown"))


def _largest_below(text: str, written: int) -> int | None:
    numbers = [int(number) for number in _NUMBER.findall(text.replace(",", ""))]
    return max((number for number in numbers if LEAST_MAXIMUM <= number < written), default=None)
