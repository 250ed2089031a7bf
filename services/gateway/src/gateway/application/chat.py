"""The life of one chat call: prepare, hold, forward, relay, record."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from contracts.errors import RefusalCode
from contracts.reservations import Granted, Refused, ReserveRequest

from gateway import metrics
from gateway.application.answer import Client
from gateway.application.aside import Aside
from gateway.application.call import ENDPOINT, Call
from gateway.application.ending import Ending
from gateway.application.errors import OutageError, RefusedError
from gateway.application.forwarding import Forwarder
from gateway.application.preparing import Prepared, Preparer
from gateway.application.quirks import KnownQuirks
from gateway.application.relay import Relay
from gateway.domain.estimate import with_margin
from gateway.domain.outages import Outage
from gateway.journal.journal import Journal
from gateway.messaging.reservations import Reserver, Unavailable
from gateway.settings import GatewaySettings
from gateway.tokenizers.encodings import token_counter
from gateway.upstream.client import UpstreamClient

log = structlog.get_logger()

HOLD_SECONDS: Final = 900
"""The life of a hold of a ledger that does not tell it."""
HOLD_SHARE: Final = 0.9
_GRANTED: Final = metrics.HOLDS.labels("granted", "")


class ChatService:
    """Serves chat calls; every hold that it asks for is ended by exactly one record in the journal."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        reserver: Reserver,
        upstream: UpstreamClient,
        model_output_tokens: Callable[[str], int | None],
        journal: Journal,
    ) -> None:
        self._settings = settings
        self._reserver = reserver
        self._model_output_tokens = model_output_tokens
        self._journal = journal
        self._quirks = KnownQuirks()
        aside = Aside()
        preparer = Preparer(settings, aside)
        self.prepare, self.name = preparer.prepare, preparer.name
        self._forward = Forwarder(settings, aside, self._quirks, upstream).forward

    async def serve(self, call: Call, prepared: Prepared, client: Client) -> None:
        """Hold, forward, relay and record.

        Raises:
            RefusedError, OutageError, InvalidRequestError: nothing was sent to the client yet.
        """
        call.observed = self._settings.observes
        call.stream = prepared.request.stream
        call.wants_usage_chunk = prepared.request.wants_usage_chunk
        ending = Ending(
            call,
            self._journal,
            hide_usage_chunk=not call.wants_usage_chunk,
            count_tokens=token_counter(prepared.family.encoding),
        )
        relay: Relay | None = None
        try:
            granted = await self._hold(call, prepared, client, ending)
            relay = self._relay(call, prepared, granted, client, ending)
            await self._forward(call, prepared, granted, client, relay)
        except asyncio.CancelledError:
            cause = client.interruption.accept()
            if relay is None:
                raise OutageError(Outage.INTERRUPTED) from None
            await relay.interrupted(cause)
        finally:
            ending.close()

    async def _hold(self, call: Call, prepared: Prepared, client: Client, ending: Ending) -> Granted | None:
        """The hold, or None where the settings let the call go on without one."""
        if prepared.would_refuse:
            call.reserving = call.forwarded_without_hold = True
            return None
        needs_hold = not (self._settings.observes or self._settings.forwards_without_ledger)
        if self._journal.failure is not None and needs_hold:
            raise OutageError(Outage.LEDGER_UNAVAILABLE)
        call.reserving = True
        asked_at = time.perf_counter()
        request = self._reserve_request(call, prepared, client.key_id)
        reservation = await self._reserver.reserve(request, patient=needs_hold)
        metrics.RESERVE_SECONDS.observe(time.perf_counter() - asked_at)
        match reservation.answer:
            case Granted() as granted:
                _GRANTED.inc()
                call.held_tokens, call.granted_output_tokens = granted.held_tokens, granted.output_tokens
                self._end_before_hold(granted, call, client)
                return granted
            case Refused() as refused if not self._settings.observes:
                metrics.HOLDS.labels("refused", refused.code.value).inc()
                call.refusal = refused.figures
                ending.without_hold(doubtful=reservation.doubtful)
                raise RefusedError(refused, call.account_id)
            case Refused() as refused:
                metrics.HOLDS.labels("would_refuse", refused.code.value).inc()
                log.info("would_refuse", request_id=call.id, account_id=call.account_id, code=refused.code.value)
                call.forwarded_without_hold = True
                call.would_refuse, call.refusal = refused.code, refused.figures
                return None
            case Unavailable() as unavailable if not needs_hold:
                metrics.HOLDS.labels("unavailable", unavailable.reason).inc()
                call.forwarded_without_hold = True
                call.would_refuse = RefusalCode.LEDGER_UNAVAILABLE
                return None
            case Unavailable() as unavailable:
                metrics.HOLDS.labels("unavailable", unavailable.reason).inc()
                ending.without_ledger()
                raise OutageError(Outage.LEDGER_UNAVAILABLE)

    def _end_before_hold(self, granted: Granted, call: Call, client: Client) -> None:
        """A call ends well before its hold expires: what is charged unused would have to be corrected."""
        lifetime = granted.expires_in_seconds or HOLD_SECONDS
        left = lifetime * HOLD_SHARE - call.elapsed_ms() / 1000
        if left < self._settings.request_seconds:
            client.interruption.bound(max(0.0, left))

    def _reserve_request(self, call: Call, prepared: Prepared, key_id: str) -> ReserveRequest:
        return ReserveRequest(
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

    def _relay(self, call: Call, prepared: Prepared, granted: Granted | None, client: Client, ending: Ending) -> Relay:
        if granted is not None and not self._settings.observes:
            call.most_output_tokens = granted.output_tokens * prepared.request.choices
        return Relay(
            call,
            client,
            ending,
            available=granted.available if granted is not None else None,
            silence_seconds=self._settings.silence_seconds,
        )
