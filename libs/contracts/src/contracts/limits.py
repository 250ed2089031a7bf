"""Bounds that every edge applies, so that nothing absurd reaches a decision."""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta

MAX_INTEGER: Final = 2**53
"""Largest integer that survives every JSON reader."""
MAX_CHOICES: Final = 16
"""Largest `n` of a request."""
MAX_TEXT_LENGTH: Final = 256
"""Characters of an identifier-like text: model names, references, conversation ids."""

Tokens = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
SignedTokens = Annotated[int, Meta(ge=-2 * MAX_INTEGER, le=2 * MAX_INTEGER)]
"""What figures leave together: a limit and credits can each be the largest."""
Percent = Annotated[int, Meta(ge=1, le=100)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH, pattern=r"^[^\x00]*$")]
"""Without NUL, which Postgres refuses; a lone surrogate is no JSON text to begin with."""
# Python's `$` also stands before a last newline; JSON Schema's does not, and takes the rest of this for granted.
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$(?!\n)")]
Moment = Annotated[datetime, Meta(tz=True)]
"""A point in time; one without an offset could be any of a day's."""
StoredMoment = Annotated[datetime, Meta(extra_json_schema={"format": "date-time"})]
"""A point in time that is written with its offset; one that stands in an old log without it is still to be read."""


def is_clean_text(text: str, max_length: int = MAX_TEXT_LENGTH) -> bool:
    """Whether a text is storable everywhere: within the limit, without NUL, without a lone surrogate."""
    if len(text) > max_length or "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
