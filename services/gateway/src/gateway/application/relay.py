"""Hands the upstream's answer to the client and ends the call by what the answer tells of its usage."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from contracts.usage import Outcome

from gateway import metrics
from gateway.application.answer import Answer
from gateway.application.call import Call
from gateway.application.errors import OutageError
from gateway.application.headers import response_headers, value_of
from gateway.application.heartbeat import Heartbeat
from gateway.application.interruption import Cause
from gateway.domain.event_stream import EventStream
from gateway.domain.outages import Outage
from gateway.domain.output_text import output_texts
from gateway.domain.usage_figures import read_usage
from gateway.upstream.client import UpstreamAnswer, UpstreamCall
from gateway.upstream.connection import Headers, UpstreamError

log = structlog.get_logger()

EVENT_STREAM: Final = b"text/event-stream"
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_LAST_WORD_SECONDS: Final = 1.0
"""For a client that does not read any more."""
_DONE: Final = b"data: [DONE]\n\n"

_NOT_JSON: Final = (
    b'{"error":{"message":"the upstream answered something else than JSON","type":"api_error","code":null}}'
)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Relay:
    """One forwarded call. `on_end` is called as soon as the call has ended, before the client has read it all."""

    def __init__(
        self,
        call: Call,
        answer: Answer,
        *,
        stream: bool,
        hide_usage_chunk: bool,
        available: int | None,
        count_tokens: Callable[[str], int],
        silence_seconds: float,
        interrupted_event: bytes,
        on_end: Callable[[], None],
    ) -> None:
        self._call = call
        self._answer = answer
        self._stream = stream
        self._available = available
        self._count_tokens = count_tokens
        self._silence_seconds = silence_seconds
        self._interrupted_event = interrupted_event
        self._on_end = on_end
        self._upstream_call: UpstreamCall | None = None
        self._events = EventStream(hide_usage_chunk=hide_usage_chunk, count_tokens=count_tokens)

    async def run(self, upstream_call: UpstreamCall) -> None:
        """Send the call and relay its answer.

        Raises:
            OutageError: the upstream gave no answer, and the client has been sent nothing.
        """
        self._call.forwarded = True
        self._upstream_call = upstream_call
        heartbeat = self._heartbeat() if self._stream else None
        try:
            async with upstream_call as upstream:
                await self._relay(upstream, heartbeat)
        except UpstreamError as error:
            await self._broke_off(error)
        finally:
            if heartbeat is not None:
                heartbeat.stop()

    async def interrupted(self, cause: Cause) -> None:
        """The call was stopped from outside: end it by what has been produced, and tell a client who is there."""
        if self._upstream_call is None or not self._upstream_call.sent:
            self._end_without_charge(Outcome.NOT_FORWARDED, 499)
        elif cause is Cause.CLIENT_LEFT:
            self._end_by_events(Outcome.CLIENT_DISCONNECTED, 499)
        elif self._upstream_answers:
            self._end_by_events(Outcome.INTERRUPTED, 200)
        elif cause is Cause.TIMED_OUT:
            self._end_without_charge(Outcome.UPSTREAM_ERROR, 504)
        else:
            self._end_without_charge(Outcome.INTERRUPTED, 503)
        if self._answer.started:
            await self._tell_interrupted()
        elif cause is not Cause.CLIENT_LEFT:
            raise OutageError(Outage.UPSTREAM_TIMEOUT if cause is Cause.TIMED_OUT else Outage.INTERRUPTED)

    @property
    def _upstream_answers(self) -> bool:
        """Whether anything of an answer has arrived; our own comments don't count."""
        return self._call.first_token_ms is not None

    def end_by_what_came(self) -> None:
        """Whatever went wrong in between: a forwarded call ends by what has been produced, unless it has ended."""
        if self._call.outcome is None:
            self._end_by_events(Outcome.INTERRUPTED, 500)

    def _heartbeat(self) -> Heartbeat:
        headers = [(b"content-type", EVENT_STREAM), (b"cache-control", b"no-cache")]
        return Heartbeat(
            self._answer,
            self._silence_seconds,
            response_headers(headers, self._call.id, self._available),
            lambda: self._events.at_boundary,
        )

    async def _relay(self, upstream: UpstreamAnswer, heartbeat: Heartbeat | None) -> None:
        headers = response_headers(upstream.headers, self._call.id, self._available)
        served = 200 <= upstream.status < 300
        if served and value_of(upstream.headers, b"content-encoding").lower() not in (b"", b"identity"):
            raise UpstreamError("the answer is compressed, which was not asked for and can't be metered")
        if served and value_of(upstream.headers, b"content-type").lower().startswith(EVENT_STREAM):
            await self._relay_stream(upstream, headers, heartbeat)
            return
        body = await upstream.read_all(MAX_ANSWER_BYTES)
        self._call.note_first_token()
        if served:
            self._end_by_body(upstream.status, body)
        else:
            self._call.end_without_charge(Outcome.UPSTREAM_ERROR, upstream.status)
        self._on_end()
        if self._answer.started:
            await self._answer.finish(_as_event(body))
            return
        headers.append((b"content-length", str(len(body)).encode()))
        await self._answer.start(upstream.status, headers)
        await self._answer.finish(body)

    async def _relay_stream(self, upstream: UpstreamAnswer, headers: Headers, heartbeat: Heartbeat | None) -> None:
        events, answer = self._events, self._answer
        with metrics.OPEN_STREAMS.track_inprogress():
            if not answer.started:
                await answer.start(upstream.status, headers)

            def pass_on(data: bytes) -> bool:
                if not answer.writable:
                    return False
                if complete := self._hear(data, heartbeat):
                    answer.write_now(complete)
                return True

            upstream.hand_to(pass_on)
            while data := await upstream.read():
                if complete := self._hear(data, heartbeat):
                    await answer.write(complete)
            rest = events.end()
            if events.failed and events.usage is None:
                self._end_failed_stream()
            else:
                self._end_by_events(Outcome.COMPLETED, upstream.status)
            await answer.finish(rest)

    def _hear(self, data: bytes, heartbeat: Heartbeat | None) -> bytes:
        """Take in what the upstream says; returns what of it can be handed on."""
        if heartbeat is not None:
            heartbeat.heard()
        self._call.note_first_token()
        return self._events.feed(data)

    async def _broke_off(self, error: UpstreamError) -> None:
        log.warning("upstream_failed", request_id=self._call.id, error=str(error))
        if self._upstream_answers:
            self._end_by_events(Outcome.INTERRUPTED, 200)
        else:
            self._end_without_charge(Outcome.UPSTREAM_ERROR, 502)
        if not self._answer.started:
            raise OutageError(Outage.UPSTREAM_UNREACHABLE) from error
        await self._tell_interrupted()

    async def _tell_interrupted(self) -> None:
        gap = b"" if self._events.at_boundary else b"\n\n"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await self._answer.finish(gap + self._interrupted_event if self._stream else b"")

    # --- how the call ends --------------------------------------------------------------------------------------

    def _end_without_charge(self, outcome: Outcome, status: int) -> None:
        self._call.end_without_charge(outcome, status)
        self._on_end()

    def _end_by_events(self, outcome: Outcome, status: int) -> None:
        if self._events.usage is not None:
            self._call.end_metered(outcome, status, self._events.usage)
        else:
            self._call.end_estimated(outcome, status, self._events.output_tokens())
        self._on_end()

    def _end_failed_stream(self) -> None:
        """The upstream told of an error inside the stream: what came before it is charged, if anything did."""
        produced = self._events.output_tokens()
        if produced:
            self._call.end_estimated(Outcome.INTERRUPTED, 200, produced)
        else:
            self._call.end_without_charge(Outcome.UPSTREAM_ERROR, 200)
        self._on_end()

    def _end_by_body(self, status: int, body: bytes) -> None:
        try:
            content: Any = _decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            content = None
        fields = content if isinstance(content, dict) else {}
        usage = read_usage(fields.get("usage"))
        if usage is not None:
            self._call.end_metered(Outcome.COMPLETED, status, usage)
        elif fields.get("error") and not fields.get("choices"):
            self._call.end_without_charge(Outcome.UPSTREAM_ERROR, status)
        else:
            texts = [body.decode("utf-8", "replace")] if content is None else output_texts(content)
            self._call.end_estimated(Outcome.COMPLETED, status, sum(self._count_tokens(text) for text in texts))


def _as_event(body: bytes) -> bytes:
    """A whole answer inside a stream that has begun: an error or completion as one event."""
    try:
        content = _encode(_decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        content = _NOT_JSON
    return b"data: " + content + b"\n\n" + _DONE
