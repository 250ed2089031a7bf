"""Whether an account may be subscribed to a plan: it has one subscription at most."""

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.errors import AlreadySubscribedError
from billing.domain.orders import Order
from billing.store.subscriptions import find_awaited_order, find_giving


async def find_awaited(engine: AsyncEngine, account_id: str) -> Order | None:
    """The order of a subscription whose boleto is awaited, instead of which none is to be placed.

    Where a plan is given but its renewal was told to have failed, another one may be bought, and replaces it.

    Raises:
        AlreadySubscribedError: the account's plan is paid for now.
    """
    giving = await find_giving(engine, account_id)
    if giving is not None and giving.given is not None and giving.reminded_ends_at != giving.given.ends_at:
        raise AlreadySubscribedError("This account has a subscription, which can be changed.")
    return await find_awaited_order(engine, account_id)
