"""What pictures, sound, films and files cost in prompt tokens: as providers document it, else an upper bound."""

import re
import string
from enum import Enum
from functools import lru_cache
from typing import Final, assert_never

from gateway.domain.images import image_tokens
from gateway.domain.model_families import ImageCost

MOST_CONTEXT_TOKENS: Final = 1_048_576
"""The largest window of the models that take films and sound: https://ai.google.dev/gemini-api/docs/models."""
AUDIO_TOKENS_PER_SECOND: Final = 32
"""Gemini 2.5's; Gemini 3 takes 25: https://ai.google.dev/gemini-api/docs/media-resolution."""
AUDIO_BYTES_PER_SECOND: Final = 1_000
"""The lowest bit rate of speech: Opus at 8 kbit/s."""
VIDEO_TOKENS_PER_SECOND: Final = 312
"""The same source: a frame of a second (70 by itself, 280 in high resolution, 256 of Gemini 2.5) and its sound."""
VIDEO_BYTES_PER_SECOND: Final = 16_000
"""128 kbit/s, below the lowest variant that Apple's HLS authoring specification names (145 kbit/s)."""
FILE_TOKENS: Final = 1_600
FILE_BYTES_PER_TOKEN: Final = 4
MOST_FILE_TOKENS: Final = 250_000
"""No bound but a measure. Anthropic takes 100 pages into a window of 200,000 tokens, each as a picture and as 1,500 to
3,000 tokens of text: https://platform.claude.com/docs/en/build-with-claude/pdf-support. Larger windows take 600 pages:
what such a file costs beyond this is owed afterwards, not held, or nobody could send a small one."""
TEXT_BYTES_PER_TOKEN: Final = 3

_TEXT_URL: Final = re.compile(r"data:(text/|application/([^;,]*\+)?(json|xml|yaml|javascript|x-yaml)\b)", re.IGNORECASE)
_URL_HEAD_CHARACTERS: Final = 256
_BASE64: Final = (string.ascii_letters + string.digits + "+/=-_\r\n").encode()
_SHORTEST_BASE64: Final = 1_024
_LOOKED_AT_CHARACTERS: Final = 64 * 1024


class Medium(Enum):
    """`OTHER` is one that no rule is known for: it costs what a file does."""

    PICTURE = "picture"
    AUDIO = "audio"
    VIDEO = "video"
    FILE = "file"
    OTHER = "other"


_MEDIA: Final = (
    (re.compile("image|picture|photo|screenshot"), Medium.PICTURE),
    (re.compile("video|movie"), Medium.VIDEO),
    (re.compile("audio|speech|sound"), Medium.AUDIO),
    (re.compile("(?<!pro)file|document|pdf"), Medium.FILE),
    (re.compile("media|blob|inline_?data|_(url|uri)$"), Medium.OTHER),
)


@lru_cache(maxsize=1024)
def _medium_named(name: str) -> Medium | None:
    lower = name.lower()
    return next((medium for pattern, medium in _MEDIA if pattern.search(lower)), None)


def medium_of(name: str) -> Medium | None:
    """The medium that a type, a field or a MIME type names."""
    return _medium_named(name) if len(name) <= 64 else None


def is_media_data(text: str) -> bool:
    """Whether a text can only be a medium's bytes: a `data:` URL, or long base64 without a space."""
    if text[:5].lower() == "data:":
        return True
    if len(text) < _SHORTEST_BASE64 or not text.isascii() or " " in text:
        return False
    return not text[:_LOOKED_AT_CHARACTERS].encode().translate(None, _BASE64)


def medium_tokens(medium: Medium, source: str, detail: str | None, image_cost: ImageCost) -> int:
    """An upper bound of what a medium costs; `source` is its URL, its base64 or its provider's name for it."""
    head = source[:_URL_HEAD_CHARACTERS]
    if _TEXT_URL.match(head):
        return len(source) // (4 if ";base64," in head else TEXT_BYTES_PER_TOKEN) + 1
    if head[:5].lower() == "data:":
        if ";base64," not in head:
            return len(source) // TEXT_BYTES_PER_TOKEN + 1
        medium = medium_of(head[5:].partition(";")[0].partition(",")[0]) or medium
    elif medium is Medium.PICTURE and is_media_data(source):
        source = f"data:image/unknown;base64,{source}"
    seen = head[:5].lower() == "data:" or len(source) >= _SHORTEST_BASE64
    size = len(source) * 3 // 4
    match medium:
        case Medium.PICTURE:
            return image_tokens(source, detail, image_cost)
        case Medium.AUDIO if seen:
            return min(MOST_CONTEXT_TOKENS, size * AUDIO_TOKENS_PER_SECOND // AUDIO_BYTES_PER_SECOND + 1)
        case Medium.VIDEO if seen:
            return min(MOST_CONTEXT_TOKENS, size * VIDEO_TOKENS_PER_SECOND // VIDEO_BYTES_PER_SECOND + 1)
        case Medium.AUDIO | Medium.VIDEO:
            return MOST_CONTEXT_TOKENS
        case Medium.FILE | Medium.OTHER:
            return min(MOST_FILE_TOKENS, FILE_TOKENS + size // FILE_BYTES_PER_TOKEN) if seen else MOST_FILE_TOKENS
        case _:
            assert_never(medium)
