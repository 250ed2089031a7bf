"""The verbs about people: what is kept of one person's mails is handed out, or erased."""

from typing import Annotated, Final

from chassis.operate.database import open_engine
from chassis.operate.options import option
from chassis.operate.output import write_line
from contracts.accounts import checked_account_id

from notifier.store.people import delete_messages, load_messages

_ACCOUNT: Final = option("--account", parse=checked_account_id, help="account id")
_REASON: Final = option("--reason", parse=str, help="kept in the ledger's audit")


async def export(account: Annotated[str, _ACCOUNT]) -> None:
    """All that is kept about the account's mails, as JSON lines, oldest first."""
    async with open_engine("notifier") as engine:
        for message in await load_messages(engine, account):
            write_line({"mail": message})


async def forget(
    account: Annotated[str, _ACCOUNT],
    reason: Annotated[str | None, _REASON] = None,  # noqa: ARG001  the ledger keeps it
) -> None:
    """Erases what is kept about the account's mails, those that wait too; prints how many."""
    async with open_engine("notifier") as engine:
        erased = await delete_messages(engine, account)
    write_line({"account_id": account, "mails_erased": erased})
