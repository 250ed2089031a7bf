"""Gives existing accounts what the catalog says of their plan now; a limit that somebody set for one account stays."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import asyncpg
from contracts.errors import SolarisError
from contracts.events.accounts import AccountOpened, LimitChanged, PlanChanged, RateLimits
from contracts.events.actors import Actor
from msgspec import Struct
from msgspec.structs import replace

from ledger.application.administration import Order, administer
from ledger.application.executor import BusyError, Executor
from ledger.domain.account import Account
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.commands import ChangePlan
from ledger.store.log import last_type_of
from ledger.store.read_path import open_accounts

LIMITING: Final = (AccountOpened, PlanChanged, LimitChanged)
"""The events that say what an account's limit is; where the last one is a `LimitChanged`, somebody set it."""
AT_ONCE: Final = 64


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the catalog makes of one account; `limit_kept` where its limit is its own, and stays."""

    account_id: str
    plan: str
    monthly_limit: int
    new_monthly_limit: int
    rate_limits: RateLimits
    new_rate_limits: RateLimits
    limit_kept: bool = False
    error: str | None = None

    @property
    def is_empty(self) -> bool:
        return (self.monthly_limit, self.rate_limits) == (self.new_monthly_limit, self.new_rate_limits)


class Applied(Struct, kw_only=True):
    """`kept` accounts have a limit of their own, which stayed; `unknown_plan` ones a plan that the catalog lacks."""

    catalog_version: str
    accounts: int = 0
    to_change: int = 0
    changed: int = 0
    failed: int = 0
    kept: int = 0
    unknown_plan: int = 0
    unreadable: int = 0


async def find_changes(
    connection: asyncpg.Connection, catalog: Catalog, plan: str | None, tally: Applied, *, custom: bool
) -> AsyncIterator[Change]:
    """What is to be changed of all accounts, or of those on one plan, in the order of their ids.

    `custom`: limits of an account's own are changed too.
    """
    async for account in open_accounts(connection):
        if account is None:
            tally.unreadable += 1
            continue
        if plan is not None and account.plan != plan:
            continue
        tally.accounts += 1
        wanted = catalog.plans.get(account.plan)
        if wanted is None:
            tally.unknown_plan += 1
        elif (account.monthly_limit, account.rate_limits) != (wanted.monthly_tokens, wanted.rate_limits):
            change = await _change(connection, account, wanted, custom=custom)
            tally.kept += change.limit_kept
            if not change.is_empty:
                tally.to_change += 1
                yield change


async def apply_changes(
    executor: Executor, changes: AsyncIterator[Change], reason: str, tally: Applied
) -> AsyncIterator[Change]:
    """Carry them out, some at a time; gives those that failed. Nothing is changed twice: what is right stays."""
    batch: list[Change] = []
    async for change in changes:
        batch.append(change)
        if len(batch) == AT_ONCE:
            for failed in await _execute(executor, batch, reason, tally):
                yield failed
            batch = []
    for failed in await _execute(executor, batch, reason, tally):
        yield failed


async def _change(connection: asyncpg.Connection, account: Account, wanted: Plan, *, custom: bool) -> Change:
    kept = not custom and account.monthly_limit != wanted.monthly_tokens and await _is_own_limit(connection, account)
    return Change(
        account_id=account.account_id,
        plan=account.plan,
        monthly_limit=account.monthly_limit,
        new_monthly_limit=account.monthly_limit if kept else wanted.monthly_tokens,
        rate_limits=account.rate_limits,
        new_rate_limits=wanted.rate_limits,
        limit_kept=kept,
    )


async def _is_own_limit(connection: asyncpg.Connection, account: Account) -> bool:
    """Whether somebody set the account's limit beside its plan's; a state of the first format does not know."""
    if account.plan_tokens:
        return account.monthly_limit != account.plan_tokens
    return await last_type_of(connection, account.account_id, LIMITING) is LimitChanged


async def _execute(executor: Executor, changes: Sequence[Change], reason: str, tally: Applied) -> list[Change]:
    errors = await asyncio.gather(*(_execute_one(executor, change, reason) for change in changes))
    failed = [replace(change, error=error) for change, error in zip(changes, errors, strict=True) if error is not None]
    tally.changed += len(changes) - len(failed)
    tally.failed += len(failed)
    return failed


async def _execute_one(executor: Executor, change: Change, reason: str) -> str | None:
    details: dict[str, object] = {"plan": change.plan, "monthly_limit": change.new_monthly_limit}
    order = Order(action="apply-catalog", account_id=change.account_id, reason=reason, details=details)
    command = ChangePlan(
        account_id=change.account_id,
        plan=change.plan,
        reset_limit=not change.limit_kept,
        reason_id=order.audit_id,
        actor=Actor.OPERATOR,
    )
    try:
        await administer(executor, order, command)
    except (SolarisError, BusyError) as error:
        return str(error) or type(error).__name__
    return None
