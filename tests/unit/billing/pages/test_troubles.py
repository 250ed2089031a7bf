"""Whatever billing refuses has words for whoever wants to buy."""

import pytest
from billing.application.errors import BillingError, TopUpRefusedError
from billing.http.pages.english import ENGLISH
from billing.http.pages.portuguese import PORTUGUESE
from billing.http.pages.troubles import Trouble, trouble_of

NO_PAGE_MEETS = {TopUpRefusedError}


@pytest.mark.parametrize("error", sorted(set(BillingError.__subclasses__()) - NO_PAGE_MEETS, key=str))
def test_every_refusal_is_a_trouble_of_its_own_or_one_that_is_the_same_to_people(error: type[BillingError]) -> None:
    assert trouble_of(error.__new__(error)) in Trouble


@pytest.mark.parametrize("trouble", list(Trouble))
def test_every_trouble_has_a_status_and_words_in_both_languages(trouble: Trouble) -> None:
    assert 400 <= trouble.status < 600
    portuguese, english = trouble.fault_in(PORTUGUESE), trouble.fault_in(ENGLISH)
    assert portuguese.title
    assert english.title
    assert {portuguese.title, portuguese.text}.isdisjoint({english.title, english.text})


def test_where_a_payment_may_have_come_through_nobody_is_told_that_nothing_was_charged() -> None:
    for words, promise in ((PORTUGUESE, "Nada foi cobrado"), (ENGLISH, "Nothing was charged")):
        promising = {trouble for trouble in Trouble if promise in trouble.fault_in(words).text}
        assert promising <= {Trouble.PAYMENTS_AWAY, Trouble.PAYMENT_REFUSED}
