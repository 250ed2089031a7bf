"""The body that goes to the upstream: the client's own bytes, with only what must be written changed."""

from typing import Any, Final

import msgspec

from gateway.domain.chat_request import MAXIMUM_NAMES, ChatRequest

_encode = msgspec.json.Encoder().encode
_ASK_FOR_USAGE: Final = "stream_options"


def forwarded_body(
    request: ChatRequest, *, messages_changed: bool, maximum_output_tokens: int | None, maximum_name: str
) -> bytes:
    """The client's bytes as they came, unless something must be written.

    `maximum_output_tokens`, where given, replaces the maxima that the client named, else stands as `maximum_name`.
    A stream always asks the provider for its usage. Fields that the client did not send are written behind its own
    bytes; a changed field makes a new encoding of the same values in the same order.
    """
    changes: dict[str, Any] = {}
    if maximum_output_tokens is not None:
        given = [name for name in MAXIMUM_NAMES if request.fields.get(name) is not None]
        changes |= dict.fromkeys(given or [maximum_name], maximum_output_tokens)
    if request.stream and not request.wants_usage_chunk:
        changes[_ASK_FOR_USAGE] = (request.fields.get(_ASK_FOR_USAGE) or {}) | {"include_usage": True}
    if not messages_changed and not changes:
        return request.body
    if not messages_changed and not any(name in request.fields for name in changes):
        return request.body.rstrip()[:-1] + b"," + _encode(changes)[1:]
    return _encode(request.fields | changes)
