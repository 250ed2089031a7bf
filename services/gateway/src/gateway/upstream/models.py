"""What the upstream tells of its models: the list for clients, and how long their answers can be."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.domain.lenient_json import decoded_or_none
from gateway.upstream.client import UpstreamClient
from gateway.upstream.connection import UpstreamError

log = structlog.get_logger()

FETCH_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 5.0
MAX_LIST_BYTES: Final = 8 * 1024 * 1024
STALE_SECONDS: Final = 300.0
"""How long an old list is better than none while the upstream fails."""
_MOST_OUTPUT_TOKENS: Final = 10_000_000
_MOST_MODELS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ModelList:
    """The upstream's answer to `GET /v1/models`."""

    status: int
    content_type: bytes
    body: bytes


class ModelLists:
    """Asks for the list once at a time, and keeps a good one for `cache_seconds`."""

    def __init__(self, upstream: UpstreamClient, *, cache_seconds: float) -> None:
        self._upstream = upstream
        self._cache_seconds = cache_seconds
        self._kept: ModelList | None = None
        self._kept_at = 0.0
        self._fetching: asyncio.Task[ModelList] | None = None

    async def get(self) -> ModelList:
        """The list, possibly some seconds old.

        Raises:
            UpstreamError, TimeoutError: the upstream does not answer and no list is kept.
        """
        if self._kept is not None and time.monotonic() - self._kept_at < self._cache_seconds:
            return self._kept
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch())
        try:
            fetched = await asyncio.shield(self._fetching)
        except (UpstreamError, TimeoutError):
            if self._kept is not None and time.monotonic() - self._kept_at < STALE_SECONDS:
                return self._kept
            raise
        return fetched

    async def _fetch(self) -> ModelList:
        async with asyncio.timeout(FETCH_SECONDS):
            async with self._upstream.request(b"GET", b"/v1/models", []) as answer:
                body = await answer.read_all(MAX_LIST_BYTES)
                content_type = dict(answer.headers).get(b"content-type", b"application/json")
                fetched = ModelList(answer.status, content_type, body)
        if fetched.status == 200:
            self._kept, self._kept_at = fetched, time.monotonic()
        return fetched


class ModelMaxima:
    """The longest output of each model by LiteLLM's `/v1/model/info`; its absence or nonsense is normal."""

    def __init__(self, upstream: UpstreamClient) -> None:
        self._upstream = upstream
        self._output_tokens: dict[str, int] = {}

    def output_tokens(self, model: str) -> int | None:
        return self._output_tokens.get(model)

    async def refresh_for_ever(self, interval_seconds: float) -> None:
        """Ask again and again, sooner while the upstream does not answer; what is known stays meanwhile."""
        while True:
            pause_seconds = interval_seconds
            try:
                await self._refresh()
            except (UpstreamError, TimeoutError) as error:
                log.info("model_info_unavailable", error=type(error).__name__)
                pause_seconds = min(interval_seconds, RETRY_SECONDS)
            await asyncio.sleep(pause_seconds)

    async def _refresh(self) -> None:
        async with asyncio.timeout(FETCH_SECONDS):
            async with self._upstream.request(b"GET", b"/v1/model/info", []) as answer:
                body = await answer.read_all(MAX_LIST_BYTES)
                status = answer.status
        maxima = output_maxima(body) if status == 200 else {}
        if maxima:
            self._output_tokens = maxima


def output_maxima(body: bytes) -> dict[str, int]:
    """Model name → longest output, from LiteLLM's `{"data": [{"model_name", "model_info": {"max_output_tokens"}}]}`.

    The largest of a name that stands for several deployments, so that a hold is never too small.
    """
    content = decoded_or_none(body)
    entries = content.get("data") if isinstance(content, dict) else None
    maxima: dict[str, int] = {}
    for entry in entries[:_MOST_MODELS] if isinstance(entries, list) else ():
        match entry:
            case {"model_name": str(name), "model_info": {"max_output_tokens": int(tokens)}} if (
                0 < tokens <= _MOST_OUTPUT_TOKENS and not isinstance(tokens, bool)
            ):
                maxima[name] = max(tokens, maxima.get(name, 0))
    return maxima
