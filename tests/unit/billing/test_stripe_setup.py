"""What is set up at Stripe is what the catalog says, once; a second run has nothing to do."""

from dataclasses import replace

from billing.domain.stripe_setup import (
    CreateEndpoint,
    CreatePrice,
    Endpoint,
    FoundPortal,
    FoundPrice,
    PutPortal,
    Sellable,
    Sold,
    UpdateEndpoint,
    WantedPrice,
    endpoint_step,
    portal_step,
    price_steps,
    prices_mark,
    wanted_prices,
)

SMALL = Sellable(
    sold=Sold.PACKAGE, name="small", label="Pequeno", prices={"usd": 1490, "brl": 7490}, own_prices={"usd": "price_own"}
)
BASIC = Sellable(sold=Sold.PLAN, name="basic", label="Básico", prices={"brl": 12_490}, own_prices={})
URL = "https://pay.example.com/billing/webhook/stripe"
EVENTS = frozenset({"checkout.session.completed", "refund.created"})
VERSION = "2026-10-28.endive"
ENDPOINT = Endpoint(endpoint_id="we_1", url=URL, events=EVENTS, api_version=VERSION, is_enabled=True)


def _made(price: WantedPrice) -> FoundPrice:
    return FoundPrice(price_id="price_1", lookup_key=price.lookup_key, is_active=True, terms=price.terms)


def test_every_offer_gets_a_price_in_each_currency_for_which_the_catalog_names_none() -> None:
    small, basic = wanted_prices([SMALL, BASIC])
    assert (small.lookup_key, small.product_name) == ("solaris-package-small_brl", "Pequeno")
    assert (small.terms.amount_minor, small.terms.currency, small.terms.is_monthly) == (7490, "brl", False)
    assert (basic.lookup_key, basic.terms.is_monthly) == ("solaris-plan-basic_brl", True)


def test_what_was_made_is_not_made_again() -> None:
    wanted = wanted_prices([SMALL, BASIC])
    assert price_steps(wanted, []) == [CreatePrice(price=price, replaces=None) for price in wanted]
    assert price_steps(wanted, map(_made, wanted)) == []


def test_another_amount_or_a_price_that_was_put_away_is_replaced() -> None:
    (price,) = wanted_prices([SMALL])
    made = _made(price)
    for now in (replace(made, terms=replace(made.terms, amount_minor=1)), replace(made, is_active=False)):
        assert price_steps([price], [now]) == [CreatePrice(price=price, replaces="price_1")]


def test_an_endpoint_is_made_where_none_has_the_address_and_the_version() -> None:
    others = [replace(ENDPOINT, url="https://other.example.com"), replace(ENDPOINT, api_version="2024-06-20")]
    assert endpoint_step(URL, EVENTS, VERSION, others) == CreateEndpoint(url=URL)
    assert endpoint_step(URL, EVENTS, VERSION, [*others, ENDPOINT]) is None
    assert endpoint_step(URL, EVENTS, VERSION, [replace(ENDPOINT, events=frozenset({"*"}))]) is None


def test_an_endpoint_that_hears_too_little_or_nothing_is_put_right_and_keeps_what_else_it_hears() -> None:
    deaf = replace(ENDPOINT, events=frozenset({"refund.created", "payout.paid"}))
    assert endpoint_step(URL, EVENTS, VERSION, [deaf]) == UpdateEndpoint(
        endpoint_id="we_1", events=EVENTS | {"payout.paid"}
    )
    assert isinstance(endpoint_step(URL, EVENTS, VERSION, [replace(ENDPOINT, is_enabled=False)]), UpdateEndpoint)


def test_the_portal_offers_the_plans_prices_there_are() -> None:
    plans = [_made(price) for price in wanted_prices([SMALL, BASIC])]
    right = FoundPortal(portal_id="bpc_1", prices=prices_mark(plans))
    assert portal_step(plans, right, makes_prices=False) is None
    assert portal_step(plans, None, makes_prices=False) == PutPortal(portal_id=None)
    assert portal_step(plans, right, makes_prices=True) == PutPortal(portal_id="bpc_1")
    others = [replace(plans[-1], price_id="price_2")]
    assert portal_step(others, right, makes_prices=False) == PutPortal(portal_id="bpc_1")
    assert prices_mark(plans) == prices_mark(plans[1:])  # a package's is no plan's
