"""The verbs about people: what is kept of one person's purchases is handed out, or relieved of what is personal."""

from chassis.operate.database import open_engine
from chassis.operate.output import write_line
from msgspec import structs

from billing.operate.options import Account, ReasonOrNone
from billing.store.people import erase_person, load_person
from billing.store.tables import SERVICE


async def export(*, account: Account) -> None:
    """All that is kept about the account's purchases, as JSON lines."""
    async with open_engine(SERVICE) as engine:
        async for name, row in load_person(engine, account):
            write_line({name: row})


async def forget(
    *,
    account: Account,
    reason: ReasonOrNone = None,  # noqa: ARG001  the ledger keeps it
) -> None:
    """Erases what is personal of the account's purchases; what the books need stays, under the account's id."""
    async with open_engine(SERVICE) as engine:
        forgotten = await erase_person(engine, account)
    write_line({"account_id": account} | structs.asdict(forgotten))
