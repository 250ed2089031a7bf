"""What an operator types makes one order, at the catalog's price or the one that was typed."""

from dataclasses import replace

import pytest
from billing.domain.manual_orders import Entry, Priced, check_approver, needs_approval, price
from billing.domain.offers import Offer, Offers
from contracts.errors import InvalidError

SMALL = Offer(id="small", tokens=500_000, prices={"brl": 7490, "usd": 1490}, stripe_prices={}, names={})
OFFERS = Offers(packages=[SMALL], plans=[])
PACKAGE = Entry(account_id="ana", package_id="small", paid_by="bank_transfer", reference="E-1", reason="paid by Pix")
TOKENS = replace(PACKAGE, package_id=None, tokens=1_000)


@pytest.mark.parametrize(
    ("entry", "priced"),
    [
        (PACKAGE, Priced(tokens=500_000, amount_minor=7490, currency="brl")),
        (replace(PACKAGE, currency="usd"), Priced(tokens=500_000, amount_minor=1490, currency="usd")),
        (replace(PACKAGE, amount_minor=7000), Priced(tokens=500_000, amount_minor=7000, currency="brl")),
        (
            replace(PACKAGE, amount_minor=900, currency="eur"),
            Priced(tokens=500_000, amount_minor=900, currency="eur"),
        ),
        (replace(PACKAGE, paid_by="courtesy"), Priced(tokens=500_000, amount_minor=0, currency="brl")),
        (replace(PACKAGE, paid_by="correction"), Priced(tokens=500_000, amount_minor=0, currency="brl")),
        (TOKENS, Priced(tokens=1_000, amount_minor=0, currency="brl")),
        (replace(TOKENS, amount_minor=5), Priced(tokens=1_000, amount_minor=5, currency="brl")),
    ],
)
def test_what_it_comes_to(entry: Entry, priced: Priced) -> None:
    assert price(entry, OFFERS) == priced


def test_tokens_are_entered_in_the_currency_in_which_the_catalog_sells() -> None:
    dollars = Offers(packages=[], plans=[Offer(id="pro", tokens=7, prices={"usd": 5}, stripe_prices={}, names={})])
    assert price(replace(TOKENS, amount_minor=5), dollars) == Priced(tokens=1_000, amount_minor=5, currency="usd")


@pytest.mark.parametrize(
    "entry",
    [
        replace(TOKENS, tokens=None),
        replace(PACKAGE, tokens=5),
        replace(PACKAGE, package_id="smal"),
        replace(PACKAGE, currency="eur"),
        replace(TOKENS, paid_by="courtesy", amount_minor=5),
    ],
)
def test_what_makes_no_order(entry: Entry) -> None:
    with pytest.raises(InvalidError):
        price(entry, OFFERS)


def test_only_a_repetition_has_the_same_content() -> None:
    assert replace(PACKAGE).content_hash == PACKAGE.content_hash
    others = [
        replace(PACKAGE, amount_minor=1),
        replace(PACKAGE, reason="other"),
        replace(PACKAGE, paid_by="cash"),
        replace(PACKAGE, payer_id="bia"),
        replace(PACKAGE, reference="E-2"),
    ]
    assert len({entry.content_hash for entry in (PACKAGE, *others)}) == 6


def test_one_reference_and_one_key_are_one_order_of_an_account() -> None:
    keys = [
        PACKAGE.request_key(None),
        PACKAGE.request_key("E-1"),
        PACKAGE.request_key("E-2"),
        replace(PACKAGE, reference="E-2").request_key(None),
        replace(PACKAGE, account_id="bia").request_key(None),
        replace(PACKAGE, account_id="bia").request_key("E-1"),
    ]
    assert len(set(keys)) == len(keys)
    assert replace(PACKAGE, reason="other").request_key(None) == keys[0]


def test_a_second_person_is_another_one() -> None:
    assert not needs_approval(5_000_000, 5_000_000)
    assert needs_approval(5_000_001, 5_000_000)
    check_approver("operator:ana", "operator:bia")
    with pytest.raises(InvalidError, match="second person"):
        check_approver("operator:ana", "operator:ana")
