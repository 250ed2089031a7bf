"""The prompt of a request as texts to be tokenized and tokens that are known without: an upper bound in practice."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.domain.images import image_tokens
from gateway.domain.model_families import ModelFamily
from gateway.domain.request_fields import BUDGETS, CHOICES, MAXIMA, FieldClass, class_of

_encode = msgspec.json.Encoder().encode

_AUDIO_CHARACTERS_PER_TOKEN: Final = 100
"""Ten tokens a second at one kilobyte a second, the lowest bit rate of speech."""
_FILE_CHARACTERS_PER_TOKEN: Final = 5
_FILE_TOKENS: Final = 1_600
_MOST_FILE_TOKENS: Final = 250_000
"""A hundred pages, each as picture and as text, which is the most that providers take."""

# Counted for what they allow of output, or by themselves.
_NOT_PROMPT: Final = frozenset((*MAXIMA, *BUDGETS, *CHOICES, "messages", "tools"))


@dataclass(slots=True)
class Prompt:
    """`texts` are counted by the tokenizer; `fixed_tokens` stand already."""

    texts: list[str] = field(default_factory=list)
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
        # What is on no list is forwarded, so it may be shown to the model.
        if value and name not in _NOT_PROMPT and class_of(name) is not FieldClass.HARMLESS:
            prompt.add_json(value)
            prompt.fixed_tokens += family.tools_tokens
    return prompt


def with_margin(tokens: int, family: ModelFamily) -> int:
    """`tokens` with the family's safety margin, rounded up."""
    return -(-tokens * family.margin_percent // 100)


def _add_message(prompt: Prompt, message: dict[str, Any], family: ModelFamily) -> None:
    prompt.fixed_tokens += family.message_tokens
    for name, value in message.items():
        if name == "content":
            _add_content(prompt, value, family)
        elif name == "role" or value is None:
            continue
        elif isinstance(value, str):
            prompt.texts.append(value)
            prompt.fixed_tokens += 1
        else:
            prompt.add_json(value)


def _add_content(prompt: Prompt, content: Any, family: ModelFamily) -> None:
    if isinstance(content, str):
        prompt.texts.append(content)
        return
    for part in content or ():
        match part:
            case {"type": "text", "text": str(text)}:
                prompt.texts.append(text)
            case {"type": "image_url", "image_url": {"url": str(url)} as image}:
                prompt.fixed_tokens += image_tokens(url, image.get("detail"), family.image_cost)
            case {"type": "image_url", "image_url": str(url)}:
                prompt.fixed_tokens += image_tokens(url, None, family.image_cost)
            case {"type": "input_audio", "input_audio": {"data": str(data)}}:
                prompt.fixed_tokens += len(data) // _AUDIO_CHARACTERS_PER_TOKEN + 1
            case {"type": "file", "file": {"file_data": str(data)}}:
                tokens = _FILE_TOKENS + len(data) // _FILE_CHARACTERS_PER_TOKEN
                prompt.fixed_tokens += min(_MOST_FILE_TOKENS, tokens)
            case {"type": "file"}:
                prompt.fixed_tokens += _MOST_FILE_TOKENS
            case _:
                prompt.add_json(part)
