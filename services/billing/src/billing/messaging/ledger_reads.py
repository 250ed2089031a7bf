"""Asks the ledger what an account has left, and whether it has carried out what an order paid for."""

from typing import Final

from chassis.core_nats.client import CoreNats
from chassis.requests import AskError, UnusableAnswerError, ask
from contracts.accounts import subject_token
from contracts.codec import encode
from contracts.reads import BalanceAnswer, BalanceRequest
from contracts.subjects import READ_BALANCE_PREFIX
from msgspec import json

from billing.domain.arrivals import Arrival
from billing.domain.orders import Order
from billing.domain.top_ups import Left

READ_TIMEOUT_SECONDS: Final = 3.0
PAGE_SECONDS: Final = 1.0
"""Somebody looks at an empty page meanwhile."""
_balance: Final = json.Decoder(BalanceAnswer).decode


async def fetch_left(client: CoreNats, account_id: str) -> Left:
    """What the account has left; nobody whom the ledger does not know is active.

    Raises:
        AskError: the ledger does not answer.
    """
    subject = f"{READ_BALANCE_PREFIX}.{subject_token(account_id)}"
    answer = await ask(client, subject, _balance, seconds=READ_TIMEOUT_SECONDS)
    if answer.error is not None:
        raise UnusableAnswerError("answered an error")
    balance = answer.balance
    if balance is None:
        return Left(tokens=0, is_active=False)
    return Left(tokens=balance.available + balance.held, is_active=balance.status == "active")


async def fetch_arrival(client: CoreNats, order: Order) -> Arrival:
    """Whether what the order paid for is in its account; a ledger that does not answer may not have heard of it."""
    subject = f"{READ_BALANCE_PREFIX}.{subject_token(order.account_id)}"
    if order.gives_credits:
        about = BalanceRequest(order_id=order.id)
    else:
        about = BalanceRequest(subscription_id=order.subscription_id)
    try:
        answer = await ask(client, subject, _balance, seconds=PAGE_SECONDS, payload=encode(about))
    except AskError:
        return Arrival.AWAITED
    if answer.balance is None or answer.heard_revision is None:
        return Arrival.AWAITED
    return Arrival.IDLE if answer.balance.status != "active" or answer.exhausted else Arrival.USABLE
