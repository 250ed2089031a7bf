"""The verbs that put right what accounts took from a wrong clock or an older catalog."""

from chassis.operate.output import write_line
from contracts.errors import NotFoundError
from contracts.events.actors import Actor

from ledger.application.administration import Order, administer
from ledger.application.catalog_changes import Applied, apply_changes, find_changes
from ledger.application.cycle_corrections import rightful_cycle
from ledger.catalog_file import load_policy
from ledger.domain.commands import CorrectCycle
from ledger.domain.plans import find_plan
from ledger.operate.database import open_ledger
from ledger.operate.executing import open_executor
from ledger.operate.options import Account, Custom, PlanOrAll, Reason, ReasonOrNone, Show
from ledger.operate.settings import load_settings
from ledger.store.read_path import is_account_open, load_clock


async def correct_cycle(account: Account, reason: Reason) -> None:
    """Puts back the cycle that runs, where a clock that was wrong started a later one."""
    settings = load_settings()
    policy = load_policy(settings)
    async with open_ledger() as connection:
        if not await is_account_open(connection, account):
            raise NotFoundError(f"no account {account}")
        async with open_executor(settings, policy, connection) as executor:
            now = executor.clock.now() or await load_clock(connection)
            cycle, used = await rightful_cycle(connection, account, now)
            order = Order(action="correct-cycle", account_id=account, reason=reason, details={"tokens": used})
            command = CorrectCycle(
                account_id=account,
                used_before=used,
                rightful=cycle,
                reason_id=order.audit_id,
                actor=Actor.OPERATOR,
            )
            balance = await administer(executor, order, command)
    write_line(balance)


async def apply_catalog(
    plan: PlanOrAll = None, reason: ReasonOrNone = None, show: Show = None, custom: Custom = None
) -> int:
    """Gives existing accounts what the catalog says of their plan now: shows whom it changes, then does it."""
    settings = load_settings()
    policy = load_policy(settings)
    catalog = policy.catalog
    if plan is not None:
        find_plan(policy, plan)
    tally = Applied(catalog_version=catalog.version)
    async with open_ledger() as connection:
        async for change in find_changes(connection, catalog, plan, tally, custom=bool(custom)):
            write_line(change)
        if not show:
            tally = Applied(catalog_version=catalog.version)
            async with open_executor(settings, policy, connection) as executor:
                changes = find_changes(connection, catalog, plan, tally, custom=bool(custom))
                async for failed in apply_changes(executor, changes, reason or f"catalog {catalog.version}", tally):
                    write_line(failed)
    write_line(tally)
    return 1 if tally.failed else 0
