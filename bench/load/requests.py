"""The requests that every peer gets: one prompt, a thousand users, bytes made once."""

import json
from dataclasses import dataclass
from typing import Final

from bench.load.answers import MODEL

USERS: Final = 1_000
_PROMPT: Final = (
    "You are a careful assistant of a company that sells solar panels in Brazil. Answer in the language of the person "
    "who asks, in at most three sentences, and say so when you do not know.",
    "Good morning! We are a family of four with a monthly consumption of about 350 kWh and a roof that faces north "
    "with some shade in the afternoon. How many panels would we need, and what should we look at first?",
)
"""About the size of a first message in a chat: 90 tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A peer's address; `headers` are sent with each request beside the user's."""

    name: str
    port: int
    headers: tuple[tuple[str, str], ...]


def body(*, stream: bool, pause_ms: int = 0, picture_bytes: int = 0) -> bytes:
    """The JSON body; `pause_ms` is the upstream's pause between two chunks, named in a field that all forward.

    `picture_bytes`: a picture of that size, as base64 in the message, stands beside the question.
    """
    value: dict[str, object] = {
        "model": MODEL,
        "messages": [{"role": "system", "content": _PROMPT[0]}, {"role": "user", "content": _PROMPT[1]}],
    }
    if picture_bytes:
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * picture_bytes}}
        question = {"type": "text", "text": _PROMPT[1]}
        value["messages"] = [{"role": "user", "content": [question, picture]}]
    if stream:
        value["stream"] = True
    if pause_ms:
        value["seed"] = pause_ms
    return json.dumps(value, separators=(",", ":")).encode()


def user_id(number: int) -> str:
    return f"bench-{number % USERS:04}"


def request_head(target: Target) -> bytes:
    """The request line and the headers up to the user's."""
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"host: 127.0.0.1:{target.port}",
        "content-type: application/json",
        *(f"{name}: {value}" for name, value in target.headers),
    ]
    return "\r\n".join(lines).encode() + b"\r\n"


def whole_request(target: Target, payload: bytes, user: int) -> bytes:
    """One request's bytes for the own client."""
    fields = f"x-user-id: {user_id(user)}\r\ncontent-length: {len(payload)}\r\n\r\n"
    return request_head(target) + fields.encode() + payload
