"""The verbs that change one account."""

from typing import Final

from chassis.operate.output import write_line
from contracts.errors import NotFoundError
from contracts.events.actors import Actor

from ledger.application.administration import Order, administer
from ledger.catalog_file import load_policy
from ledger.domain.commands import ChangeLimit, ChangePlan, ChangeStatus, Command, GrantCredits, RevokeCredits
from ledger.operate.database import open_ledger
from ledger.operate.executing import open_executor
from ledger.operate.options import Account, Key, Lot, New, Plan, Reason, ReasonOrNone, Tokens, TokensOrZero
from ledger.operate.settings import load_settings
from ledger.store.read_path import is_account_open

STATUS_OF: Final = {"suspend": "suspended", "activate": "active", "block": "blocked"}


async def credit(account: Account, tokens: Tokens, reason: Reason, key: Key = None, new: New = None) -> None:
    """Grants credits."""
    order = Order(action="credit", account_id=account, reason=reason, key=key, details={"tokens": tokens})
    command = GrantCredits(
        account_id=account,
        lot_id=order.new_lot_id,
        tokens=tokens,
        source="admin",
        reference=order.reference,
        reason_id=order.audit_id,
        actor=Actor.OPERATOR,
    )
    await _carry_out(order, command, new)


async def revoke(account: Account, lot: Lot, tokens: Tokens, reason: Reason, key: Key = None) -> None:
    """Takes back tokens of one grant; what is spent already becomes debt."""
    order = Order(
        action="revoke", account_id=account, reason=reason, key=key, details={"tokens": tokens, "lot_id": lot}
    )
    command = RevokeCredits(
        account_id=account,
        lot_id=lot,
        tokens=tokens,
        reference=order.reference,
        reason_id=order.audit_id,
        actor=Actor.OPERATOR,
    )
    await _carry_out(order, command, None)


async def plan(account: Account, plan: Plan, reason: ReasonOrNone = None, key: Key = None, new: New = None) -> None:
    """Changes the plan."""
    order = Order(action="plan", account_id=account, reason=reason or "", key=key, details={"plan": plan})
    command = ChangePlan(account_id=account, plan=plan, reason_id=order.audit_id, actor=Actor.OPERATOR)
    await _carry_out(order, command, new)


async def limit(
    account: Account, tokens: TokensOrZero, reason: ReasonOrNone = None, key: Key = None, new: New = None
) -> None:
    """Changes the monthly limit."""
    order = Order(action="limit", account_id=account, reason=reason or "", key=key, details={"tokens": tokens})
    command = ChangeLimit(account_id=account, monthly_limit=tokens, reason_id=order.audit_id, actor=Actor.OPERATOR)
    await _carry_out(order, command, new)


async def suspend(account: Account, reason: Reason, key: Key = None, new: New = None) -> None:
    """Suspends the account."""
    await _change_status("suspend", account, reason, key, new)


async def activate(account: Account, reason: Reason, key: Key = None, new: New = None) -> None:
    """Makes the account active again."""
    await _change_status("activate", account, reason, key, new)


async def block(account: Account, reason: Reason, key: Key = None, new: New = None) -> None:
    """Blocks the account."""
    await _change_status("block", account, reason, key, new)


async def _change_status(action: str, account: str, reason: str, key: str | None, new: str | None) -> None:
    order = Order(action=action, account_id=account, reason=reason, key=key)
    command = ChangeStatus(account_id=account, status=STATUS_OF[action], reason_id=order.audit_id, actor=Actor.OPERATOR)
    await _carry_out(order, command, new)


async def _carry_out(order: Order, command: Command, new: str | None) -> None:
    settings = load_settings()
    policy = load_policy(settings)
    async with open_ledger() as connection:
        if not new and not await is_account_open(connection, order.account_id):
            hint = "" if order.action == "revoke" else "; NEW=1 opens it"
            raise NotFoundError(f"no account {order.account_id}{hint}")
        async with open_executor(settings, policy, connection) as executor:
            balance = await administer(executor, order, command)
    write_line(balance)
