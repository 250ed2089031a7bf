"""The body that goes to the upstream: what the client asked, with only what must be written changed."""

from typing import Final

import msgspec

from gateway.domain.chat_request import ChatRequest
from gateway.domain.model_quirks import Quirks, Written
from gateway.domain.output_limits import lowered, with_sure_maximum

_encode = msgspec.json.Encoder().encode
_ASK_FOR_USAGE: Final = "stream_options"


def to_write(request: ChatRequest, quirks: Quirks, usual_maximum_name: str, granted_maximum: int | None) -> Written:
    """What must be written into a call; `granted_maximum` where the ledger wants the granted output written.

    A largest maximum that was learned is written wherever the client gave none: the hold relies on it, and should it
    be wrong, it must bound the call all the same.
    """
    maximum = granted_maximum
    largest = quirks.largest_maximum
    if largest is not None and (maximum is not None or request.maximum_output_tokens is None):
        maximum = largest if maximum is None else min(maximum, largest)
    return Written(
        maximum_name=quirks.maximum_name or usual_maximum_name,
        maximum=maximum,
        with_thinking=granted_maximum is None,
        stream_options=request.stream and not request.wants_usage_chunk and quirks.takes_stream_options,
    )


def forwarded_body(request: ChatRequest, written: Written) -> bytes:
    """The same values in the same order, encoded anew: a name that stood twice means there what it meant here.

    A written maximum bounds every maximum that the client named at any depth, and stands under its name where none of
    them is known to every upstream; budgets of thinking that would come beside it go, unless the hold covers them.
    The client's own maximum is repeated under that name too: who does not know the client's goes on without one.
    A stream asks the provider for its usage, unless that is refused.
    """
    if request.unread_body is not None:
        return request.unread_body
    fields = request.fields
    name = written.maximum_name
    if written.maximum is not None and written.with_thinking:
        fields = with_sure_maximum(fields, written.maximum, name)
    elif written.maximum is not None:
        fields = lowered(fields, written.maximum, name)
    elif request.maximum_output_tokens is not None:
        fields = with_sure_maximum(fields, request.maximum_output_tokens - request.thinking_tokens, name)
    if written.stream_options:
        fields = fields | {_ASK_FOR_USAGE: (fields.get(_ASK_FOR_USAGE) or {}) | {"include_usage": True}}
    return _encode(fields)
