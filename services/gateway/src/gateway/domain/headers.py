"""Which headers pass between client and upstream."""

from collections.abc import Iterable, Mapping
from typing import Final

type Headers = list[tuple[bytes, bytes]]

EVENT_STREAM: Final = b"text/event-stream"
REQUEST_ID: Final = b"x-solaris-request-id"
AVAILABLE: Final = b"x-solaris-tokens-available"
CACHE_KEY: Final = b"x-litellm-cache-key"
"""LiteLLM's answers carry it where they come from its cache."""
_CALL_ID: Final = b"x-litellm-call-id"
_END_USER: Final = b"x-litellm-end-user-id"

_PASSED: Final = frozenset(
    {b"accept", b"user-agent", b"traceparent", b"tracestate", b"anthropic-beta", b"anthropic-version"}
)
_PASSED_PREFIXES: Final = (b"openai-", b"x-stainless-")
_STOPPED: Final = frozenset(
    b"""
    connection content-length date keep-alive proxy-authenticate proxy-connection server set-cookie te trailer
    transfer-encoding upgrade x-litellm-key-spend x-litellm-model-api-base
    """.split()
)
_STOPPED_PREFIXES: Final = (b"x-litellm-response-cost", b"llm_provider-", b"x-solaris-")
"""What LiteLLM tells of its costs, its key and the provider's answer is for operators alone; our names are ours."""


def request_headers(client: Mapping[bytes, bytes]) -> Headers:
    """The client's harmless headers; its key, the person's data and anything that commands LiteLLM stay behind."""
    headers = [(name, value) for name, value in client.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)]
    # What is forwarded is JSON, whatever the client called it: LiteLLM reads nothing else.
    return [*headers, (b"content-type", b"application/json"), (b"accept-encoding", b"identity")]


def call_headers(call_id: str, account_id: str) -> Headers:
    """What joins LiteLLM's logs to ours one to one."""
    return [(_CALL_ID, call_id.encode()), (_END_USER, account_id.encode())]


def response_headers(upstream: Headers, call_id: str, available: int | None) -> Headers:
    """The upstream's headers without those of its connection and of its money, and our own."""
    headers = [
        (name, value) for name, value in upstream if name not in _STOPPED and not name.startswith(_STOPPED_PREFIXES)
    ]
    headers.append((REQUEST_ID, call_id.encode()))
    if available is not None:
        headers.append((AVAILABLE, str(available).encode()))
    return headers


def value_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """The first value of a header, or nothing."""
    return next((value for key, value in headers if key == name), b"")
