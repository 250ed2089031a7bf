"""Marks that tell our own notices in a conversation's history from everything else, and their removal."""

import hmac
from typing import Any, Final

NOTICE_SIGN: Final = b"solaris-notice"
"""Stands in every mark, so that bodies without it need no look."""

_MARK_START: Final = "[solaris-notice]: #"
"""A link reference definition, which markdown never shows."""
_MARK_LENGTH: Final = 32


def marked(text: str, key: bytes) -> str:
    """`text` with an invisible mark that only this key makes and that fits this text alone."""
    return f"{text}\n\n{_MARK_START}{_mark(text, key).decode()}"


def is_notice(text: str, key: bytes) -> bool:
    """Whether the text is exactly a notice that `marked` made, spaces aside."""
    told = text.rstrip()
    start = len(told) - _MARK_LENGTH - len(_MARK_START)
    if start < 0 or not told.startswith(_MARK_START, start):
        return False
    mark = told[start + len(_MARK_START) :].encode("utf-8", "surrogatepass")
    return hmac.compare_digest(mark, _mark(told[:start], key))


def without_notices(messages: list[dict[str, Any]], key: bytes) -> list[dict[str, Any]] | None:
    """The messages without our notices, or None when there are none among them."""
    kept: list[dict[str, Any]] = []
    removed = False
    for message in messages:
        content = message.get("content")
        if message.get("role") != "assistant":
            kept.append(message)
        elif isinstance(content, str) and is_notice(content, key):
            removed = True
        elif isinstance(content, list) and any(_is_notice_part(part, key) for part in content):
            removed = True
            parts = [part for part in content if not _is_notice_part(part, key)]
            if parts:
                kept.append(message | {"content": parts})
        else:
            kept.append(message)
    return kept if removed else None


def _is_notice_part(part: dict[str, Any], key: bytes) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str) and is_notice(part["text"], key)


def _mark(text: str, key: bytes) -> bytes:
    words = " ".join(text.split())
    digest = hmac.digest(key, words.encode("utf-8", "surrogatepass"), "sha256")
    return digest.hex()[:_MARK_LENGTH].encode()
