"""A request that enforcing would refuse and observing forwards: as much of it as metering needs and it tells."""

from typing import Any, Final

from contracts.limits import is_clean_text

from gateway.domain.chat_request import ChatRequest, check_messages, decode_object
from gateway.domain.errors import InvalidRequestError

UNKNOWN_MODEL: Final = "unknown"
"""In the record of a call whose body does not tell: it is charged at the rates of a model that nobody lists."""


def unread_request(body: bytes) -> ChatRequest:
    """A body that is forwarded byte by byte: who called is in the headers, what it cost in the answer."""
    return ChatRequest(
        fields={},
        model=UNKNOWN_MODEL,
        stream=False,
        wants_usage_chunk=True,
        choices=1,
        maximum_output_tokens=None,
        user=None,
        unread_body=body,
    )


def observed_request(body: bytes) -> ChatRequest:
    """A body by what is usable in it; unread where it can't be decoded. It breaks some rule, so nothing is certain."""
    try:
        fields = decode_object(body)
    except InvalidRequestError:
        return unread_request(body)
    model, user, options = fields.get("model"), fields.get("user"), fields.get("stream_options")
    return ChatRequest(
        fields=fields,
        model=model if isinstance(model, str) and model and is_clean_text(model) else UNKNOWN_MODEL,
        stream=fields.get("stream") is True,
        # Where there is no object to write the wish for usage into, nothing is written, and nothing hidden.
        wants_usage_chunk=bool(options.get("include_usage")) if isinstance(options, dict) else options is not None,
        choices=1,
        maximum_output_tokens=None,
        user=user if isinstance(user, str) and user else None,
    )


def has_readable_prompt(fields: dict[str, Any]) -> bool:
    """Whether the messages have a form in which they can be counted."""
    try:
        check_messages(fields.get("messages"))
    except InvalidRequestError:
        return False
    return True
