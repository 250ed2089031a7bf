"""What an operator types makes one order, at the catalog's price or the one that was typed."""

from dataclasses import replace

import pytest
from billing.domain.approvals import check_approver, needs_approval
from billing.domain.manual_orders import Entry, Priced, price
from billing.domain.offers import Offer
from contracts.errors import InvalidError

SMALL = Offer(id="small", tokens=500_000, prices={"brl": 7490, "usd": 1490}, stripe_prices={}, names={})
PACKAGE = Entry(account_id="ana", package_id="small", paid_by="bank_transfer", reference="E-1", reason="paid by Pix")
TOKENS = replace(PACKAGE, package_id=None, tokens=1_000)


@pytest.mark.parametrize(
    ("entry", "package", "priced"),
    [
        (PACKAGE, SMALL, Priced(tokens=500_000, amount_minor=7490, currency="brl")),
        (replace(PACKAGE, currency="usd"), SMALL, Priced(tokens=500_000, amount_minor=1490, currency="usd")),
        (replace(PACKAGE, amount_minor=7000), SMALL, Priced(tokens=500_000, amount_minor=7000, currency="brl")),
        (
            replace(PACKAGE, amount_minor=900, currency="eur"),
            SMALL,
            Priced(tokens=500_000, amount_minor=900, currency="eur"),
        ),
        (replace(PACKAGE, paid_by="courtesy"), SMALL, Priced(tokens=500_000, amount_minor=0, currency="brl")),
        (replace(PACKAGE, paid_by="correction"), SMALL, Priced(tokens=500_000, amount_minor=0, currency="brl")),
        (TOKENS, None, Priced(tokens=1_000, amount_minor=0, currency="brl")),
        (replace(TOKENS, amount_minor=5), None, Priced(tokens=1_000, amount_minor=5, currency="brl")),
    ],
)
def test_what_it_comes_to(entry: Entry, package: Offer | None, priced: Priced) -> None:
    assert price(entry, package) == priced


@pytest.mark.parametrize(
    ("entry", "package"),
    [
        (replace(TOKENS, tokens=None), None),
        (replace(PACKAGE, tokens=5), SMALL),
        (replace(PACKAGE, currency="eur"), SMALL),
        (replace(TOKENS, paid_by="courtesy", amount_minor=5), None),
    ],
)
def test_what_makes_no_order(entry: Entry, package: Offer | None) -> None:
    with pytest.raises(InvalidError):
        price(entry, package)


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
