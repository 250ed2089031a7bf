"""The prompt of a request as texts to be tokenized and tokens that are known without: an upper bound in practice."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from gateway.domain.images import image_tokens
from gateway.domain.media import Medium, is_media_data, medium_of, medium_tokens
from gateway.domain.model_families import ModelFamily
from gateway.domain.request_fields import BUDGETS, CHOICES, MAXIMA, FieldClass, class_of

_encode = msgspec.json.Encoder().encode

FREE_BYTES: Final = 256
"""Of a field that is no prompt: a longer one may be shown to the model all the same, as a schema is."""
_FREE_ROLE_CHARACTERS: Final = 16

# Counted for what they allow of output, or by themselves.
_NOT_PROMPT: Final = frozenset((*MAXIMA, *BUDGETS, *CHOICES, "messages", "tools"))
_MESSAGE_KEYS: Final = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "reasoning_content"}
)
"""Their names are in what a message costs anyway."""
_TEXTS: Final = frozenset({"tool_calls", "function_call", "reasoning_content", "refusal", "name", "tool_call_id"})
_SOURCES: Final = frozenset(
    {
        *("url", "uri", "file_url", "file_uri", "fileUri", "image_url", "video_url", "audio_url"),
        *("id", "file_id", "image_id", "path", "source"),
        *("data", "file_data", "base64", "bytes", "input_audio", "image", "video", "audio", "file", "document"),
    }
)
"""Names under which a part says where its medium is, or holds it."""
_LONGEST_SOURCE: Final = 8_192
"""Characters of a URL or a provider's name; what is longer and no data is a text."""
_DETAILS: Final = frozenset({None, "low", "high", "auto", "original"})


class Prompt(Struct):
    """`texts` are counted by the tokenizer; `fixed_tokens` stand already."""

    texts: list[str] = []
    fixed_tokens: int = 0

    def add_json(self, value: Any) -> None:
        """Count a structure as its JSON, which is longer than any form in which providers show it to models."""
        self.texts.append(_encode(value).decode())


def prompt_of(fields: dict[str, Any], family: ModelFamily) -> Prompt:
    """Everything of a checked chat request that the provider counts as prompt."""
    prompt = Prompt(fixed_tokens=family.reply_tokens)
    for message in fields["messages"]:
        _add_message(prompt, message, family)
    tools = fields.get("tools")
    if tools:
        prompt.add_json(tools)
        prompt.fixed_tokens += family.tools_tokens
        prompt.fixed_tokens += family.tool_tokens * (len(tools) if isinstance(tools, list) else 1)
    for name, value in fields.items():
        if not value or name in _NOT_PROMPT:
            continue
        if class_of(name) is FieldClass.HARMLESS:
            _add_if_long(prompt, value)
        else:
            # What is on no list is forwarded, so it may be shown to the model.
            prompt.add_json(value)
            prompt.fixed_tokens += family.tools_tokens
            if len(name) > FREE_BYTES:
                prompt.texts.append(name)
    return prompt


def with_margin(tokens: int, family: ModelFamily) -> int:
    """`tokens` with the family's safety margin, rounded up."""
    return -(-tokens * family.margin_percent // 100)


def _add_if_long(prompt: Prompt, value: Any) -> None:
    if isinstance(value, str):
        if len(value) > FREE_BYTES:
            prompt.texts.append(value)
    elif isinstance(value, (dict, list)) and len(encoded := _encode(value)) > FREE_BYTES:
        prompt.texts.append(encoded.decode())


def _add_message(prompt: Prompt, message: dict[str, Any], family: ModelFamily) -> None:
    prompt.fixed_tokens += family.message_tokens
    for name, value in message.items():
        if name not in _MESSAGE_KEYS:
            prompt.texts.append(name)
        if name == "content":
            _add_content(prompt, value, family)
        elif name == "role":
            if len(value) > _FREE_ROLE_CHARACTERS:
                prompt.texts.append(value)
        elif value is None:
            continue
        elif isinstance(value, str):
            prompt.texts.append(value)
            prompt.fixed_tokens += 1
        elif name in _TEXTS or not isinstance(value, (dict, list)):
            prompt.add_json(value)
        else:
            _add_structure(prompt, value, medium_of(name), None, family)


def _add_content(prompt: Prompt, content: Any, family: ModelFamily) -> None:
    if isinstance(content, str):
        prompt.texts.append(content)
        return
    for part in content or ():
        match part:
            case {"type": "text", "text": str(text)}:
                prompt.texts.append(text)
                if len(part) > 2:
                    rest = {name: value for name, value in part.items() if name not in ("type", "text")}
                    prompt.add_json(rest)
            case {"type": "image_url", "image_url": {"url": str(url)} as image} if _says_no_more(part, image):
                if url[:10].lower() == "data:image" or url[:5].lower() != "data:":
                    prompt.fixed_tokens += image_tokens(url, image.get("detail"), family.image_cost)
                else:
                    prompt.fixed_tokens += medium_tokens(Medium.PICTURE, url, image.get("detail"), family.image_cost)
            case dict():
                _add_part(prompt, part, family)
            case str():
                prompt.texts.append(part)
            case _:
                prompt.add_json(part)


def _says_no_more(part: dict[str, Any], image: dict[str, Any]) -> bool:
    if len(part) != 2 or len(image) > 2:
        return False
    return len(image) == 1 or ("detail" in image and image["detail"] in _DETAILS)


def _add_part(prompt: Prompt, part: dict[str, Any], family: ModelFamily) -> None:
    kind = part.get("type")
    medium = medium_of(kind) if isinstance(kind, str) else None
    if medium is None:
        named = [medium_of(name) for name in part]
        medium = next((each for each in named if each not in (None, Medium.OTHER)), None)
    if medium is None and all(isinstance(value, str) and len(value) <= FREE_BYTES for value in part.values()):
        prompt.add_json(part)
        return
    detail = part.get("detail")
    if isinstance(part.get("image_url"), dict):
        detail = part["image_url"].get("detail")
    _add_structure(prompt, part, medium, detail if isinstance(detail, str) else None, family)


def _add_structure(prompt: Prompt, value: Any, medium: Medium | None, detail: str | None, family: ModelFamily) -> None:
    """Count a structure as JSON, but for media in it, and parts of a content, which are counted by themselves."""
    sources: list[str] = []
    contents: list[Any] = []
    prompt.add_json(_without_media(value, medium is not None, sources, contents))
    for source in sources:
        prompt.fixed_tokens += medium_tokens(medium or Medium.OTHER, source, detail, family.image_cost)
    for content in contents:
        _add_content(prompt, content, family)
    is_written_out = medium is Medium.FILE and contents
    if medium is not None and not sources and not is_written_out:
        prompt.fixed_tokens += medium_tokens(medium, "", detail, family.image_cost)


def _without_media(value: Any, is_medium: bool, sources: list[str], contents: list[Any]) -> Any:
    """The value without the texts that are a medium or say where one is, which go to `sources`, and without parts."""
    if isinstance(value, list):
        return [_without_media(item, is_medium, sources, contents) for item in value]
    if isinstance(value, str):
        return _taken(value, sources) if is_media_data(value) else value
    if not isinstance(value, dict):
        return value
    is_text = value.get("type") == "text"
    left: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, list) and name == "content":
            contents.append(inner)
        elif isinstance(inner, list) and is_medium and _is_source_name(name):
            left[name] = [
                _taken(item, sources)
                if isinstance(item, str) and len(item) <= _LONGEST_SOURCE
                else _without_media(item, is_medium, sources, contents)
                for item in inner
            ]
        elif not isinstance(inner, str):
            left[name] = _without_media(inner, is_medium, sources, contents)
        elif is_text and name == "data":
            contents.append(inner)
        elif name == "text":
            left[name] = inner
        elif is_media_data(inner) or (is_medium and 0 < len(inner) <= _LONGEST_SOURCE and _is_source_name(name)):
            left[name] = _taken(inner, sources)
        else:
            left[name] = inner
    return left


def _is_source_name(name: str) -> bool:
    return name in _SOURCES or (name[-1:] == "s" and name[:-1] in _SOURCES)


def _taken(source: str, sources: list[str]) -> str:
    sources.append(source)
    return ""
