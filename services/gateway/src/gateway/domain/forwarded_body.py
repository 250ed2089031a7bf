"""The body that goes to the upstream: what the client asked, with only what must be written changed."""

from typing import Any, Final

import msgspec

from gateway.domain.chat_request import ChatRequest
from gateway.domain.request_fields import BUDGETS, MAXIMA, OPTION_BAGS

_encode = msgspec.json.Encoder().encode
_ASK_FOR_USAGE: Final = "stream_options"


def forwarded_body(
    request: ChatRequest, *, maximum_output_tokens: int | None, maximum_name: str, ask_for_usage: bool = True
) -> bytes:
    """The same values in the same order, encoded anew: a name that stood twice means there what it meant here.

    `maximum_output_tokens`, where given, replaces every maximum that the client named, else stands as `maximum_name`;
    budgets of thinking that would come beside it go. A stream asks the provider for its usage, unless that is refused.
    """
    fields = request.fields
    if maximum_output_tokens is not None:
        fields = _clamped(fields, maximum_output_tokens, maximum_name)
    if request.stream and ask_for_usage and not request.wants_usage_chunk:
        fields = fields | {_ASK_FOR_USAGE: (fields.get(_ASK_FOR_USAGE) or {}) | {"include_usage": True}}
    return _encode(fields)


def _clamped(fields: dict[str, Any], maximum: int, maximum_name: str) -> dict[str, Any]:
    clamped = {name: value for name, value in fields.items() if name not in BUDGETS}
    for bag in OPTION_BAGS:
        if isinstance(content := clamped.get(bag), dict):
            clamped[bag] = _clamped_bag(content, maximum)
    thinking = fields.get("thinking")
    if isinstance(thinking, dict) and any(name in thinking for name in BUDGETS):
        # Thinking without its budget is refused by those who take one.
        del clamped["thinking"]
    given = [name for name in MAXIMA if fields.get(name) is not None]
    return clamped | dict.fromkeys(given or [maximum_name], maximum)


def _clamped_bag(content: dict[str, Any], maximum: int) -> dict[str, Any]:
    return {
        name: _clamped_bag(value, maximum)
        if isinstance(value, dict)
        else min(value, maximum)
        if name in MAXIMA and isinstance(value, int)
        else value
        for name, value in content.items()
        if name not in BUDGETS
    }
