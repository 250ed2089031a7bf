"""Asks the ledger for a person's profile and an account's state, at the moment of sending and never before."""

from datetime import UTC, datetime
from typing import Final

import nats.errors
from contracts.accounts import subject_token
from contracts.codec import DECODE_ERRORS
from contracts.profiles import Profile
from contracts.reads import BalanceAnswer, ProfileAnswer
from contracts.subjects import READ_BALANCE_PREFIX, READ_PROFILE_PREFIX
from msgspec import json
from nats.aio.client import Client

from notifier.domain.alerts import Standing
from notifier.domain.notices import Figures

READ_TIMEOUT_SECONDS: Final = 3.0
_profile: Final = json.Decoder(ProfileAnswer)
_balance: Final = json.Decoder(BalanceAnswer)


class LedgerUnavailableError(Exception):
    """The ledger could not answer this question; it may later."""


class LedgerSilentError(LedgerUnavailableError):
    """The ledger does not answer at all."""


class LedgerReads:
    """The ledger's reads, by request-reply."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def fetch_profile(self, account_id: str) -> Profile | None:
        """What is known about the person; None where nothing is.

        Raises:
            LedgerUnavailableError: try again later.
        """
        return (await self._ask(READ_PROFILE_PREFIX, account_id, _profile)).profile

    async def fetch_standing(self, account_id: str) -> Standing:
        """What the account may use now.

        Raises:
            LedgerUnavailableError: try again later.
        """
        answer = await self._ask(READ_BALANCE_PREFIX, account_id, _balance)
        balance = answer.balance
        if balance is None:
            raise LedgerUnavailableError("ledger knows no such account")
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
        )

    async def _ask[Answer: (ProfileAnswer, BalanceAnswer)](
        self, prefix: str, account_id: str, decoder: json.Decoder[Answer]
    ) -> Answer:
        if not self._client.is_connected:  # a request made now would be buffered and answered to nobody
            raise LedgerSilentError("nats not connected")
        try:
            reply = await self._client.request(
                f"{prefix}.{subject_token(account_id)}", b"", timeout=READ_TIMEOUT_SECONDS
            )
            answer = decoder.decode(reply.data)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise LedgerSilentError(f"ledger {type(error).__name__}") from error
        except DECODE_ERRORS:
            # `from None`: the validation error would carry the profile into a log.
            raise LedgerUnavailableError("ledger answered nonsense") from None
        if answer.error is not None:
            raise LedgerUnavailableError("ledger answered an error")
        return answer
