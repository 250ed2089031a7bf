"""Announces dead letters to operators; the table holds them, the announcement only calls."""

from datetime import UTC, datetime

import nats.errors
import structlog
from chassis.jetstream import Message, PublishRejectedError, publish_in_order
from contracts.deadletters import DeadLetter
from contracts.subjects import dead_letter
from nats.aio.client import Client
from pydantic import TypeAdapter

from notifier.store import SERVICE, GivenUp, letter_id

_letter: TypeAdapter[DeadLetter] = TypeAdapter(DeadLetter)

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
        message = Message(
            subject=dead_letter(SERVICE, letter.consumer),
            payload=_letter.dump_json(announcement, exclude_none=True),
            id=letter_id(number),
        )
        try:
            if not self._client.is_connected:
                raise nats.errors.ConnectionReconnectingError
            await publish_in_order(self._client, [message])
        except (nats.errors.Error, PublishRejectedError, TimeoutError, OSError) as error:
            log.warning("dead_letter_not_announced", dead_letter=letter_id(number), error=type(error).__name__)
