"""The verbs that change one account."""

from contracts.errors import NotFoundError

from ledger.domain.plans import find_plan
from ledger.operate import database
from ledger.operate.administer import Order, administer
from ledger.operate.apply_catalog import Applied, apply_changes, find_changes
from ledger.operate.cycle_correction import used_before
from ledger.operate.executing import open_executor
from ledger.operate.inputs import account_id_of, is_asked, key_of, lot_of, plan_of, reason_of, tokens_of
from ledger.operate.output import write_line
from ledger.operate.service import load_settings
from ledger.store.read_path import is_account_open, load_clock


async def credit(account: str | None, tokens: str | None, reason: str | None, key: str | None, new: str | None) -> None:
    order = Order(
        action="credit",
        account_id=account_id_of(account),
        tokens=tokens_of(tokens, least=1),
        reason=reason_of(reason),
        key=key_of(key),
    )
    await _carry_out(order, opening=is_asked(new, "NEW"))


async def revoke(account: str | None, lot: str | None, tokens: str | None, reason: str | None, key: str | None) -> None:
    order = Order(
        action="revoke",
        account_id=account_id_of(account),
        lot_id=lot_of(lot),
        tokens=tokens_of(tokens, least=1),
        reason=reason_of(reason),
        key=key_of(key),
    )
    await _carry_out(order, opening=False)


async def plan(
    account: str | None, plan_name: str | None, reason: str | None, key: str | None, new: str | None
) -> None:
    order = Order(
        action="plan",
        account_id=account_id_of(account),
        plan=plan_of(plan_name),
        reason=_optional(reason),
        key=key_of(key),
    )
    await _carry_out(order, opening=is_asked(new, "NEW"))


async def limit(account: str | None, tokens: str | None, reason: str | None, key: str | None, new: str | None) -> None:
    order = Order(
        action="limit",
        account_id=account_id_of(account),
        tokens=tokens_of(tokens, least=0),
        reason=_optional(reason),
        key=key_of(key),
    )
    await _carry_out(order, opening=is_asked(new, "NEW"))


async def status(action: str, account: str | None, reason: str | None, key: str | None, new: str | None) -> None:
    order = Order(action=action, account_id=account_id_of(account), reason=reason_of(reason), key=key_of(key))
    await _carry_out(order, opening=is_asked(new, "NEW"))


async def correct_cycle(account: str | None, reason: str | None) -> None:
    account_id, given = account_id_of(account), reason_of(reason)
    settings, policy = load_settings()
    connection = await database.connect(settings.database_url)
    try:
        if not await is_account_open(connection, account_id):
            raise NotFoundError(f"no account {account_id}")
        async with open_executor(settings, policy, connection) as executor:
            now = executor.clock.now() or await load_clock(connection)
            used = await used_before(connection, account_id, now)
            order = Order(action="correct-cycle", account_id=account_id, tokens=used, reason=given)
            balance = await administer(executor, order)
    finally:
        connection.terminate()
    write_line(balance)


async def apply_catalog(plan_name: str | None, reason: str | None, show: str | None, custom: str | None) -> int:
    shows_only, customs = is_asked(show, "SHOW"), is_asked(custom, "CUSTOM")
    plan = plan_of(plan_name) if plan_name else None
    settings, policy = load_settings()
    catalog = policy.catalog
    if plan is not None:
        find_plan(policy, plan)
    given = _optional(reason) or f"catalog {catalog.version}"
    connection = await database.connect(settings.database_url)
    tally = Applied(catalog_version=catalog.version)
    try:
        async for change in find_changes(connection, catalog, plan, tally, custom=customs):
            write_line(change)
        if not shows_only:
            tally = Applied(catalog_version=catalog.version)
            async with open_executor(settings, policy, connection) as executor:
                changes = find_changes(connection, catalog, plan, tally, custom=customs)
                async for failed in apply_changes(executor, changes, given, tally):
                    write_line(failed)
    finally:
        connection.terminate()
    write_line(tally)
    return 1 if tally.failed else 0


async def _carry_out(order: Order, *, opening: bool) -> None:
    settings, policy = load_settings()
    connection = await database.connect(settings.database_url)
    try:
        if not opening and not await is_account_open(connection, order.account_id):
            hint = "" if order.action == "revoke" else "; NEW=1 opens it"
            raise NotFoundError(f"no account {order.account_id}{hint}")
        async with open_executor(settings, policy, connection) as executor:
            balance = await administer(executor, order)
    finally:
        connection.terminate()
    write_line(balance)


def _optional(reason: str | None) -> str:
    return reason_of(reason) if reason else ""
