"""Tells an event stream from everything else by its first bytes: headers are wrong more often than these."""

from typing import Final

_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_LONGEST_FIELD: Final = 6
_DONE: Final = b"data:[DONE]"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def is_event_stream(start: bytes) -> bool | None:
    """Whether the answer that starts like this is one; None while it can't be told.

    A stream that has said nothing but that it is done is not one yet: nothing of it needs to be relayed at once.
    """
    said = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not said:
        return None
    if said.startswith(_FIELDS):
        words = b"".join(said.split())
        return None if words == _DONE or (len(words) < len(_DONE) and _DONE.startswith(words)) else True
    if len(said) < _LONGEST_FIELD and any(field.startswith(said) for field in _FIELDS):
        return None
    return False


def what_came(body: bytes) -> str:
    """A few words for an answer that is of no use."""
    said = body.removeprefix(_BYTE_ORDER_MARK).strip()
    if not said:
        return "empty answer"
    if said.startswith(b"<"):
        return "HTML page"
    if said.startswith(_FIELDS):
        return "empty event stream"
    return "not JSON"
