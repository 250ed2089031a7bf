"""What a chat request asks for, read from its body and checked before anything is held."""

import re
from typing import Any, Final

import msgspec
from contracts.limits import MAX_TEXT_LENGTH, is_clean_text
from msgspec import Struct

from gateway.domain.errors import InvalidRequestError
from gateway.domain.output_limits import NestedOption, nested_options, output_limits
from gateway.domain.request_fields import MOVING_METADATA, OPTION_BAGS, FieldClass, class_of

MAX_FIELDS: Final = 256
"""At the top, in `metadata`, in a message and in a part of one: each is looked up, and all others wait meanwhile."""
MAX_MESSAGES: Final = 10_000
MAX_DEPTH: Final = 64

_decode = msgspec.json.Decoder().decode
MENDED_BYTES: Final = 4 * 1024 * 1024
MAX_MENDED: Final = 1_000
_LONE_SURROGATE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


class ChatRequest(Struct, kw_only=True):
    """`fields` is the decoded body, a name that stood twice once.

    `maximum_output_tokens` is the largest output of one choice that any field allows, thinking beside it included; None
    where none names a maximum. `thinking_tokens` is all of that thinking. `unknown_fields` are on no list.
    `unread_body` is what is forwarded instead of `fields` where nothing could be read.
    """

    fields: dict[str, Any]  # Any: a client's JSON, of which only what is named here is checked
    model: str
    stream: bool
    wants_usage_chunk: bool
    choices: int
    maximum_output_tokens: int | None
    user: str | None
    thinking_tokens: int = 0
    unknown_fields: tuple[str, ...] = ()
    unread_body: bytes | None = None

    def forget(self) -> None:
        """Let the body go, once it is on its way: a picture in it would stay in memory as long as the answer takes."""
        self.fields = {}
        self.unread_body = None

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.fields["messages"]
        return messages


def parse_chat_request(body: bytes, *, refuse_unknown: bool = False) -> ChatRequest:
    """Read and check a body.

    Raises:
        InvalidRequestError: it is not JSON, not a chat request, absurd, or would move the call elsewhere.
    """
    fields = decode_object(body)
    if len(fields) > MAX_FIELDS:
        raise InvalidRequestError(f"the body must hold at most {MAX_FIELDS} fields")
    nested = list(nested_options(fields))
    unknown = _check_fields(fields, nested, refuse_unknown=refuse_unknown)
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("you must provide a model", "model")
    if not is_clean_text(model):
        raise InvalidRequestError(f"model must be at most {MAX_TEXT_LENGTH} plain characters", "model")
    check_messages(fields.get("messages"))
    stream = _boolean(fields, "stream")
    options = fields.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise InvalidRequestError("stream_options must be an object", "stream_options")
    wants_usage_chunk = options is not None and _boolean(options, "include_usage")
    user = fields.get("user")
    limits = output_limits(fields, nested)
    return ChatRequest(
        fields=fields,
        model=model,
        stream=stream,
        wants_usage_chunk=wants_usage_chunk,
        choices=limits.choices,
        maximum_output_tokens=None if limits.maximum is None else limits.maximum + limits.thinking_tokens,
        thinking_tokens=limits.thinking_tokens,
        # A number there is no name of a person, and none of our business beside a header that names one.
        user=user if isinstance(user, str) and user else None,
        unknown_fields=unknown,
    )


def _check_fields(fields: dict[str, Any], nested: list[NestedOption], *, refuse_unknown: bool) -> tuple[str, ...]:
    unknown = []
    for name in fields:
        match class_of(name):
            case FieldClass.MOVING:
                raise InvalidRequestError(f"{name[:64]} is not for clients to set", name[:64])
            case FieldClass.UNKNOWN:
                unknown.append(name)
            case _:
                pass
    if refuse_unknown and unknown:
        raise InvalidRequestError(f"{unknown[0][:64]} is not known here", unknown[0][:64])
    metadata = fields.get("metadata")
    if isinstance(metadata, dict):
        if len(metadata) > MAX_FIELDS:
            raise InvalidRequestError(f"metadata must hold at most {MAX_FIELDS} fields", "metadata")
        for name in metadata:
            if name in MOVING_METADATA or class_of(name) is FieldClass.MOVING:
                raise InvalidRequestError(f"metadata.{name[:64]} is not for clients to set", f"metadata.{name[:64]}")
    for bag, inner, _, _ in nested:
        if bag in OPTION_BAGS and bag != "chat_template_kwargs" and class_of(inner) is FieldClass.MOVING:
            raise InvalidRequestError(f"{bag}.{inner[:64]} is not for clients to set", f"{bag}.{inner[:64]}")
    return tuple(unknown)


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a JSON object that is not nested absurdly; half of a character that JavaScript cut becomes U+FFFD.

    Raises:
        InvalidRequestError: it isn't one.
    """
    if not body:
        raise InvalidRequestError("the body is empty")
    try:
        fields = _decode_mended(body)
    except RecursionError:
        raise InvalidRequestError(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8, or an integer of absurd length
        raise InvalidRequestError(f"the body is not valid JSON: {str(error)[:120]}") from None
    if not isinstance(fields, dict):
        raise InvalidRequestError("the body must be a JSON object")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(fields)
    return fields


def _decode_mended(body: bytes) -> Any:
    try:
        return _decode(body)
    except msgspec.MsgspecError:
        mended = _mended(body) if len(body) <= MENDED_BYTES else None
        if mended is None:
            raise
        return _decode(mended)


def _mended(body: bytes) -> bytes | None:
    """The body with the replacement character for each surrogate that lacks its half; None where that can't be it."""
    parts, end = [], 0
    for number, half in enumerate(_LONE_SURROGATE.finditer(body)):
        if number == MAX_MENDED:
            return None
        before = body[end : half.start()]
        escaped = (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
        parts += [before, half[0] if escaped else b"\\ufffd"]
        end = half.end()
    return b"".join([*parts, body[end:]]) if parts else None


def _check_depth(fields: dict[str, Any]) -> None:
    level: list[Any] = [fields]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise InvalidRequestError(f"the body is nested deeper than {MAX_DEPTH} levels")


def check_messages(messages: object) -> None:
    """Check that messages have the form of a chat's.

    Raises:
        InvalidRequestError: they haven't.
    """
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("messages must be a list with at least one message", "messages")
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequestError(f"messages must hold at most {MAX_MESSAGES:,} messages", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidRequestError("each message must be an object with a role", f"messages[{number}]")
        if len(message) > MAX_FIELDS:
            raise InvalidRequestError(f"a message must hold at most {MAX_FIELDS} fields", f"messages[{number}]")
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                if not isinstance(part, dict):
                    raise InvalidRequestError("each content part must be an object", f"messages[{number}].content")
                if len(part) > MAX_FIELDS:
                    raise InvalidRequestError(
                        f"a content part must hold at most {MAX_FIELDS} fields", f"messages[{number}].content"
                    )
        elif content is not None and not isinstance(content, str):
            raise InvalidRequestError("content must be a string or a list of parts", f"messages[{number}].content")


def _boolean(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequestError(f"{name} must be true or false", name)
    return bool(value)
