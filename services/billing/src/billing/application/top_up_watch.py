"""Keeps watch over the accounts with auto top-up: which they are, and whose turn it is."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from chassis.requests import AskError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.blame import is_outage
from billing.application.errors import BillingError
from billing.application.top_ups import TopUps
from billing.store.top_ups import claim_due, load_accounts_topped_up, look_again, look_no_more, make_due
from billing.stripe_api.errors import StripeError

BATCH: Final = 20
LEASE: Final = timedelta(minutes=5)
"""Longer than a look takes, with all that it asks Stripe."""
POLL_SECONDS: Final = 1.0
RETRY: Final = timedelta(minutes=1)

log = structlog.get_logger()


@dataclass(kw_only=True)
class TopUpWatch:
    """Looks at each account after its balance may have fallen, and every `again_after` whatever was heard.

    `changed_of` is told all accounts with auto top-up, and gives those of them to look at now.
    """

    engine: AsyncEngine
    top_ups: TopUps
    changed_of: Callable[[AbstractSet[str]], Awaitable[set[str]]]
    again_after: timedelta
    _changed: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Watch until cancelled; several processes may."""
        while True:
            due: list[str] = []
            try:
                await self._hear()
                due = await claim_due(self.engine, limit=BATCH, lease=LEASE)
                for account_id in due:
                    if (wait := await self._look(account_id)) is not None:
                        await look_again(self.engine, account_id, wait)
                    else:
                        await look_no_more(self.engine, account_id)
            except DATABASE_ERRORS as error:
                log.warning("top_ups_not_watched", error=type(error).__name__)
            # Where more wait, they are next. Else not sooner for any number of events.
            if len(due) < BATCH:
                await asyncio.sleep(POLL_SECONDS)

    async def _hear(self) -> None:
        # What was heard is kept until it is written, whatever becomes of the database meanwhile.
        self._changed |= await self.changed_of(await load_accounts_topped_up(self.engine))
        if self._changed:
            await make_due(self.engine, self._changed)
            self._changed.clear()

    async def _look(self, account_id: str) -> timedelta | None:
        try:
            goes_on = await self.top_ups.look_anew(account_id)
        except (StripeError, BillingError, AskError) as error:
            log.warning("top_up_not_looked_at", account_id=account_id, error=repr(error))
            return RETRY
        except Exception as error:
            if is_outage(error):
                raise
            log.error("top_up_not_looked_at", account_id=account_id, error=repr(error)[:500])  # noqa: TRY400  its words are all
            return self.again_after
        return self.again_after if goes_on else None
