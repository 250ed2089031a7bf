"""The body that goes to the upstream: what the client asked, with only what must be written changed."""

from typing import Final

import msgspec

from gateway.domain.chat_request import ChatRequest
from gateway.domain.output_limits import lowered, with_sure_maximum

_encode = msgspec.json.Encoder().encode
_ASK_FOR_USAGE: Final = "stream_options"


def forwarded_body(
    request: ChatRequest, *, maximum_output_tokens: int | None, maximum_name: str, ask_for_usage: bool = True
) -> bytes:
    """The same values in the same order, encoded anew: a name that stood twice means there what it meant here.

    `maximum_output_tokens`, where given, bounds every maximum that the client named at any depth, and stands as
    `maximum_name` where none of them is known to every upstream; budgets of thinking that would come beside it go.
    The client's own maximum is repeated under that name too: who does not know the client's goes on without one.
    A stream asks the provider for its usage, unless that is refused.
    """
    fields = request.fields
    if maximum_output_tokens is not None:
        fields = lowered(fields, maximum_output_tokens, maximum_name)
    elif request.maximum_output_tokens is not None:
        fields = with_sure_maximum(fields, request.maximum_output_tokens - request.thinking_tokens, maximum_name)
    if request.stream and ask_for_usage and not request.wants_usage_chunk:
        fields = fields | {_ASK_FOR_USAGE: (fields.get(_ASK_FOR_USAGE) or {}) | {"include_usage": True}}
    return _encode(fields)
