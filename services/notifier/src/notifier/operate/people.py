"""The verbs about people: what is kept of one person's mails is handed out, or erased."""

import contextlib
from typing import Annotated, Final

from chassis.operate.database import open_engine
from chassis.operate.document import write_document
from chassis.operate.options import option
from chassis.operate.output import write_line
from chassis.operators import operator
from contracts.accounts import checked_account_id, subject_token

from notifier.store.people import delete_messages, held_of
from notifier.store.tables import LETTERS

_ACCOUNT: Final = option("--account", parse=checked_account_id, help="account id")
_REASON: Final = option("--reason", parse=str, help="kept in the ledger's audit")


async def export(account: Annotated[str, _ACCOUNT]) -> None:
    """All that is kept about the account's mails, oldest first, as one JSON object."""
    async with open_engine("notifier") as engine, contextlib.aclosing(held_of(engine, account)) as held:
        await write_document(held, ())


async def forget(
    account: Annotated[str, _ACCOUNT],
    reason: Annotated[str | None, _REASON] = None,  # noqa: ARG001  the ledger keeps it
) -> None:
    """Erases what is kept about the account's mails, those that wait too; prints how many."""
    token = subject_token(account)
    async with open_engine("notifier") as engine:
        letters = await LETTERS.erase_about(engine, token, by=operator(), reason="its person was forgotten")
        erased = await delete_messages(engine, account)
    write_line({"account_id": account, "mails_erased": erased, "letters_erased": letters})
