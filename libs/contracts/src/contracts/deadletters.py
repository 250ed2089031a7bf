"""What a consumer tells about a message that it gave up on."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """Who put a dead letter away for good, when and why."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter, as operators list it and as it is announced.

    `id` is `<service>:<number>` and names it to a retry. `payload` is the message's text; bytes that are not UTF-8
    stand as `\\xNN`. An announcement carries no payload: it stays in the service's own table.
    """

    id: str
    service: str
    consumer: str
    subject: str
    reason: str
    failed_at: datetime
    retried_at: datetime | None = None
    discarded: Discarded | None = None
    payload: str | None = None
