"""Asks the ledger what an account has left."""

from typing import Final

from chassis.core_nats.client import CoreNats
from chassis.requests import UnusableAnswerError, ask
from contracts.accounts import subject_token
from contracts.reads import BalanceAnswer
from contracts.subjects import READ_BALANCE_PREFIX
from msgspec import json

READ_TIMEOUT_SECONDS: Final = 3.0
_balance: Final = json.Decoder(BalanceAnswer).decode


async def fetch_balance(client: CoreNats, account_id: str) -> int:
    """What the account may still use, calls in flight ignored: what they hold is mostly not used.

    Raises:
        AskError: the ledger does not answer, or knows no such account.
    """
    subject = f"{READ_BALANCE_PREFIX}.{subject_token(account_id)}"
    answer = await ask(client, subject, _balance, seconds=READ_TIMEOUT_SECONDS)
    if answer.balance is None:
        raise UnusableAnswerError("answered no balance")
    return answer.balance.available + answer.balance.held
