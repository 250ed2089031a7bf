"""What a chat request asks for, read from its body and checked before anything is held."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from contracts.limits import MAX_CHOICES, MAX_TEXT_LENGTH, is_clean_text

from gateway.domain.errors import InvalidRequestError

MAX_MESSAGES: Final = 10_000
MAX_DEPTH: Final = 64
MAX_OUTPUT_TOKENS: Final = 10_000_000
"""Above any model's output; a larger maximum is a mistake."""
MAXIMUM_NAMES: Final = ("max_completion_tokens", "max_tokens")

_decode = msgspec.json.Decoder().decode


@dataclass(slots=True, kw_only=True)
class ChatRequest:
    """`fields` is the decoded body; `maximum_output_tokens` the smallest maximum that the client gave, per choice."""

    body: bytes
    fields: dict[str, Any]  # Any: a client's JSON, of which only what is named here is checked
    model: str
    stream: bool
    wants_usage_chunk: bool
    choices: int
    maximum_output_tokens: int | None
    user: str | None

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.fields["messages"]
        return messages


def parse_chat_request(body: bytes) -> ChatRequest:
    """Read and check a body.

    Raises:
        InvalidRequestError: it is not JSON, not a chat request, or absurd.
    """
    fields = decode_object(body)
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("you must provide a model", "model")
    if not is_clean_text(model):
        raise InvalidRequestError(f"model must be at most {MAX_TEXT_LENGTH} plain characters", "model")
    _check_messages(fields.get("messages"))
    stream = _boolean(fields, "stream")
    options = fields.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise InvalidRequestError("stream_options must be an object", "stream_options")
    wants_usage_chunk = options is not None and _boolean(options, "include_usage")
    maxima = [
        value
        for name in MAXIMUM_NAMES
        if (value := _whole_number(fields, name, smallest=1, largest=MAX_OUTPUT_TOKENS)) is not None
    ]
    user = fields.get("user")
    if user is not None and not isinstance(user, str):
        raise InvalidRequestError("user must be a string", "user")
    return ChatRequest(
        body=body,
        fields=fields,
        model=model,
        stream=stream,
        wants_usage_chunk=wants_usage_chunk,
        choices=_whole_number(fields, "n", smallest=1, largest=MAX_CHOICES) or 1,
        maximum_output_tokens=min(maxima) if maxima else None,
        user=user or None,
    )


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a JSON object whose nesting and characters are storable everywhere.

    Raises:
        InvalidRequestError: it isn't one.
    """
    if not body:
        raise InvalidRequestError("the body is empty")
    try:
        fields = _decode(body)
    except RecursionError:
        raise InvalidRequestError(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8, or an integer of absurd length
        raise InvalidRequestError(f"the body is not valid JSON: {str(error)[:120]}") from None
    if not isinstance(fields, dict):
        raise InvalidRequestError("the body must be a JSON object")
    may_be_deep = body.count(b"[") + body.count(b"{") > MAX_DEPTH
    may_hold_nul = b"\\u0000" in body
    if may_be_deep or may_hold_nul:
        _check_values(fields, look_for_nul=may_hold_nul)
    return fields


def _check_values(fields: dict[str, Any], *, look_for_nul: bool) -> None:
    level: list[Any] = [fields]
    for _ in range(MAX_DEPTH):
        if look_for_nul and any(_holds_nul(value) for value in level):
            raise InvalidRequestError("the body holds a NUL character")
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise InvalidRequestError(f"the body is nested deeper than {MAX_DEPTH} levels")


def _holds_nul(value: dict[str, Any] | list[Any]) -> bool:
    texts = [*value, *value.values()] if isinstance(value, dict) else value
    return any(isinstance(text, str) and "\x00" in text for text in texts)


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("messages must be a list with at least one message", "messages")
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequestError(f"messages must hold at most {MAX_MESSAGES:,} messages", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidRequestError("each message must be an object with a role", f"messages[{number}]")
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                if not isinstance(part, dict):
                    raise InvalidRequestError("each content part must be an object", f"messages[{number}].content")
        elif content is not None and not isinstance(content, str):
            raise InvalidRequestError("content must be a string or a list of parts", f"messages[{number}].content")


def _boolean(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequestError(f"{name} must be true or false", name)
    return bool(value)


def _whole_number(fields: dict[str, Any], name: str, *, smallest: int, largest: int) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(f"{name} must be a whole number", name)
    if not smallest <= value <= largest:
        raise InvalidRequestError(f"{name} must be from {smallest:,} to {largest:,}", name)
    return value
