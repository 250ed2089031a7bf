"""Names that may be shown, of people and of what is sold: others' text, which could carry a link or hidden signs."""

import re
import unicodedata
from typing import Final

MAX_NAME_LENGTH: Final = 40
MAX_PLAIN_NAME_LENGTH: Final = 64
MAX_MARKS_IN_A_ROW: Final = 4
"""Tibetan stacks that many; what writes more wants to cover the lines around it."""
_APOSTROPHES: Final = frozenset("'\u2018\u2019\u05f3")
"""After a letter; Hebrew ends names with one."""
_JOINERS: Final = frozenset("-\u2010\u2011\u200c\u200d\u0f0b")
"""Hyphens, and the signs without which Persian, Indic and Tibetan names are misspelt: only between letters."""
_SEPARATORS: Final = re.compile(r"[\s\u30fb\uff65]+")
"""White space, and the dot between the parts of a foreign name in Japanese."""
_EMOJI_PARTS: Final = re.compile("[\u20e3\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_PLAIN_NAME: Final = re.compile(r"(?:[^\W_]|[ _+-]|(?<=\d)\.(?=\d))+")
"""Letters, digits and what joins them; a dot between digits alone, so that no mail program makes a link of it."""
_ZERO_WIDTH_JOINER: Final = "\u200d"


def first_name(name: str | None) -> str | None:
    """The first word of the name in NFC, without emoji, where it is plainly a name of any script; else None."""
    words = (_without_emoji(word) for word in _SEPARATORS.split(unicodedata.normalize("NFC", name or "")))
    first = next((word for word in words if word), "")
    return first if 0 < len(first) <= MAX_NAME_LENGTH and _is_name(first) else None


def plain_name(name: str | None) -> str | None:
    """The name of a package or a plan in NFC, where it is plainly one; else None."""
    plain = unicodedata.normalize("NFC", name or "").strip()
    is_shown = len(plain) <= MAX_PLAIN_NAME_LENGTH and _PLAIN_NAME.fullmatch(plain) is not None
    return plain if is_shown else None


def _without_emoji(word: str) -> str:
    kept: list[str] = []
    in_emoji = False
    for character in word:
        in_emoji = _is_emoji(character) or (in_emoji and character == _ZERO_WIDTH_JOINER)
        if not in_emoji:
            kept.append(character)
    return "".join(kept)


def _is_emoji(character: str) -> bool:
    return unicodedata.category(character) == "So" or _EMOJI_PARTS.match(character) is not None


def _is_name(word: str) -> bool:
    """Letters with their marks, and joiners between them; no dot, slash, digit, or sign that steers the direction."""
    marks = 0
    before = "start"
    for position, character in enumerate(word):
        category = unicodedata.category(character)
        if category[0] == "L":
            before, marks = "letter", 0
        elif category in {"Mn", "Mc"} and before == "letter" and marks < MAX_MARKS_IN_A_ROW:
            marks += 1
        elif before == "letter" and character in _APOSTROPHES:
            before = "apostrophe"
        elif before == "letter" and (character in _JOINERS or _is_catalan_dot(word, position)):
            before = "joiner"
        else:
            return False
    return before in {"letter", "apostrophe"}


def _is_catalan_dot(word: str, position: int) -> bool:
    """The middle dot of `Gal·la`."""
    return word[position - 1 : position + 2].lower() == "l\u00b7l"
