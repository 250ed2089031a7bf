"""The life of one chat call: check, estimate, hold, forward, relay, record."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

import structlog
from contracts.limits import MAX_INTEGER
from contracts.reservations import Granted, Refused, ReserveTokens
from contracts.usage import Outcome, UsageSource
from msgspec import Struct
from msgspec.structs import replace
from prometheus_client import Counter

from gateway import metrics
from gateway.application.answer import Client
from gateway.application.aside import Aside
from gateway.application.call import ENDPOINT, Call
from gateway.application.ending import Ending
from gateway.application.errors import OutageError, RefusedError
from gateway.application.headers import call_headers, request_headers
from gateway.application.quirks import KnownQuirks
from gateway.application.relay import UNPROCESSED, RefusedAsWrittenError, Relay
from gateway.domain.body_structure import check_structure
from gateway.domain.chat_request import ChatRequest, parse_chat_request
from gateway.domain.errors import InvalidRequestError
from gateway.domain.estimate import prompt_of, with_margin
from gateway.domain.forwarded_body import forwarded_body, to_write
from gateway.domain.identity import Caller, identify
from gateway.domain.model_families import ModelFamily, model_family
from gateway.domain.model_quirks import Quirks, Written
from gateway.domain.model_quirks import learn as learn_from
from gateway.domain.notice_marks import NOTICE_SIGN, without_notices
from gateway.domain.observed_request import has_readable_prompt, observed_request, unread_request
from gateway.domain.outages import Outage
from gateway.messaging.reservations import Reserver, Unavailable
from gateway.tokenizers import count_tokens, token_counter
from gateway.upstream.client import UpstreamCall, UpstreamClient

log = structlog.get_logger()


HOLD_SECONDS: Final = 900
"""The life of a hold of a ledger that does not tell it."""
HOLD_SHARE: Final = 0.9
INVALID_REQUEST: Final = "invalid_request"
_GRANTED: Final = metrics.HOLDS.labels("granted", "")


class UsageJournal(Protocol):
    """Where the ends of calls are written."""

    failure: str | None

    def append(self, line: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How strict this gateway is, and the keys and waits of a call; `observe` never refuses and never clamps."""

    observe: bool
    forward_without_ledger: bool
    pseudonym_key: bytes
    notice_key: bytes
    silence_seconds: float
    call_seconds: float
    refuse_unknown_fields: bool = False


class Prepared(Struct, kw_only=True):
    """A checked request with what was found out about it; one that enforcing `would_refuse` has broken a rule."""

    request: ChatRequest
    body_bytes: int
    caller: Caller
    family: ModelFamily
    would_refuse: bool = False


class ChatService:
    """Serves chat calls; every hold that it asks for is ended by exactly one record in the journal."""

    def __init__(
        self,
        *,
        rules: Rules,
        reserver: Reserver,
        upstream: UpstreamClient,
        upstream_authorization: bytes | None,
        model_output_tokens: Callable[[str], int | None],
        journal: UsageJournal,
    ) -> None:
        self._rules = rules
        self._reserver = reserver
        self._upstream = upstream
        self._authorization = upstream_authorization
        self._model_output_tokens = model_output_tokens
        self._journal = journal
        self._quirks = KnownQuirks()
        self._aside = Aside()

    async def serve(self, call: Call, prepared: Prepared, client: Client) -> None:
        """Hold, forward, relay and record.

        Raises:
            RefusedError, OutageError, InvalidRequestError: nothing was sent to the client yet.
        """
        call.observed = self._rules.observe
        call.stream = prepared.request.stream
        call.wants_usage_chunk = prepared.request.wants_usage_chunk
        relay: Relay | None = None
        try:
            granted = await self._hold(call, prepared, client)
            relay = self._relay(call, prepared, granted, client)
            await self._forward(call, prepared, granted, client, relay)
        except asyncio.CancelledError:
            cause = client.interruption.accept()
            if relay is None:
                raise OutageError(Outage.INTERRUPTED) from None
            await relay.interrupted(cause)
        finally:
            if relay is not None and call.forwarded:
                relay.end_by_what_came()
            self._close(call)

    async def _forward(
        self, call: Call, prepared: Prepared, granted: Granted | None, client: Client, relay: Relay
    ) -> None:
        """Send the call; once more where the upstream refused, unprocessed, what we had written into it."""
        headers = request_headers(client.headers, self._authorization) + call_headers(call.id, call.account_id)

        async def request(written: Written) -> UpstreamCall:
            body = await self._aside.run(prepared.body_bytes, forwarded_body, prepared.request, written)
            return self._upstream.request(b"POST", ENDPOINT.encode(), headers, body)

        written = self._written(self._quirks.of(call.model), prepared, granted)
        first = await request(written)
        if written.anything:
            client.on_kept(2 * prepared.body_bytes)  # as it came, to write it anew, and as it is sent
        else:
            prepared.request.forget()
            client.on_kept(prepared.body_bytes)  # a connection closed while idle takes it once more

        def answered(status: int) -> None:
            if not written.anything or status not in UNPROCESSED:
                prepared.request.forget()
                client.on_sent()

        first.on_answered = answered

        lesson: Quirks | None = None

        def learn(refusal: bytes) -> bool:
            nonlocal lesson
            known = self._quirks.of(call.model)
            if self._written(known, prepared, granted) != written:
                return True  # another call has learned it since this one was sent
            lesson = learn_from(known, refusal, written)
            return lesson is not None

        try:
            await relay.run(first, learn if written.anything else None)
        except RefusedAsWrittenError:

            def answered_again(status: int) -> None:
                if lesson is not None and 200 <= status < 300:
                    log.info("model_quirk_learned", model=call.model, quirks=str(lesson))
                    self._quirks.note(call.model, lesson)
                client.on_sent()

            again = await request(self._written(lesson or self._quirks.of(call.model), prepared, granted))
            again.on_answered = answered_again
            prepared.request.forget()
            await relay.run(again)

    def _written(self, quirks: Quirks, prepared: Prepared, granted: Granted | None) -> Written:
        """What is to be written into this call, by what is known of its model."""
        granted_maximum = granted.output_tokens if granted is not None and granted.write_maximum else None
        written = to_write(prepared.request, quirks, prepared.family.maximum_name, granted_maximum)
        return replace(written, maximum=None) if self._rules.observe else written

    async def prepare(self, call: Call, headers: Mapping[bytes, bytes], body: bytes) -> Prepared:
        """Check the request, find its caller, drop our notices from its history, estimate its prompt.

        Raises:
            InvalidRequestError, MissingUserError: the request can't be served.
        """
        request, refusal = await self._read(body)
        metrics.count_unknown_fields(request.unknown_fields)
        caller = identify(headers, request.user, self._rules.pseudonym_key)
        if refusal is not None:
            metrics.HOLDS.labels("would_refuse", INVALID_REQUEST).inc()
            log.info("would_refuse", request_id=call.id, code=INVALID_REQUEST, param=refusal.param)
        family = model_family(request.model)
        call.account_id = caller.account_id
        call.model = request.model
        call.conversation_id = caller.conversation_id
        if refusal is None or has_readable_prompt(request.fields):
            if NOTICE_SIGN in body:
                await self._aside.run(len(body), self._drop_notices, request)
            prompt = await self._aside.run(len(body), prompt_of, request.fields, family)
            tokens = prompt.fixed_tokens + await count_tokens(prompt.texts, family.encoding)
            call.estimated_prompt_tokens = min(tokens, MAX_INTEGER // 2)
        return Prepared(
            request=request,
            body_bytes=len(body),
            caller=caller,
            family=family,
            would_refuse=refusal is not None,
        )

    async def _read(self, body: bytes) -> tuple[ChatRequest, InvalidRequestError | None]:
        """The request; where observing, one that breaks a rule too, with the error that it would have been.

        Raises:
            InvalidRequestError: it breaks a rule.
        """
        try:
            for _ in check_structure(body):
                await asyncio.sleep(0)
        except InvalidRequestError as refusal:
            if not self._rules.observe:
                raise
            return unread_request(body), refusal
        try:
            strict = self._rules.refuse_unknown_fields
            return await self._aside.run(len(body), parse_chat_request, body, refuse_unknown=strict), None
        except InvalidRequestError as refusal:
            if not self._rules.observe:
                raise
            return await self._aside.run(len(body), observed_request, body), refusal

    def _drop_notices(self, request: ChatRequest) -> None:
        kept = without_notices(request.messages, self._rules.notice_key)
        if kept == [] and not self._rules.observe:
            raise InvalidRequestError("messages hold nothing but notices", "messages")
        request.fields["messages"] = kept or request.messages

    async def _hold(self, call: Call, prepared: Prepared, client: Client) -> Granted | None:
        """The hold, or None where the rules let the call go on without one."""
        if prepared.would_refuse:
            call.reserving = call.forwarded_without_hold = True
            return None
        needs_hold = not (self._rules.observe or self._rules.forward_without_ledger)
        if self._journal.failure is not None and needs_hold:
            raise OutageError(Outage.LEDGER_UNAVAILABLE)
        call.reserving = True
        asked_at = time.perf_counter()
        reservation = await self._reserver.reserve(self._command(call, prepared, client.key_id), patient=needs_hold)
        metrics.RESERVE_SECONDS.observe(time.perf_counter() - asked_at)
        match reservation.answer:
            case Granted() as granted:
                _GRANTED.inc()
                self._end_before_hold(granted, call, client)
                return granted
            case Refused() as refused if not self._rules.observe:
                metrics.HOLDS.labels("refused", refused.code.value).inc()
                call.reserving = reservation.doubtful
                raise RefusedError(refused, call.account_id)
            case Refused() as refused:
                metrics.HOLDS.labels("would_refuse", refused.code.value).inc()
                log.info("would_refuse", request_id=call.id, account_id=call.account_id, code=refused.code.value)
                call.forwarded_without_hold = True
                return None
            case Unavailable() as unavailable if not needs_hold:
                metrics.HOLDS.labels("unavailable", unavailable.reason).inc()
                call.forwarded_without_hold = True
                return None
            case Unavailable() as unavailable:
                metrics.HOLDS.labels("unavailable", unavailable.reason).inc()
                call.end_without_charge(Outcome.NOT_FORWARDED, 503)
                raise OutageError(Outage.LEDGER_UNAVAILABLE)

    def _end_before_hold(self, granted: Granted, call: Call, client: Client) -> None:
        """A call ends well before its hold expires: what is charged unused would have to be corrected."""
        lifetime = granted.expires_in_seconds or HOLD_SECONDS
        left = lifetime * HOLD_SHARE - call.elapsed_ms() / 1000
        if left < self._rules.call_seconds:
            client.interruption.bound(max(0.0, left))

    def _command(self, call: Call, prepared: Prepared, key_id: str) -> ReserveTokens:
        return ReserveTokens(
            reservation_id=call.id,
            account_id=call.account_id,
            model=call.model,
            endpoint=ENDPOINT,
            prompt_tokens=with_margin(call.estimated_prompt_tokens, prepared.family),
            deadline=self._reserver.deadline(),
            maximum_output_tokens=prepared.request.maximum_output_tokens,
            model_output_tokens=self._model_maximum(call.model, prepared.request.thinking_tokens),
            thinking_tokens=prepared.request.thinking_tokens,
            choices=prepared.request.choices,
            observed=call.observed,
            key_id=key_id,
            profile=prepared.caller.profile,
        )

    def _model_maximum(self, model: str, thinking_tokens: int) -> int | None:
        maximum = self._quirks.of(model).largest_maximum or self._model_output_tokens(model)
        return None if maximum is None else maximum + thinking_tokens

    def _relay(self, call: Call, prepared: Prepared, granted: Granted | None, client: Client) -> Relay:
        if granted is not None and not self._rules.observe:
            call.most_output_tokens = granted.output_tokens * prepared.request.choices
        hide_usage_chunk = not prepared.request.wants_usage_chunk
        ending = Ending(
            call,
            hide_usage_chunk=hide_usage_chunk,
            count_tokens=token_counter(prepared.family.encoding),
            on_end=lambda: self._close(call),
        )
        return Relay(
            call,
            client,
            ending,
            stream=prepared.request.stream,
            hide_usage_chunk=hide_usage_chunk,
            available=granted.available if granted is not None else None,
            silence_seconds=self._rules.silence_seconds,
        )

    def _close(self, call: Call) -> None:
        """Write the call's record, once, if a hold for it may stand or it was forwarded."""
        if not call.reserving:
            return
        call.reserving = False
        call.end_without_charge(Outcome.NOT_FORWARDED, 499)  # unless it has ended otherwise
        self._journal.append(call.record())
        _measure(call)


@cache
def _ended(outcome: Outcome, source: UsageSource) -> Counter:
    return metrics.ENDED.labels(outcome.value, source.value)


def _measure(call: Call) -> None:
    assert call.outcome is not None
    _ended(call.outcome, call.usage_source).inc()
    metrics.CALL_SECONDS.observe(call.elapsed_ms() / 1000)
    if call.forwarded_without_hold:
        metrics.FORWARDED_WITHOUT_HOLD.inc()
    if call.usage_source is UsageSource.PROVIDER and call.estimated_prompt_tokens:
        metrics.ESTIMATE_RATIO.observe(call.usage.prompt_tokens / call.estimated_prompt_tokens)
    if call.first_token_ms is not None:
        metrics.FIRST_TOKEN_SECONDS.observe(call.first_token_ms / 1000)
