"""The demo's tokenizer, in which a token is a word, and the text that it speaks."""

import json
from typing import Any, Final

_SPEECH: Final = (
    "Olá! Sou o modelo de demonstração do Solaris: respondo sempre do mesmo jeito, palavra por palavra, "
    "e cada palavra conta como um token. Assim você vê o consumo subir, os avisos chegarem e o saldo acabar "
    "sem gastar nada com um provedor de verdade. Troque o endereço do upstream pelo do seu LiteLLM quando quiser. "
)
_SENTENCES: Final = _SPEECH.split()

MAX_SPOKEN_WORDS: Final = 50_000
"""Longer answers are told in the usage but not spoken in full."""

_MESSAGE_OVERHEAD: Final = 3
_ANSWER_OVERHEAD: Final = 3


def speak(words: int) -> list[str]:
    """That many tokens of text, each with the space that follows it but for the last."""
    count = min(words, MAX_SPOKEN_WORDS)
    spoken = [f"{_SENTENCES[index % len(_SENTENCES)]} " for index in range(count)]
    if spoken:
        spoken[-1] = spoken[-1].rstrip()
    return spoken


def count_prompt_tokens(request: dict[str, Any]) -> int:
    """Words of all messages and tool definitions and, as OpenAI has it, 3 a message and 3 for the answer."""
    messages = request.get("messages")
    total = _ANSWER_OVERHEAD
    for message in messages if isinstance(messages, list) else ():
        total += _MESSAGE_OVERHEAD + _count(message.get("content") if isinstance(message, dict) else message)
    if request.get("tools"):
        total += len(json.dumps(request["tools"], ensure_ascii=False, separators=(",", ":")).split())
    return total


def _count(content: Any) -> int:
    if isinstance(content, str):
        return len(content.split())
    if isinstance(content, list):
        return sum(_count(part.get("text")) for part in content if isinstance(part, dict))
    return 0
