"""An upstream's answer, the way it comes, and what is to be charged for it."""

import json
from dataclasses import dataclass
from typing import Any

from contracts.usage import TokenUsage, UsageSource

from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import Reply, ask, chat
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
)

PATH = "/v1/chat/completions"
WORDS = ("one", " two", " three")
REPAIRED = UsageSource.PROVIDER_REPAIRED
PROVIDER = UsageSource.PROVIDER
ESTIMATED = UsageSource.ESTIMATED
NONE = UsageSource.NONE
STREAM = "text/event-stream"
JSON = "application/json"
USAGE_30 = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}


def data(content: Any, ending: str = "\n\n") -> bytes:
    return f"data: {content if isinstance(content, str) else json.dumps(content)}{ending}".encode()


def spoken(*more: Any, ending: str = "\n\n") -> bytes:
    return b"".join(data(one, ending) for one in (*map(chunk, WORDS), *more, "[DONE]"))


def tokens(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_prompt_tokens=cached,
        reasoning_tokens=reasoning,
    )


def raw_answer(body: bytes, content_type: str | None, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers, f"content-length: {len(body)}"]
    lines += [f"content-type: {content_type}"] if content_type is not None else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, kw_only=True)
class Case:
    """An answer, and what is charged; `usage` None stands for our own count of the prompt and of three words."""

    name: str
    body: bytes
    source: UsageSource
    usage: TokenUsage | None = None
    stream: bool = True
    content_type: str | None = STREAM
    status: int = 200
    headers: tuple[str, ...] = ()
    told_status: int = 200
    told: str = ""


async def answered(gateway: GatewayProcess, upstream: ScriptedUpstream, case: Case, **fields: Any) -> Reply:
    async def answer(request: Request, responder: Responder) -> None:
        headers = list(case.headers)
        raw = raw_answer(case.body, case.content_type, *headers, status=case.status)
        if case.status == 204:
            raw = raw.replace(b"content-length: 0\r\n", b"")
        responder.writer.write(raw)
        await responder.writer.drain()

    upstream.handle = answer
    return await ask(gateway.port, chat(stream=case.stream, **fields), {"accept-language": "en"})
