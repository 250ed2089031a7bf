"""Counts the tokens of texts, so that other calls run in between and what was counted is not counted again."""

import asyncio
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from gateway.domain.model_families import Encoding
from gateway.tokenizers.encodings import token_counter

SLICE_CHARACTERS: Final = 64 * 1024
"""Characters that are counted at once: 1 to 4 ms. The tokenizer keeps the interpreter's lock: no thread would help."""
SHORT_CHARACTERS: Final = 32
"""Counting so little is as fast as looking it up."""
REMEMBERED_TEXTS: Final = 16_384
"""At most twice as many counts are kept, about 2 MB."""


class RepeatedTexts:
    """Counts texts, and remembers their counts: a chat sends its whole conversation again with each message.

    Kept is a text's hash, which nobody outside can foresee; two texts of one hash would share a count, an estimate.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._recent: dict[tuple[int, int], int] = {}
        self._earlier: dict[tuple[int, int], int] = {}

    @property
    def remembered(self) -> int:
        return len(self._recent) + len(self._earlier)

    def count(self, text: str) -> int:
        if len(text) < SHORT_CHARACTERS:
            return self._count(text)
        key = (len(text), hash(text))
        tokens = self._recent.get(key)
        if tokens is None:
            tokens = self._earlier.get(key)
            if tokens is None:
                tokens = self._count(text)
            if len(self._recent) >= REMEMBERED_TEXTS:
                self._earlier, self._recent = self._recent, {}
            self._recent[key] = tokens
        return tokens


@cache
def _repeated_texts(encoding: Encoding) -> RepeatedTexts:
    return RepeatedTexts(token_counter(encoding))


async def count_tokens(texts: Iterable[str], encoding: Encoding) -> int:
    """The tokens of all texts. Long ones are cut into slices, between which other calls run; a cut may add a token."""
    count = _repeated_texts(encoding).count
    tokens = 0
    characters = 0
    for text in texts:
        for piece in slices(text):
            tokens += count(piece)
            characters += len(piece)
            if characters >= SLICE_CHARACTERS:
                characters = 0
                await asyncio.sleep(0)
    return tokens


def slices(text: str) -> Iterable[str]:
    """`text` in pieces of at most `SLICE_CHARACTERS`."""
    if len(text) <= SLICE_CHARACTERS:
        return (text,)
    return (text[at : at + SLICE_CHARACTERS] for at in range(0, len(text), SLICE_CHARACTERS))
