"""Asks the ledger for a person's profile and an account's state, at the moment of sending and never before."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from chassis.core_nats.client import CoreNats
from chassis.requests import UnusableAnswerError, ask
from contracts.accounts import subject_token
from contracts.codec import encode
from contracts.profiles import Profile
from contracts.reads import BalanceAnswer, BalanceRequest, ProfileAnswer
from contracts.subjects import READ_BALANCE_PREFIX, READ_PROFILE_PREFIX
from msgspec import json

from notifier.domain.composing import Standing
from notifier.domain.notices import Figures

READ_TIMEOUT_SECONDS: Final = 3.0
_profile: Final = json.Decoder(ProfileAnswer).decode
_balance: Final = json.Decoder(BalanceAnswer).decode


class LedgerReads:
    """The ledger's reads, by request-reply; what they raise is worth another try later."""

    def __init__(self, client: CoreNats) -> None:
        self._client = client

    async def fetch_profile(self, account_id: str) -> Profile | None:
        """What is known about the person; None where nothing is. Raises AskError."""
        return (await self._ask(READ_PROFILE_PREFIX, account_id, _profile)).profile

    async def fetch_standing(self, account_id: str, request: BalanceRequest) -> Standing:
        """What the account may use now. Raises AskError."""
        answer = await self._ask(READ_BALANCE_PREFIX, account_id, _balance, encode(request))
        balance = answer.balance
        if balance is None:
            raise UnusableAnswerError("knows no such account")
        figures = Figures(
            monthly_used=balance.monthly_used,
            monthly_limit=balance.monthly_limit,
            credits=balance.credits,
            debt=balance.debt,
            resets_at=balance.cycle.ends_at,
        )
        return Standing(
            cycle_id=balance.cycle.id,
            figures=figures,
            is_active=balance.status == "active",
            exhausted=answer.exhausted,
            as_of=datetime.now(UTC),
            heard_revision=answer.heard_revision,
        )

    async def _ask[Answer: (ProfileAnswer, BalanceAnswer)](
        self, prefix: str, account_id: str, decode: Callable[[bytes], Answer], payload: bytes = b""
    ) -> Answer:
        subject = f"{prefix}.{subject_token(account_id)}"
        answer = await ask(self._client, subject, decode, seconds=READ_TIMEOUT_SECONDS, payload=payload)
        if answer.error is not None:
            raise UnusableAnswerError("answered an error")
        return answer
