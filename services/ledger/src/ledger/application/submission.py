"""One command on its way through the executor."""

import asyncio
from enum import StrEnum

from msgspec import Struct

from ledger.domain.commands import Command
from ledger.domain.decision import Answer
from ledger.store.rows import AuditEntry


class Kind(StrEnum):
    """Which queue a command waits in."""

    RESERVE = "reserve"
    USAGE = "usage"
    ADMIN = "admin"
    SWEEPER = "sweeper"


class Idempotency(Struct, frozen=True, kw_only=True):
    """The sender's id of a command and a digest of its content: same id with other content is a conflict."""

    command_id: str
    content_hash: str


class Submission(Struct, kw_only=True, eq=False):
    """A command, when it must be answered, and the future that its caller awaits.

    Times are of the event loop's clock. `deadline` None waits as long as it takes. `causation_id` is the message that
    caused the command, `key_id` the service key that may open an unknown account and `may_open` that it was counted
    for that, `retries` how often the account had moved on, or was locked, when its decision was to be written.
    """

    command: Command
    kind: Kind
    answer: asyncio.Future[Answer]
    enqueued_at: float
    deadline: float | None = None
    idempotency: Idempotency | None = None
    audit: AuditEntry | None = None
    causation_id: str | None = None
    key_id: str = ""
    retries: int = 0
    may_open: bool = False

    @property
    def account_id(self) -> str:
        return self.command.account_id

    @property
    def reservation_id(self) -> str | None:
        """The reservation that the command names, if it names one."""
        named: str | None = getattr(self.command, "reservation_id", None)
        return named

    @property
    def lot_id(self) -> str | None:
        """The lot that the command names, if it names one."""
        named: str | None = getattr(self.command, "lot_id", None)
        return named

    def resolve(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
