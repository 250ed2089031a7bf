"""Asks the ledger what an account has left."""

from typing import Final

from chassis.core_nats.client import CoreNats
from chassis.requests import UnusableAnswerError, ask
from contracts.accounts import subject_token
from contracts.reads import BalanceAnswer
from contracts.subjects import READ_BALANCE_PREFIX
from msgspec import json

from billing.domain.top_ups import Left

READ_TIMEOUT_SECONDS: Final = 3.0
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
