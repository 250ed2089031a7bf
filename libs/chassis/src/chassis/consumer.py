"""A durable JetStream consumer: each message is acknowledged after its commit, delivered again, or given up."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import structlog
from faststream import AckPolicy
from faststream.nats import NatsBroker, NatsToken
from faststream.nats.annotations import NatsMessage
from faststream.security import BaseSecurity, SASLPlaintext
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.backoff import pause_after
from chassis.core_nats.client import CoreNats
from chassis.core_nats.connection import Login
from chassis.core_nats.wire import server_urls
from chassis.dead_letters import DeadLetters, GivenUp, PoisonError
from chassis.jetstream import consumer_info
from chassis.postgres import DATABASE_ERRORS, refuses_the_data, statements

AHEAD: Final = 2
"""Messages on their way or in memory at once. A process that is frozen or killed keeps so many from the others, until
their ack wait, and what those handle meanwhile overtakes them."""
REQUEST_SECONDS: Final = 5.0
"""How long the server holds one pull request open; a lost one is noticed one second later."""
CHECK_SECONDS: Final = 1.0
LOST_SECONDS: Final = 30.0
LOG_SECONDS: Final = 30.0
START_SECONDS: Final = 5.0
"""At a start others start too: what is missing so long is no news."""
FIRST_NAK_SECONDS: Final = 1.0
LONGEST_NAK_SECONDS: Final = 30.0
MAX_UNEXPECTED_DELIVERIES: Final = 10
MESSAGES: Final = Counter(
    "solaris_consumed_messages_total",
    "Messages by what came of them: handled, given_up, delivered_again.",
    ["consumer", "outcome"],
)

_UNANSWERED: Final = "requests are not answered"

log = structlog.get_logger()


class Delivery(Struct, frozen=True):
    """One message, as it was published."""

    subject: str
    payload: bytes


type Handler = Callable[[AsyncConnection, Delivery], Awaitable[None]]
"""Has a message's effect, once however often it comes; raises PoisonError to give it up.

Every statement on the connection commits itself, so the effect is one statement with the inbox's row in it, or a
transaction of the handler's own. It may retry dead letters too, which have a delivery's fields. Whatever Postgres
refuses as data is given up too; any other exception brings the message again later.
"""


class ConnectionLostError(Exception):
    """The broker's connection is gone for good; only a new process helps."""


class Consumer:
    """Hands one message after the other to `handle`; several processes may share the durable consumer.

    FastStream hears the inbox to which the server sends what is asked for here. Its own pulling asks again at once
    after whatever fails: a flood while the consumer is missing, a loop that never waits on a closed connection.
    """

    def __init__(
        self,
        client: CoreNats,
        nats_url: str,
        engine: AsyncEngine,
        letters: DeadLetters,
        handle: Handler,
        *,
        stream: str,
        durable: str,
    ) -> None:
        self._client = client
        self._engine = engine
        self._letters = letters
        self._handle = handle
        self._stream = stream
        self._durable = durable
        self._inbox = client.new_inbox()
        self._broker = _create_broker(nats_url, letters.service)
        subscriber = self._broker.subscriber(
            self._inbox, ack_policy=AckPolicy.MANUAL, decoder=_undecoded, no_reply=True, title=durable
        )
        subscriber(self._receive)
        self._statements: AsyncConnection | None = None
        self._problem: str | None = "not started"
        self._logged_at = 0.0
        self._unconnected_since: float | None = None
        self._missing = 0
        self._quiet_since = 0.0
        self._ended = ""
        self._wakeup = asyncio.Event()

    async def check(self) -> str | None:
        """A readiness check: None while messages are consumed."""
        return self._problem

    async def run(self) -> None:
        """Consume until cancelled, then let the handler that runs finish.

        Raises:
            ConnectionLostError: see there.
        """
        connection: Client | None = None
        self._logged_at = asyncio.get_running_loop().time() - LOG_SECONDS + START_SECONDS
        try:
            connection = await self._connect()
            await self._broker.start()
            while True:
                self._require_connection(connection)
                self._report(await self._find_problem(connection))
                if self._problem is None:
                    await self._pull(connection)
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            self._problem = "stopped"
            await self._close(connection)

    async def _connect(self) -> Client:
        while True:
            try:
                return await self._broker.connect()
            except NatsError as error:  # it waits for a server, but not where one refuses the login
                self._report(str(error))
            await asyncio.sleep(CHECK_SECONDS)

    def _require_connection(self, connection: Client) -> None:
        """A reconnect loop of the broker that died unseen: the server answers us, and the broker stays away."""
        if connection.is_closed:
            raise ConnectionLostError
        now = asyncio.get_running_loop().time()
        if connection.is_connected or not self._client.is_connected:
            self._unconnected_since = None
        elif self._unconnected_since is None:
            self._unconnected_since = now
        elif now - self._unconnected_since >= LOST_SECONDS:
            raise ConnectionLostError

    async def _find_problem(self, connection: Client) -> str | None:
        if not (await self._client.wait_connected(CHECK_SECONDS) and connection.is_connected):
            return "nats not connected"
        try:
            await consumer_info(self._client, self._stream, self._durable)
        except NatsError as error:
            return f"consumer {type(error).__name__}"
        return None

    def _report(self, problem: str | None) -> None:
        self._problem = problem
        now = asyncio.get_running_loop().time()
        if problem is not None and now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            log.warning("waiting_for_consumer", consumer=self._durable, reason=problem)

    async def _pull(self, connection: Client) -> None:
        """Keep a request open until the connection is lost, or the server ends it for another reason than time."""
        log.info("consuming", consumer=self._durable)
        loop = asyncio.get_running_loop()
        reconnects = connection.stats["reconnects"]
        self._missing, self._ended, self._quiet_since = 0, "", max(self._quiet_since, loop.time())
        while not self._ended and connection.is_connected and connection.stats["reconnects"] == reconnects:
            if loop.time() - self._quiet_since > REQUEST_SECONDS + 1:
                self._missing = 0  # neither messages nor the request's end came: it was lost, or may not be made
                self._report(_UNANSWERED)
            if self._missing < AHEAD:
                await self._ask(connection, AHEAD - self._missing)
                self._missing = AHEAD
                self._quiet_since = max(self._quiet_since, loop.time())
            self._wakeup.clear()
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._wakeup.wait()
            except TimeoutError:
                if self._quiet_since < float("inf"):  # nothing is handled, and nothing comes
                    await self._let_go_of_statements()
        log.warning("consuming_interrupted", consumer=self._durable, reason=self._ended or "nats disconnected")

    async def _ask(self, connection: Client, messages: int) -> None:
        request = json.dumps({"batch": messages, "expires": int(REQUEST_SECONDS * 1e9)}).encode()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}"
        await connection.publish(subject, request, reply=self._inbox)

    async def _receive(self, message: NatsMessage) -> None:
        raw = message.raw_message
        if self._problem is _UNANSWERED:
            self._report(None)
        # Every stored message asks for its acknowledgement. What its publisher wrote into it is not the server's word.
        if not raw.reply:
            self._take_status(raw.headers or {})
            return
        self._missing -= 1
        self._quiet_since = float("inf")
        try:
            outcome = await self._settle(raw)
        finally:
            self._quiet_since = asyncio.get_running_loop().time()
            self._wakeup.set()
        MESSAGES.labels(self._durable, outcome).inc()

    def _take_status(self, headers: dict[str, str]) -> None:
        if headers.get("Status") in {"404", "408"}:
            self._missing -= int(headers.get("Nats-Pending-Messages", AHEAD))
        else:
            self._ended = headers.get("Description") or f"status {headers.get('Status')}"
        self._wakeup.set()

    async def _settle(self, raw: Msg) -> str:
        try:
            if self._statements is None:
                self._statements = await statements(self._engine).start()
            await self._handle(self._statements, Delivery(raw.subject, raw.data))
        except PoisonError as error:
            return await self._give_up(raw, str(error))
        except DATABASE_ERRORS as error:
            await self._let_go_of_statements()
            if refuses_the_data(error):
                return await self._give_up(raw, f"not storable: {type(error).__name__}")
            return await self._try_later(raw, error)
        except Exception as error:  # a fault of ours: FastStream would swallow it, and JetStream deliver for ever
            log.exception("message_failed_unexpectedly", consumer=self._durable)
            await self._let_go_of_statements()
            if raw.metadata.num_delivered >= MAX_UNEXPECTED_DELIVERIES:
                return await self._give_up(raw, f"unexpected {type(error).__name__}")
            return await self._try_later(raw, error)
        await raw.respond(b"+ACK")
        return "handled"

    async def _give_up(self, raw: Msg, reason: str) -> str:
        letter = GivenUp(
            consumer=self._durable,
            # By its content: a repaired message under the same id is another one.
            message_id=f"poison:{sha256(raw.subject.encode() + b'\0' + raw.data).hexdigest()}",
            subject=raw.subject,
            payload=raw.data,
            reason=reason,
        )
        try:
            await self._letters.keep(self._engine, letter)
        except DATABASE_ERRORS as error:
            return await self._try_later(raw, error)
        await raw.respond(b"+TERM")
        return "given_up"

    async def _try_later(self, raw: Msg, error: Exception) -> str:
        deliveries = raw.metadata.num_delivered
        delay = pause_after(deliveries, FIRST_NAK_SECONDS, LONGEST_NAK_SECONDS)
        log.warning(
            "message_put_back",
            consumer=self._durable,
            error=type(error).__name__,
            deliveries=deliveries,
            seconds=delay,
        )
        await raw.respond(b'-NAK {"delay": %d}' % int(delay * 1e9))
        return "delivered_again"

    async def _let_go_of_statements(self) -> None:
        """Else its connection is kept from message to message: to fetch one for each takes as long as to use it."""
        held, self._statements = self._statements, None
        if held is not None:
            with contextlib.suppress(*DATABASE_ERRORS):  # it is of no more use
                await held.close()

    async def _close(self, connection: Client | None) -> None:
        try:
            await self._broker.stop()
        except Exception as error:  # FastStream raises groups of whatever went wrong; we are leaving anyway
            log.warning("broker_not_drained", error=type(error).__name__)
        await self._let_go_of_statements()
        if connection is not None and not connection.is_closed:
            await connection.close()  # what could not drain, as while reconnecting, would go on trying for ever


async def _undecoded(message: NatsMessage) -> bytes:
    # The handler reads the bytes itself: what FastStream fails to decode never reaches a handler, nor a dead letter.
    return message.body


def _create_broker(nats_url: str, service: str) -> NatsBroker:
    """A broker that reconnects for ever and logs through the service's own logger."""
    urls = server_urls(nats_url)
    return NatsBroker(
        [_without_login(url) for url in urls],
        security=_security(Login.of(urls[0], name=service)),
        name=service,
        inbox_prefix=f"_INBOX_{service}",
        connect_timeout=2,
        reconnect_time_wait=1,
        max_reconnect_attempts=-1,
        ping_interval=10,
        max_outstanding_pings=2,
        graceful_timeout=5.0,
        logger=logging.getLogger("chassis.faststream"),
        log_level=logging.DEBUG,
    )


def _security(login: Login) -> BaseSecurity | None:
    """As `CoreNats` logs in; nats-py would take each server's own login, and that as it is quoted in the URL."""
    if login.user is None:
        return None
    return NatsToken(login.user) if login.password is None else SASLPlaintext(login.user, login.password)


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
