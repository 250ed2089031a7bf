"""Billing's side of the stream: says things of accounts, as often as a test wants."""

from dataclasses import dataclass

from chassis.ids import new_uuid7
from contracts import subjects
from contracts.codec import encode
from nats.aio.client import Client
from nats.errors import Error as NatsError

from tests.support.billing_messages import Said
from tests.support.eventually import eventually


@dataclass
class BillingDesk:
    client: Client
    heard_by: str = subjects.LEDGER_BILLING_CONSUMER
    """The durable consumer that is waited for."""

    async def say(self, account_id: str, *said: Said) -> None:
        """Publish each under a message id of its own, until the stream has it."""
        for each in said:
            await self.publish(each.subject(account_id), encode(each.by(account_id)))

    async def publish(self, subject: str, payload: bytes) -> None:
        message_id = new_uuid7()

        async def taken() -> bool:
            try:
                await self.client.jetstream(timeout=2).publish(
                    subject, payload, headers={"Nats-Msg-Id": message_id}, stream=subjects.BILLING_STREAM
                )
            except NatsError:
                return False
            return True

        await eventually(taken, 20, message="billing's stream takes what is said")

    async def all_heard(self) -> None:
        """Wait until nothing that was said waits to be heard."""

        async def heard() -> bool:
            try:
                info = await self.client.jetstream(timeout=2).consumer_info(subjects.BILLING_STREAM, self.heard_by)
            except NatsError:
                return False
            return bool(info.num_pending == 0 and info.num_ack_pending == 0)

        await eventually(heard, 90, message="all is heard")
