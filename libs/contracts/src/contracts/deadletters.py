"""What a consumer tells about a message that it gave up on."""

from datetime import datetime

from msgspec import Struct


class Discarded(Struct, frozen=True, kw_only=True):
    """Who put a dead letter away for good, when and why."""

    at: datetime
    by: str
    reason: str


class DeadLetter(Struct, frozen=True, kw_only=True):
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
