"""Bounds that every edge applies, so that nothing absurd reaches a decision."""

from typing import Annotated, Final

from pydantic import AwareDatetime, Field

MAX_INTEGER: Final = 2**53
"""Largest integer that survives every JSON reader."""
MAX_CHOICES: Final = 16
"""Largest `n` of a request."""
MAX_TEXT_LENGTH: Final = 256
"""Characters of an identifier-like text: model names, references, conversation ids."""

Tokens = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
SignedTokens = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Text = Annotated[str, Field(max_length=MAX_TEXT_LENGTH, pattern=r"^[^\x00]*$")]
"""Without NUL, which Postgres refuses; a lone surrogate is no JSON text to begin with."""
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
Moment = AwareDatetime
"""A point in time; one without an offset could be any of a day's."""


def is_clean_text(text: str, max_length: int = MAX_TEXT_LENGTH) -> bool:
    """Whether a text is storable everywhere: within the limit, without NUL, without a lone surrogate."""
    if len(text) > max_length or "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
