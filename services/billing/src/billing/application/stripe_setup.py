"""Sets up at Stripe what billing needs there, and says what is not as it has to be."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from msgspec import Struct

from billing.domain.offers import Offer, Offers
from billing.domain.stripe_setup import (
    CreateEndpoint,
    CreatePrice,
    Endpoint,
    FoundPrice,
    PriceTerms,
    PutPortal,
    Sellable,
    Sold,
    Step,
    UpdateEndpoint,
    endpoint_step,
    hears,
    portal_step,
    price_steps,
    wanted_prices,
)
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeRefusedError
from billing.stripe_api.setup import (
    API_VERSION,
    create_endpoint,
    create_price,
    fetch_account,
    fetch_endpoints,
    fetch_price,
    fetch_prices,
    find_portal,
    put_portal,
    update_endpoint,
)


class SetUp(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step that is to be done, or was; `secret` is told by Stripe this one time."""

    step: str
    what: str
    id: str | None = None
    secret: str | None = None


class Checked(Struct, frozen=True, kw_only=True):
    """Whether one thing is as it has to be, and if not, what to do."""

    check: str
    ok: bool
    told: str


@dataclass(frozen=True, kw_only=True)
class StripeSetup:
    """`events` are those that billing follows, `endpoint_url` is where they have to come to, `home` where people do."""

    stripe: StripeApi
    offers: Offers
    endpoint_url: str
    home: str
    events: frozenset[str]
    livemode: bool
    secrets: Sequence[str]

    async def steps(self) -> list[Step]:
        """What is still to be done; nothing where all is as it has to be. Raises StripeError."""
        wanted = wanted_prices(self._sellables())
        found = await fetch_prices(self.stripe, [price.lookup_key for price in wanted])
        prices = price_steps(wanted, found)
        endpoint = endpoint_step(self.endpoint_url, self.events, API_VERSION, await fetch_endpoints(self.stripe))
        plans = await self._plan_prices()
        portal = portal_step(
            plans, await find_portal(self.stripe), makes_prices=any(_is_monthly(each) for each in prices)
        )
        # The endpoint last: Stripe takes none that it can't reach, and the rest is done by then.
        return [*prices, *(step for step in (portal, endpoint) if step is not None)]

    async def carry_out(self, step: Step) -> SetUp:
        """Do it; raises StripeError."""
        told = describe(step)
        match step:
            case CreatePrice():
                return SetUp(step=told.step, what=told.what, id=await create_price(self.stripe, step))
            case CreateEndpoint():
                made, secret = await create_endpoint(self.stripe, step.url, [*self.events])
                return SetUp(step=told.step, what=told.what, id=made, secret=secret)
            case UpdateEndpoint():
                await update_endpoint(self.stripe, step.endpoint_id, [*step.events])
                return SetUp(step=told.step, what=told.what, id=step.endpoint_id)
            case PutPortal():
                made = await put_portal(self.stripe, step, await self._plan_prices(), self.home)
                return SetUp(step=told.step, what=told.what, id=made)
            case _:
                assert_never(step)

    async def check(self) -> AsyncIterator[Checked]:
        """One line for each thing that has to be right; after a key that is refused nothing more can be asked."""
        try:
            account = await fetch_account(self.stripe)
        except StripeRefusedError as error:
            yield _checked("key", str(error))
            return
        yield Checked(check="key", ok=True, told=f"Stripe knows it: account {account.id}")
        mode = "live" if self.livemode else "test"
        yield Checked(check="mode", ok=True, told=f"{mode} mode" + ("" if self.livemode else ": nobody's money moves"))
        yield _checked("charges", None if account.charges_enabled else "the account may not take payments yet")
        yield _checked("secrets", None if self.secrets else "SOLARIS_STRIPE_WEBHOOK_SECRETS is not set")
        yield self._check_endpoint(await fetch_endpoints(self.stripe))
        async for checked in self._check_prices():
            yield checked
        for method, state in account.brazilian_methods():
            missing = f"Stripe says {state}: activate it in the Dashboard, or nobody is offered it"
            yield _checked(method, None if state == "active" else missing)
        portal = portal_step(await self._plan_prices(), await find_portal(self.stripe), makes_prices=False)
        yield _checked("portal", None if portal is None else "it is not as the catalog has it: make stripe-setup")

    def _check_endpoint(self, endpoints: Sequence[Endpoint]) -> Checked:
        ours = [each for each in endpoints if each.url == self.endpoint_url and each.is_enabled]
        if not ours:
            return _checked("endpoint", f"none is enabled for {self.endpoint_url}: make stripe-setup")
        if not any(each.api_version == API_VERSION for each in ours):
            versions = ", ".join(each.api_version or "the account's own" for each in ours)
            return _checked("endpoint", f"it has the API version {versions}, not {API_VERSION}: make stripe-setup")
        missing = self.events - frozenset().union(*(each.events for each in ours))
        if missing and not any(hears(each, self.events) for each in ours):
            return _checked("endpoint", f"it does not hear {', '.join(sorted(missing))}: make stripe-setup")
        return Checked(check="endpoint", ok=True, told=f"{self.endpoint_url}, {API_VERSION}")

    async def _check_prices(self) -> AsyncIterator[Checked]:
        for sellable in self._sellables():
            for currency, price_id in sorted(sellable.own_prices.items()):
                terms = PriceTerms(
                    product_id="",
                    amount_minor=sellable.prices[currency],
                    currency=currency,
                    is_monthly=sellable.sold is Sold.PLAN,
                )
                yield await self._check_price(f"{sellable.sold} {sellable.name} {currency}", price_id, terms)
        wanted = wanted_prices(self._sellables())
        steps = price_steps(wanted, await fetch_prices(self.stripe, [price.lookup_key for price in wanted]))
        missing = ", ".join(step.price.lookup_key for step in steps)
        yield _checked("prices", f"{missing} are not as the catalog says: make stripe-setup" if steps else None)

    async def _check_price(self, name: str, price_id: str, terms: PriceTerms) -> Checked:
        found = await fetch_price(self.stripe, price_id)
        if found is None:
            return _checked(name, f"Stripe has no price {price_id}, which the catalog names")
        there = found.terms
        if (there.amount_minor, there.currency, there.is_monthly) != (
            *(terms.amount_minor, terms.currency),
            terms.is_monthly,
        ):
            return _checked(name, f"{price_id} is {there.amount_minor} {there.currency}, not {terms.amount_minor}")
        return _checked(name, None if found.is_active else f"{price_id} is put away at Stripe")

    async def _plan_prices(self) -> list[FoundPrice]:
        """Those that are there of the plans, under our keys and by the catalog's own ids."""
        sellables = [each for each in self._sellables() if each.sold is Sold.PLAN]
        found = await fetch_prices(self.stripe, [price.lookup_key for price in wanted_prices(sellables)])
        for price_id in (price_id for each in sellables for price_id in each.own_prices.values()):
            if (own := await fetch_price(self.stripe, price_id)) is not None:
                found.append(own)
        return found

    def _sellables(self) -> list[Sellable]:
        packages = [_sellable(Sold.PACKAGE, offer) for offer in self.offers.packages]
        return [*packages, *(_sellable(Sold.PLAN, offer) for offer in self.offers.plans)]


def describe(step: Step) -> SetUp:
    """The step in words, before anything is done."""
    match step:
        case CreatePrice(price=price, replaces=replaces):
            terms = price.terms
            every = " a month" if terms.is_monthly else ""
            instead = f" instead of {replaces}" if replaces else ""
            told = f"{price.lookup_key}: {terms.amount_minor} {terms.currency}{every} for {price.product_name}{instead}"
            return SetUp(step="price", what=told)
        case CreateEndpoint(url=url):
            return SetUp(step="endpoint", what=f"deliver events to {url}, as of {API_VERSION}")
        case UpdateEndpoint(endpoint_id=endpoint_id):
            return SetUp(step="endpoint", what=f"enable {endpoint_id}, and have it hear all that is needed")
        case PutPortal(portal_id=portal_id):
            told = "let people change card and plan, see invoices, cancel at a period's end"
            return SetUp(step="portal", what=f"{told} (puts right {portal_id})" if portal_id else told)
        case _:
            assert_never(step)


def _is_monthly(step: CreatePrice) -> bool:
    return step.price.terms.is_monthly


def _sellable(sold: Sold, offer: Offer) -> Sellable:
    return Sellable(
        sold=sold, name=offer.id, label=offer.name("pt"), prices=offer.prices, own_prices=offer.stripe_prices
    )


def _checked(check: str, problem: str | None) -> Checked:
    return Checked(check=check, ok=problem is None, told=problem or "as it has to be")
