"""Sends a call with what must be written into it; once more where the upstream refuses, unprocessed, what we wrote."""

import structlog
from contracts.reservations import Granted
from msgspec.structs import replace

from gateway.application.answer import Client
from gateway.application.aside import Aside
from gateway.application.call import ENDPOINT, Call
from gateway.application.preparing import Prepared
from gateway.application.quirks import KnownQuirks
from gateway.application.relay import UNPROCESSED, RefusedAsWrittenError, Relay
from gateway.domain.forwarded_body import forwarded_body, to_write
from gateway.domain.headers import call_headers, request_headers
from gateway.domain.model_quirks import Quirks, Written
from gateway.domain.model_quirks import learn as learn_from
from gateway.settings import GatewaySettings
from gateway.upstream.client import UpstreamCall, UpstreamClient

log = structlog.get_logger()


class Forwarder:
    """`quirks` are what models were seen to refuse; `aside` is where large bodies are written."""

    def __init__(self, settings: GatewaySettings, aside: Aside, quirks: KnownQuirks, upstream: UpstreamClient) -> None:
        self._settings = settings
        self._aside = aside
        self._quirks = quirks
        self._upstream = upstream

    async def forward(
        self, call: Call, prepared: Prepared, granted: Granted | None, client: Client, relay: Relay
    ) -> None:
        """Send the call; once more where the upstream refused, unprocessed, what we had written into it."""
        headers = request_headers(client.headers) + call_headers(call.id, call.account_id)

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
        return replace(written, maximum=None) if self._settings.observes else written
