"""Sets auto top-up for an account, turns it off, and tells how it stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contracts.events.billing import TopUpPause
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.errors import CurrencyNotOfferedError, TopUpRefusedError, UnknownPackageError
from billing.domain.offers import Offers
from billing.domain.top_ups import CapTooLowError, Package, TopUp, UselessTopUpError, check_top_up
from billing.store.top_ups import load_top_up, set_top_up, turn_off

PURCHASES_A_MONTH: Final = 4
"""What the cap pays for where none is named."""


class TopUpView(Struct, frozen=True, kw_only=True):
    """How an account's auto top-up stands; without `package_id` it was never set."""

    account_id: str
    payer_id: str | None = None
    is_on: bool = False
    package_id: str | None = None
    below_tokens: int | None = None
    monthly_cap_minor: int | None = None
    currency: str | None = None
    paused_for: TopUpPause | None = None
    set_by: str | None = None
    set_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TopUpSettings:
    """For the packages that are sold."""

    engine: AsyncEngine
    offers: Offers

    async def set(
        self,
        account_id: str,
        *,
        package_id: str,
        below_tokens: int,
        monthly_cap_minor: int | None,
        currency: str | None,
        payer_id: str | None,
        who: str,
    ) -> TopUpView:
        """Turn it on as told; what had paused it is forgotten.

        Raises:
            UnknownPackageError, CurrencyNotOfferedError: it is not sold, or not so.
            TopUpRefusedError: it could only be bought in a loop, or never.
        """
        offer = self.offers.package(package_id)
        if offer is None:
            raise UnknownPackageError("No such package is sold.")
        currency = currency or next(iter(offer.prices))
        if currency not in offer.prices:
            raise CurrencyNotOfferedError(f"This package is sold in {', '.join(offer.prices)}.")
        package = Package(tokens=offer.tokens, amount_minor=offer.prices[currency])
        top_up = TopUp(
            account_id=account_id,
            payer_id=payer_id,
            package_id=package_id,
            currency=currency,
            below_tokens=below_tokens,
            monthly_cap_minor=(
                PURCHASES_A_MONTH * package.amount_minor if monthly_cap_minor is None else monthly_cap_minor
            ),
        )
        try:
            check_top_up(top_up, package)
        except UselessTopUpError:
            raise TopUpRefusedError(
                f"This package of {package.tokens} tokens does not lift an empty balance above {below_tokens}."
            ) from None
        except CapTooLowError:
            raise TopUpRefusedError(
                f"The monthly cap does not pay for one package, which costs {package.amount_minor}."
            ) from None
        await set_top_up(self.engine, top_up, who=who)
        return await self.show(account_id)

    async def turn_off(self, account_id: str, *, who: str) -> TopUpView:
        """Buy nothing any more; a purchase that was begun is finished by its sweep."""
        await turn_off(self.engine, account_id, who=who)
        return await self.show(account_id)

    async def show(self, account_id: str) -> TopUpView:
        """How it stands now."""
        stored = await load_top_up(self.engine, account_id)
        if stored is None:
            return TopUpView(account_id=account_id)
        return TopUpView(
            account_id=account_id,
            payer_id=stored.top_up.payer_id,
            is_on=stored.is_on,
            package_id=stored.top_up.package_id,
            below_tokens=stored.top_up.below_tokens,
            monthly_cap_minor=stored.top_up.monthly_cap_minor,
            currency=stored.top_up.currency,
            paused_for=stored.top_up.paused_for,
            set_by=stored.set_by,
            set_at=stored.set_at,
        )
