"""The verbs that publish what billing has said once more."""

from chassis.operate.database import open_connection
from chassis.operate.output import write_line

from billing.messaging.republish import republish as republish_events
from billing.operate.settings import load_settings


async def billing_republish() -> None:
    """Publishes again what billing has said, after making streams and consumers that are missing."""
    settings = load_settings()
    async with open_connection("billing") as connection:
        write_line(await republish_events(connection, settings.nats_url))


async def republish() -> None:
    """The same, beside the ledger's verb of that name."""
    await billing_republish()
