"""The verb that publishes what is stored."""

import sys

from chassis.operate.errors import BadInputError
from chassis.operate.output import write_line

from ledger.messaging.republish import republish as republish_events
from ledger.operate.database import open_ledger
from ledger.operate.options import First, Last, check_range
from ledger.operate.settings import load_settings
from ledger.store.log import MAX_POSITION


async def republish(first: First = 1, last: Last = MAX_POSITION) -> None:
    """Publishes stored events again, after making streams and consumers that are missing."""
    check_range(first, last)
    settings = load_settings()
    if not settings.nats_url:
        raise BadInputError("SOLARIS_NATS_URL is not set")
    async with open_ledger() as connection:
        done = await republish_events(connection, settings.nats_url, first, last, replicas=settings.jetstream_replicas)
    write_line(done)
    if done.left_out_before is not None:
        sys.stderr.write(f"left out what the stream has no room for: events before position {done.left_out_before}\n")
