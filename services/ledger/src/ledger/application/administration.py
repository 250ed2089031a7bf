"""Administers accounts through the ledger's own executor, beside running services and with NATS down."""

from hashlib import blake2b
from typing import Final

from chassis.ids import new_uuid7
from chassis.operators import operator
from contracts.balance import Balance
from msgspec import Struct, field

from ledger.application.content import content_hash
from ledger.application.executor import Executor
from ledger.application.submission import Idempotency, Kind
from ledger.domain.commands import Command
from ledger.store.rows import AuditEntry

ANSWER_SECONDS: Final = 10.0


class Order(Struct, frozen=True, kw_only=True):
    """What an operator wants of one account, once per key; `details` stand in the audit, with the reason."""

    action: str
    account_id: str
    reason: str = ""
    details: dict[str, object] = {}
    key: str | None = None
    audit_id: str = field(default_factory=new_uuid7)

    @property
    def reference(self) -> str:
        """By what the order is known to whoever gave it."""
        return self.key or self.audit_id

    @property
    def command_id(self) -> str:
        return f"operator:{self.reference}"

    @property
    def new_lot_id(self) -> str:
        """Follows from the command's id, so that a repetition can't make a second lot."""
        return f"admin:{blake2b(self.command_id.encode(), digest_size=12).hexdigest()}"


async def administer(executor: Executor, order: Order, command: Command) -> Balance:
    """Carry out the order by its command; returns the balance after it.

    Raises:
        ConflictError: the key was used with another content.
        InvalidError: the order breaks a rule.
        UnavailableError: no commit in time; the same order with the same key may be given again.
    """
    audit = AuditEntry(
        id=order.audit_id,
        actor=operator(),
        action=order.action,
        reason=order.reason,
        details={"command_id": order.command_id, **order.details},
    )
    answer = await executor.submit(
        command,
        Kind.ADMIN,
        deadline_seconds=ANSWER_SECONDS,
        idempotency=Idempotency(command_id=order.command_id, content_hash=_content_hash(order)),
        audit=audit,
    )
    assert isinstance(answer, Balance), "administration answers with the balance"
    return answer


def _content_hash(order: Order) -> str:
    """Of all but the key; a repetition has the same, also one of a key that another version was given."""
    details = order.details
    content = (order.action, order.account_id, details.get("tokens"), details.get("plan"), order.reason)
    return content_hash((*content, details["lot_id"]) if "lot_id" in details else content)
