"""Keeps the subscription alive through the loss of stream, consumer or server."""

import asyncio
import contextlib
from typing import Final

import nats.errors
import structlog
from chassis.core_nats.client import CoreNats
from chassis.jetstream import consumer_info
from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.client import Client

from notifier.patience import PatientFetches

CHECK_SECONDS: Final = 1.0
LOST_SECONDS: Final = 30.0
CHECK_TIMEOUT_SECONDS: Final = 2.0
LOG_SECONDS: Final = 30.0

log = structlog.get_logger()


class SubscriptionLostError(Exception):
    """The broker's connection is gone for good; only a new process helps."""


class Subscription:
    """Runs the subscriber while its durable consumer exists, and only then.

    Starting before the ledger has provisioned would create the consumer; and while it is missing, readiness says so.
    """

    def __init__(self, broker: NatsBroker, subscriber: PullStreamSubscriber, client: CoreNats, *, durable: str) -> None:
        self._broker = broker
        self._subscriber = subscriber
        self._client = client
        self._durable = durable
        self._problem: str | None = "not started"
        self._logged_at = float("-inf")
        self._unconnected_since: float | None = None

    async def check(self) -> str | None:
        """A readiness check: None while messages are consumed."""
        return self._problem

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop`, then let running handlers finish and close the broker's connection.

        Raises:
            SubscriptionLostError: see there.
        """
        connection: Client | None = None
        connecting = asyncio.create_task(self._broker.connect())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if connecting.done():
                connection = await connecting
                await self._watch(stop, connection)
        finally:
            stopping.cancel()
            connecting.cancel()
            await self._close(connection)

    async def _watch(self, stop: asyncio.Event, connection: Client) -> None:
        started = False
        while not stop.is_set():
            self._require_connection(connection)
            problem = await self._find_problem()
            if problem is None and not self._subscriber.running:
                # The broker's own start also prepares what a subscriber needs; later only the subscriber starts anew.
                await (self._subscriber.start() if started else self._broker.start())
                if self._subscriber.subscription is not None:
                    # Typed as nats-py's own class, of which FastStream uses these two methods.
                    patient = PatientFetches(self._subscriber.subscription)
                    self._subscriber.subscription = patient  # type: ignore[assignment]
                started = True
                log.info("subscription_started")
            elif problem is not None and self._subscriber.running and self._client.is_connected:
                await self._subscriber.stop()
                log.warning("subscription_stopped", reason=problem)
            self._report(problem)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CHECK_SECONDS)

    def _require_connection(self, connection: Client) -> None:
        """A reconnect loop of the broker that died unseen: the server answers us, and the broker stays away."""
        if connection.is_closed:
            raise SubscriptionLostError
        now = asyncio.get_running_loop().time()
        if connection.is_connected or not self._client.is_connected:
            self._unconnected_since = None
        elif self._unconnected_since is None:
            self._unconnected_since = now
        elif now - self._unconnected_since >= LOST_SECONDS:
            raise SubscriptionLostError

    async def _find_problem(self) -> str | None:
        if not self._client.is_connected:
            return "nats not connected"
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await consumer_info(self._client, self._subscriber.stream.name, self._durable)
        except (nats.errors.Error, TimeoutError) as error:
            return f"consumer {type(error).__name__}"
        return None

    def _report(self, problem: str | None) -> None:
        self._problem = problem
        now = asyncio.get_running_loop().time()
        if problem is not None and now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            log.warning("waiting_for_consumer", reason=problem)

    async def _close(self, connection: Client | None) -> None:
        self._problem = "stopped"
        try:
            await self._broker.stop()
        except Exception as error:  # FastStream raises groups of whatever went wrong; we are leaving anyway
            log.warning("broker_not_drained", error=type(error).__name__)
        if connection is not None and not connection.is_closed:
            await connection.close()  # what could not drain, as while reconnecting, would go on trying for ever
