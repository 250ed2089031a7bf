"""The verbs about people: what is kept of one person's purchases is handed out, or relieved of what is personal."""

import contextlib

from chassis.operate.database import open_engine
from chassis.operate.document import write_document
from chassis.operate.output import write_line
from chassis.operators import operator
from msgspec import structs

from billing.operate.options import Account, ReasonOrNone
from billing.store.people import erase_person, load_person
from billing.store.tables import SERVICE


async def export(*, account: Account) -> None:
    """All that is kept about the account's purchases, as one JSON object."""
    async with open_engine(SERVICE) as engine, contextlib.aclosing(load_person(engine, account)) as held:
        await write_document(held, ())


async def forget(
    *,
    account: Account,
    reason: ReasonOrNone = None,  # noqa: ARG001  the ledger keeps it
) -> None:
    """Erases what is personal of the account's purchases; what the books need stays, under the account's id."""
    async with open_engine(SERVICE) as engine:
        forgotten = await erase_person(engine, account, by=operator())
    write_line({"account_id": account} | structs.asdict(forgotten))
