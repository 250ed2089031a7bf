"""Administers accounts through the ledger's own executor, beside running services and with NATS down."""

from hashlib import blake2b
from typing import Final

from chassis.ids import new_uuid7
from chassis.operators import operator
from contracts.balance import Balance
from contracts.events.actors import Actor
from msgspec import Struct

from ledger.application.content import content_hash
from ledger.application.executor import Executor
from ledger.application.submission import Idempotency, Kind
from ledger.domain.commands import (
    ChangeLimit,
    ChangePlan,
    ChangeStatus,
    Command,
    CorrectCycle,
    GrantCredits,
    RevokeCredits,
)
from ledger.store.rows import AuditEntry

ANSWER_SECONDS: Final = 10.0
STATUS_OF: Final = {"suspend": "suspended", "activate": "active", "block": "blocked"}


class Order(Struct, frozen=True, kw_only=True):
    """What an operator wants of one account; its content is all but the key."""

    action: str
    account_id: str
    reason: str = ""
    tokens: int | None = None
    plan: str | None = None
    lot_id: str | None = None
    key: str | None = None


async def administer(executor: Executor, order: Order) -> Balance:
    """Carry out one order, once per key; returns the balance after it.

    Raises:
        ConflictError: the key was used with another content.
        InvalidError: the order breaks a rule.
        UnavailableError: no commit in time; the same order with the same key may be given again.
    """
    audit_id = new_uuid7()
    command_id = f"operator:{order.key or audit_id}"
    audit = AuditEntry(
        id=audit_id, actor=operator(), action=order.action, reason=order.reason, details=_details(order, command_id)
    )
    answer = await executor.submit(
        command_of(order, command_id, audit_id),
        Kind.ADMIN,
        deadline_seconds=ANSWER_SECONDS,
        idempotency=Idempotency(command_id=command_id, content_hash=_content_hash(order)),
        audit=audit,
    )
    assert isinstance(answer, Balance), "administration answers with the balance"
    return answer


def command_of(order: Order, command_id: str, reason_id: str) -> Command:
    """The command of an order. A lot's id follows from the command's, so a repetition can't make a second lot."""
    account_id = order.account_id
    match order.action:
        case "credit":
            return GrantCredits(
                account_id=account_id,
                lot_id=f"admin:{blake2b(command_id.encode(), digest_size=12).hexdigest()}",
                tokens=_given(order.tokens),
                source="admin",
                reference=order.key or reason_id,
                reason_id=reason_id,
                actor=Actor.OPERATOR,
            )
        case "revoke":
            assert order.lot_id is not None, "a revocation names the lot"
            return RevokeCredits(
                account_id=account_id,
                lot_id=order.lot_id,
                tokens=_given(order.tokens),
                reference=order.key or reason_id,
                reason_id=reason_id,
                actor=Actor.OPERATOR,
            )
        case "plan":
            assert order.plan is not None, "a plan order names the plan"
            return ChangePlan(account_id=account_id, plan=order.plan, reason_id=reason_id, actor=Actor.OPERATOR)
        case "limit":
            return ChangeLimit(
                account_id=account_id,
                monthly_limit=_given(order.tokens),
                reason_id=reason_id,
                actor=Actor.OPERATOR,
            )
        case "correct-cycle":
            return CorrectCycle(
                account_id=account_id,
                used_before=_given(order.tokens),
                reason_id=reason_id,
                actor=Actor.OPERATOR,
            )
        case _:
            return ChangeStatus(
                account_id=account_id,
                status=STATUS_OF[order.action],
                reason_id=reason_id,
                actor=Actor.OPERATOR,
            )


def _given(tokens: int | None) -> int:
    assert tokens is not None, "the order names its tokens"
    return tokens


def _content_hash(order: Order) -> str:
    content = (order.action, order.account_id, order.tokens, order.plan, order.reason)
    return content_hash(content if order.lot_id is None else (*content, order.lot_id))


def _details(order: Order, command_id: str) -> dict[str, object]:
    details: dict[str, object] = {"command_id": command_id}
    if order.tokens is not None:
        details["tokens"] = order.tokens
    if order.plan is not None:
        details["plan"] = order.plan
    if order.lot_id is not None:
        details["lot_id"] = order.lot_id
    return details
