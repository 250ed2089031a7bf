"""What becomes of one message: its effect is committed and it is acknowledged, or it comes again, or is given up."""

import contextlib
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

import structlog
from msgspec import Struct
from nats.aio.msg import Msg
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.backoff import pause_after
from chassis.dead_letters import DeadLetters, GivenUp, PoisonError
from chassis.postgres import DATABASE_ERRORS, refuses_the_data, statements

FIRST_NAK_SECONDS: Final = 1.0
LONGEST_NAK_SECONDS: Final = 30.0
MAX_UNEXPECTED_DELIVERIES: Final = 10
MESSAGES: Final = Counter(
    "solaris_consumed_messages_total",
    "Messages by what came of them: handled, given_up, delivered_again.",
    ["consumer", "outcome"],
)

log = structlog.get_logger()


class NotYetError(Exception):
    """What a message needs is not there, or not yet: it comes again, as long as that takes. The text says what."""


class Delivery(Struct, frozen=True):
    """One message, as it was published."""

    subject: str
    payload: bytes


type Handler = Callable[[AsyncConnection, Delivery], Awaitable[None]]
"""Has a message's effect, once however often it comes; raises PoisonError to give it up, NotYetError to put it back.

Every statement on the connection commits itself, so the effect is one statement with the inbox's row in it, or a
transaction of the handler's own. It may retry dead letters too, which have a delivery's fields. Whatever Postgres
refuses as data is given up too; any other exception brings the message again later.
"""


class Deliveries:
    """Hands one message after the other to `handle`, and tells the server what came of it."""

    def __init__(self, engine: AsyncEngine, letters: DeadLetters, handle: Handler, *, durable: str) -> None:
        self._engine = engine
        self._letters = letters
        self._handle = handle
        self._durable = durable
        self._statements: AsyncConnection | None = None

    async def settle(self, raw: Msg) -> None:
        """Raises NatsError where the connection is closed: then the message comes again after its ack wait."""
        MESSAGES.labels(self._durable, await self._settle(raw)).inc()

    async def rest(self) -> None:
        """Give back the database's connection, else kept: to fetch one for each message takes as long as to use it."""
        held, self._statements = self._statements, None
        if held is not None:
            with contextlib.suppress(*DATABASE_ERRORS):  # it is of no more use
                await held.close()

    async def _settle(self, raw: Msg) -> str:
        try:
            if self._statements is None:
                self._statements = await statements(self._engine).start()
            await self._handle(self._statements, Delivery(raw.subject, raw.data))
        except PoisonError as error:
            return await self._give_up(raw, str(error))
        except NotYetError as error:
            return await self._try_later(raw, error)
        except DATABASE_ERRORS as error:
            await self.rest()
            if refuses_the_data(error):
                return await self._give_up(raw, f"not storable: {type(error).__name__}")
            return await self._try_later(raw, error)
        except Exception as error:  # a fault of ours: FastStream would swallow it, and JetStream deliver for ever
            log.exception("message_failed_unexpectedly", consumer=self._durable)
            await self.rest()
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
            error=str(error) if isinstance(error, NotYetError) else type(error).__name__,
            deliveries=deliveries,
            seconds=delay,
        )
        await raw.respond(b'-NAK {"delay": %d}' % int(delay * 1e9))
        return "delivered_again"
