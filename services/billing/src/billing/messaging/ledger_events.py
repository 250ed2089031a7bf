"""What billing hears of the ledger: that somebody's balance may have fallen. Mostly it is nobody's concern here."""

from collections.abc import Container
from typing import Protocol

from chassis.dead_letters import PoisonError
from chassis.delivery import Delivery
from contracts.accounts import account_of_token
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.store.top_ups import make_due


class Watch(Protocol):
    """Whoever knows which accounts have auto top-up; None: it has not looked yet."""

    @property
    def accounts(self) -> Container[str] | None: ...


async def hear(watch: Watch, connection: AsyncConnection, delivery: Delivery) -> None:
    """Have the account looked at, where it has auto top-up; all others cost a look into a set.

    The subject says enough, and nothing of the event is believed: the balance is asked of the ledger.

    Raises:
        PoisonError: the subject names no account.
    """
    account_id = account_of_token(delivery.subject.rpartition(".")[2])
    if account_id is None:
        raise PoisonError("a subject that names no account")
    if watch.accounts is None or account_id in watch.accounts:
        await make_due(connection, account_id)
