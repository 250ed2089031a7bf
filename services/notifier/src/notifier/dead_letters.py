"""Announces dead letters to operators; the table holds them, the announcement only calls."""

from datetime import UTC, datetime
from typing import Final

import nats.errors
import structlog
from contracts.codec import encode
from contracts.deadletters import DeadLetter
from contracts.envelope import MESSAGE_ID_HEADER
from contracts.subjects import dead_letter
from nats.aio.client import Client

from notifier.store.dead_letters import GivenUp, letter_id
from notifier.store.tables import SERVICE

PUBLISH_SECONDS: Final = 5.0

log = structlog.get_logger()


class Announcer:
    """Publishes announcements; a failure is logged and goes no further, since the row is what counts."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def publish(self, number: int, letter: GivenUp) -> None:
        """Tell about the dead letter, without its payload."""
        log.error("message_given_up", dead_letter=letter_id(number), consumer=letter.consumer, reason=letter.reason)
        announcement = DeadLetter(
            id=letter_id(number),
            service=SERVICE,
            consumer=letter.consumer,
            subject=letter.subject,
            reason=letter.reason,
            failed_at=datetime.now(UTC),
        )
        try:
            if not self._client.is_connected:
                raise nats.errors.ConnectionReconnectingError
            await self._client.jetstream(timeout=PUBLISH_SECONDS).publish(
                dead_letter(SERVICE, letter.consumer),
                encode(announcement),
                headers={MESSAGE_ID_HEADER: letter_id(number)},
            )
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.warning("dead_letter_not_announced", dead_letter=letter_id(number), error=type(error).__name__)
