"""`POST /v1/chat/completions`: turns a request into a call and its outcome into an answer."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from chassis.caller_keys import CallerKeyring, UnknownKeyError
from contracts.purchase_links import CHAT_LINK_LIFETIME, PurchaseLinks
from contracts.usage import UsageSource
from language.choice import Language
from language.presentation import Presentation

from gateway import metrics
from gateway.application.answer import Client
from gateway.application.call import Call
from gateway.application.chat import ChatService
from gateway.application.errors import OutageError, RefusedError
from gateway.application.interruption import Cause, Interruption
from gateway.application.pass_through import pass_through
from gateway.domain.body_memory import most_memory_of
from gateway.domain.errors import BodyTooLargeError, InvalidRequestError, MissingUserError
from gateway.domain.headers import REQUEST_ID
from gateway.domain.notice_marks import marked
from gateway.domain.notices import refusal_notice
from gateway.domain.outages import OF_UPSTREAM, Outage, outage_notice
from gateway.http.byte_budget import ByteBudget, Lease, NoRoomError
from gateway.http.errors import TOLD_IN_CHAT, ErrorAnswer, outage_error, outage_event, refusal_error, request_error
from gateway.http.exchange import ClientLeftError, Exchange
from gateway.http.notice_answer import notice_stream, send_notice
from gateway.http.request_body import announced_bytes, receive_body
from gateway.http.request_notes import INTERNAL_ERROR, RequestNotes
from gateway.messaging.request_log import RequestLog
from gateway.settings import GatewaySettings
from gateway.upstream.client import UpstreamClient
from gateway.upstream.connection import UpstreamError

log = structlog.get_logger()


class ChatRoute:
    """`chat` is None where enforcement is off; observing, a call that names nobody is forwarded instead of refused."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        keys: CallerKeyring,
        chat: ChatService | None,
        upstream: UpstreamClient,
        max_open_calls: int,
        requests: RequestLog | None,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._chat = chat
        self._notes = RequestNotes(settings, requests, chat.name) if requests is not None and chat is not None else None
        self._upstream = upstream
        self._observing = settings.observes
        self._presentation = settings.presentation
        self._links = PurchaseLinks(
            page=settings.presentation.purchase_url, keys=settings.link_key_bytes, lifetime=CHAT_LINK_LIFETIME
        )
        self._notice_key = settings.key_for("notices")
        self._budget = ByteBudget(settings.request_memory_bytes, most_memory_of(settings.max_body_bytes))
        self._max_open_calls = max_open_calls
        self._open: set[Interruption] = set()
        metrics.OPEN_CALLS.set_function(lambda: self.open_calls)

    def interrupt_all(self) -> None:
        """Stop every open call; each records what it used."""
        for interruption in list(self._open):
            interruption.stop(Cause.SHUTTING_DOWN)

    @property
    def open_calls(self) -> int:
        return len(self._open)

    async def __call__(self, exchange: Exchange) -> None:
        call = Call()
        if self._notes is None:
            await self._tell(call, exchange)
            return
        self._notes.begin(exchange)
        try:
            await self._tell(call, exchange)
        except Exception:
            call.code = INTERNAL_ERROR
            raise
        finally:
            self._notes.note(call, exchange)

    async def _tell(self, call: Call, exchange: Exchange) -> None:
        """Serve the call, or say why it is not served."""
        try:
            await self._serve(call, exchange)
        except (InvalidRequestError, MissingUserError, UnknownKeyError, BodyTooLargeError) as error:
            await self._answer(exchange, call, request_error(error))
        except OutageError as error:
            if exchange.client_left:
                metrics.LEFT.inc()
                return
            call.code = error.outage.value
            if exchange.started:
                await self._break_off(exchange)
                return
            await self._tell_outage(exchange, call, error)
        except RefusedError as error:
            await self._refuse(exchange, call, error)
        except ClientLeftError:
            pass

    async def _serve(self, call: Call, exchange: Exchange) -> None:
        exchange.check_headers()
        call.key_id = self._keys.authenticate(exchange.headers)
        if len(self._open) >= self._max_open_calls:
            raise OutageError(Outage.OVERLOADED)
        task = asyncio.current_task()
        assert task is not None, "an ASGI call runs in a task"
        interruption = Interruption(task)
        interruption.bound(self._settings.request_seconds)
        self._open.add(interruption)
        lease = self._budget.lease(announced_bytes(exchange.headers))
        try:
            # Nobody but whoever reads it holds the body: it must be gone while the answer comes.
            received = [await receive_body(exchange, self._settings, lease)]
            exchange.stop_when_client_leaves(interruption)
            if exchange.kept is not None:
                exchange.kept.set_request(received[0])
            await self._meter(call, exchange, received, interruption=interruption, lease=lease)
        except NoRoomError:
            raise OutageError(Outage.OVERLOADED) from None
        except asyncio.CancelledError:
            interruption.accept()
            raise OutageError(Outage.INTERRUPTED) from None
        finally:
            interruption.finish()
            self._open.discard(interruption)
            exchange.stay()
            lease.release()

    async def _meter(
        self,
        call: Call,
        exchange: Exchange,
        received: list[bytes],
        *,
        interruption: Interruption,
        lease: Lease,
    ) -> None:
        if self._chat is None:
            await self._pass(call, exchange, received.pop(), "enforcement_off", lease)
            return
        try:
            prepared = await self._chat.prepare(call, exchange.headers, received[0])
        except (InvalidRequestError, MissingUserError) as error:
            if not self._observing:
                raise
            # Whoever it is for is the one thing that metering can't do without.
            code = request_error(error).code
            metrics.HOLDS.labels("would_refuse", code).inc()
            log.info("would_refuse", request_id=call.id, code=code)
            call.would_refuse = code
            await self._pass(call, exchange, received.pop(), code, lease)
            return
        lease.shrink_by(len(received.pop()))
        client = Client(
            headers=exchange.headers,
            key_id=call.key_id,
            answer=exchange,
            interruption=interruption,
            tell_in_stream=lambda call, outage, detail: self._in_stream(exchange, call, outage, detail),
            upstream_errors_in_chat=self._settings.upstream_errors_in_chat and _wants_notices(exchange),
            on_kept=lease.shrink_to,
            on_sent=lease.release,
        )
        await self._chat.serve(call, prepared, client)

    async def _pass(self, call: Call, exchange: Exchange, body: bytes, reason: str, lease: Lease) -> None:
        lease.shrink_to(len(body))
        call.passed = True
        metrics.UNMETERED.labels(reason).inc()
        try:
            await pass_through(self._upstream, call.id, exchange.headers, body, exchange, on_sent=lease.release)
        except UpstreamError as error:
            log.warning("upstream_failed", request_id=call.id, error=str(error))
            raise OutageError(Outage.UPSTREAM_UNREACHABLE) from error

    async def _break_off(self, exchange: Exchange) -> None:
        """End an answer that was passed through and has begun, as a metered one ends."""
        event = b"\n\n" + outage_event(Outage.INTERRUPTED, self._language(exchange))
        await exchange.last_word(event if exchange.streams_events else b"")

    def _told_in_chat(self, exchange: Exchange, call: Call, outage: Outage) -> bool:
        """A request that does not stream may be a title: the notice would become the conversation's name."""
        if not (call.stream and _wants_notices(exchange)):
            return False
        return self._settings.upstream_errors_in_chat or outage not in OF_UPSTREAM

    def _outage_notice(self, exchange: Exchange, outage: Outage, detail: str) -> str:
        return marked(outage_notice(outage, self._language(exchange), detail), self._notice_key)

    def _in_stream(self, exchange: Exchange, call: Call, outage: Outage, detail: str) -> bytes:
        """What a stream that has begun ends with: after text of the model's an error, never a message."""
        if not exchange.client_left:
            call.code = outage.value
        if call.usage_source is UsageSource.NONE and self._told_in_chat(exchange, call, outage):
            return notice_stream(call, self._outage_notice(exchange, outage, detail))
        return outage_event(outage, self._language(exchange), detail)

    async def _tell_outage(self, exchange: Exchange, call: Call, error: OutageError) -> None:
        if not self._told_in_chat(exchange, call, error.outage):
            await self._answer(exchange, call, outage_error(error.outage, self._language(exchange), error.detail))
            return
        metrics.REFUSED.labels(error.outage.value).inc()
        log.info("call_refused", request_id=call.id, account_id=call.account_id, code=error.outage.value)
        await send_notice(exchange, call, self._outage_notice(exchange, error.outage, error.detail))

    async def _refuse(self, exchange: Exchange, call: Call, error: RefusedError) -> None:
        language = self._language(exchange, error.refused.locale)
        presentation = self._presented_to(error.account_id)
        in_chat = call.stream and _wants_notices(exchange)
        if not in_chat or error.refused.code not in TOLD_IN_CHAT:
            await self._answer(exchange, call, refusal_error(error.refused, language, presentation))
            return
        metrics.REFUSED.labels(error.refused.code.value).inc()
        call.code = error.refused.code.value
        text = refusal_notice(error.refused, language, presentation)
        await send_notice(exchange, call, marked(text, self._notice_key))

    async def _answer(self, exchange: Exchange, call: Call, answer: ErrorAnswer) -> None:
        metrics.REFUSED.labels(answer.code).inc()
        call.code = answer.code
        log.info("call_refused", request_id=call.id, account_id=call.account_id, code=answer.code)
        await exchange.respond(answer.status, [*answer.headers, (REQUEST_ID, call.id.encode())], answer.body)

    def _presented_to(self, account_id: str) -> Presentation:
        """With a link of its own for the account: the link may be shared with the conversation, and is short-lived."""
        return replace(self._presentation, purchase_url=self._links.link(account_id, datetime.now(UTC)))

    def _language(self, exchange: Exchange, person_locale: str | None = None) -> Language:
        accepted = exchange.headers.get(b"accept-language", b"").decode("latin-1")
        return self._presentation.language_of(person_locale, accepted)


def _wants_notices(exchange: Exchange) -> bool:
    wish: bytes = exchange.headers.get(b"x-solaris-notices", b"")
    return wish.strip().lower() == b"chat"
