"""Hands the upstream's answer to the client, and tells its `Ending` what has come."""

from collections.abc import Callable
from functools import cache
from typing import Final

import structlog
from prometheus_client import Counter

from gateway import metrics
from gateway.application.answer import Client
from gateway.application.call import Call
from gateway.application.ending import LOGGED_BYTES, Ending
from gateway.application.errors import OutageError
from gateway.application.heartbeat import Heartbeat
from gateway.application.interruption import Cause
from gateway.domain.answer_form import is_event_stream, what_came
from gateway.domain.completion_chunk import completion_events, event_of
from gateway.domain.headers import CACHE_KEY, EVENT_STREAM, Headers, response_headers, value_of
from gateway.domain.lenient_json import decoded_or_none
from gateway.domain.outages import Outage
from gateway.upstream.client import UpstreamAnswer, UpstreamCall, UpstreamUnreachableError
from gateway.upstream.connection import UpstreamError

log = structlog.get_logger()

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_FIRST_BYTES: Final = 256
"""Enough to tell an event stream from everything else."""
UNPROCESSED: Final = frozenset({400, 422})
_LEARNED_BYTES: Final = 4_096


class RefusedAsWrittenError(Exception):
    """The upstream refused, unprocessed, something that we wrote: the call can be sent once more without it."""


class Relay:
    """One forwarded call, ended by `ending` before the client has read it all."""

    def __init__(
        self,
        call: Call,
        client: Client,
        ending: Ending,
        *,
        available: int | None,
        silence_seconds: float,
    ) -> None:
        self._call = call
        self._client = client
        self._answer = client.answer
        self._ending = ending
        self._stream = call.stream
        self._available = available
        self._silence_seconds = silence_seconds
        self._upstream_call: UpstreamCall | None = None
        self._learn: Callable[[bytes], bool] | None = None

    async def run(self, upstream_call: UpstreamCall, learn: Callable[[bytes], bool] | None = None) -> None:
        """Send the call and relay its answer.

        `learn` is told the text of a refusal (400, 422); where it returns True, the call is to be sent once more.

        Raises:
            RefusedAsWrittenError: `learn` returned True; the client has been sent nothing of it.
            OutageError: the upstream gave no answer, and the client has been sent nothing.
        """
        self._call.forwarded = True
        self._call.upstream_attempts += 1
        self._upstream_call = upstream_call
        self._ending.refused_status = None
        self._learn = learn
        heartbeat = self._heartbeat() if self._stream else None
        try:
            async with upstream_call as upstream:
                _answers(upstream.status // 100).inc()
                await self._relay(upstream, heartbeat)
        except UpstreamError as error:
            await self._broke_off(error)
        finally:
            if heartbeat is not None:
                heartbeat.stop()

    async def interrupted(self, cause: Cause) -> None:
        """The call was stopped from outside: end it by what has been produced, and tell a client who is there."""
        sent = self._upstream_call is not None and self._upstream_call.sent
        outage = self._ending.interrupted(cause, sent=sent)
        if self._answer.started or cause is not Cause.CLIENT_LEFT:
            await self._tell(outage)

    def _heartbeat(self) -> Heartbeat:
        headers = [(b"content-type", EVENT_STREAM), (b"cache-control", b"no-cache")]
        return Heartbeat(
            self._answer,
            self._silence_seconds,
            response_headers(headers, self._call.id, self._available),
            lambda: self._ending.events.at_boundary,
        )

    async def _relay(self, upstream: UpstreamAnswer, heartbeat: Heartbeat | None) -> None:
        served = 200 <= upstream.status < 300
        self._call.cached = value_of(upstream.headers, CACHE_KEY) != b""
        try:
            upstream.decode()
        except UpstreamError:
            if served:
                raise
        headers = response_headers(upstream.headers, self._call.id, self._available)
        if 300 <= upstream.status < 400:
            await self._useless(upstream.status, f"redirect, status {upstream.status}")
        elif not served:
            await self._relay_error(upstream, headers)
        elif await self._is_event_stream(upstream):
            await self._relay_stream(upstream, headers, heartbeat)
        else:
            await self._relay_whole(upstream, headers)

    async def _is_event_stream(self, upstream: UpstreamAnswer) -> bool:
        """Read until the answer's first bytes tell what it is; all that came stays in `whole`."""
        start = b""
        size = 0
        while data := await upstream.read():
            self._ending.whole.append(data)
            size += len(data)
            if size > MAX_ANSWER_BYTES:
                raise UpstreamError("the answer is too large")
            start = (start + data).lstrip()[:_FIRST_BYTES]
            told = is_event_stream(start)
            if told is not None:
                return told
        return False

    async def _relay_error(self, upstream: UpstreamAnswer, headers: Headers) -> None:
        status = upstream.status
        learn = self._learn if status in UNPROCESSED else None
        if learn is None:
            self._call.note_first_token()
            self._ending.free(status)
        else:
            self._ending.refused_status = status
        body = await upstream.read_all(MAX_ANSWER_BYTES)
        if learn is not None and learn(body[:_LEARNED_BYTES]):
            raise RefusedAsWrittenError
        self._call.note_first_token()
        self._ending.free(status)
        said = body[:LOGGED_BYTES].decode("utf-8", "replace")
        log.warning("upstream_error", request_id=self._call.id, model=self._call.model, status=status, body=said)
        if status >= 500 and self._stream and self._client.upstream_errors_in_chat:
            await self._tell(Outage.UPSTREAM_FAILED, str(status))
        elif self._answer.started:
            await self._answer.finish(event_of(body))
        else:
            await self._answer.respond(status, headers, body)

    async def _relay_whole(self, upstream: UpstreamAnswer, headers: Headers) -> None:
        body = await upstream.read_rest(self._ending.whole, MAX_ANSWER_BYTES)
        self._call.note_first_token()
        content = decoded_or_none(body)
        if not isinstance(content, dict):
            await self._useless(upstream.status, f"{what_came(body)}, status {upstream.status}")
            return
        self._ending.by_content(upstream.status, content, body)
        # An error that stands in an event stream without being an event would be read by nobody.
        names_events = value_of(upstream.headers, b"content-type").lower().startswith(EVENT_STREAM)
        if self._stream and names_events and not self._answer.started:
            await self._answer.start(upstream.status, headers)
        if self._answer.started:
            await self._answer.finish(completion_events(content, with_usage=self._call.wants_usage_chunk))
            return
        await self._answer.respond(upstream.status, headers, body)

    async def _relay_stream(self, upstream: UpstreamAnswer, headers: Headers, heartbeat: Heartbeat | None) -> None:
        events, answer = self._ending.events, self._answer
        with metrics.OPEN_STREAMS.track_inprogress():
            if not answer.started:
                if not value_of(headers, b"content-type").lower().startswith(EVENT_STREAM):
                    headers = [(name, value) for name, value in headers if name != b"content-type"]
                    headers.append((b"content-type", EVENT_STREAM))
                await answer.start(upstream.status, headers)

            def pass_on(data: bytes) -> bool:
                if not answer.writable:
                    return False
                if complete := self._hear(data, heartbeat):
                    answer.write_now(complete)
                return True

            data, self._ending.whole = b"".join(self._ending.whole), []
            upstream.hand_to(pass_on)
            while data:
                if complete := self._hear(data, heartbeat):
                    await answer.write(complete)
                data = await upstream.read()
            rest = events.end()
            if not self._ending.by_events(upstream.status) and not events.failed:
                rest += events.gap + self._useless_event("empty event stream")
            await answer.finish(rest)

    def _hear(self, data: bytes, heartbeat: Heartbeat | None) -> bytes:
        """Take in what the upstream says; returns what of it can be handed on."""
        if heartbeat is not None:
            heartbeat.heard()
        self._call.note_first_token()
        return self._ending.events.feed(data)

    # --- how failures are told ----------------------------------------------------------------------------------

    async def _broke_off(self, error: UpstreamError) -> None:
        metrics.UPSTREAM_FAILURES.labels(
            "unreachable" if isinstance(error, UpstreamUnreachableError) else "broke_off"
        ).inc()
        log.warning("upstream_failed", request_id=self._call.id, model=self._call.model, error=str(error))
        await self._tell(self._ending.broke_off())

    async def _useless(self, status: int, what: str) -> None:
        """The upstream answered, but with nothing that a client could use: that is free."""
        self._ending.free(status)
        log.warning("upstream_answer_useless", request_id=self._call.id, model=self._call.model, what=what)
        await self._tell(Outage.UPSTREAM_USELESS, what)

    def _useless_event(self, what: str) -> bytes:
        log.warning("upstream_answer_useless", request_id=self._call.id, model=self._call.model, what=what)
        return self._client.tell_in_stream(self._call, Outage.UPSTREAM_USELESS, what)

    async def _tell(self, outage: Outage, detail: str = "") -> None:
        """In the stream that has begun, else by the answer that the edge makes of the error."""
        if not self._answer.started:
            raise OutageError(outage, detail)
        last_word = self._client.tell_in_stream(self._call, outage, detail)
        await self._answer.last_word(self._ending.events.gap + last_word if self._stream else b"")


@cache
def _answers(hundreds: int) -> Counter:
    return metrics.UPSTREAM_ANSWERS.labels(f"{hundreds}xx")
