"""What an order's page tells of each state, in both languages."""

from datetime import UTC, datetime, timedelta
from string import Formatter

import pytest
from billing.domain.arrivals import Arrival
from billing.domain.orders import Order, OrderKind, OrderState
from billing.http.pages.english import ENGLISH
from billing.http.pages.order_sight import sight_of, stage_of
from billing.http.pages.portuguese import PORTUGUESE
from billing.http.pages.words import OrderStage
from msgspec.structs import replace

NOW = datetime(2026, 11, 26, tzinfo=UTC)
ORDER = Order(
    id="ord_1",
    kind=OrderKind.PACKAGE,
    account_id="ana",
    package_id="small",
    tokens=500_000,
    amount_minor=7_490,
    currency="brl",
    session_url="https://checkout.example/pay",
    receipt_url="https://receipts.example/1",
    created_at=NOW,
    changed_at=NOW,
)
PAID = replace(ORDER, state=OrderState.PAID, paid_at=NOW)
USABLE = Arrival.USABLE


@pytest.mark.parametrize("state", list(OrderState))
def test_an_order_can_be_paid_only_where_its_checkout_is_open(state: OrderState) -> None:
    sight = sight_of(replace(ORDER, state=state), NOW)
    assert (sight.pay_url is not None) is (state is OrderState.OPEN)


@pytest.mark.parametrize("state", list(OrderState))
def test_what_may_still_change_is_looked_at_and_what_came_to_nothing_may_be_tried_again(state: OrderState) -> None:
    sight = sight_of(replace(ORDER, state=state), NOW, USABLE)
    assert sight.is_live is (state in {OrderState.CREATED, OrderState.OPEN, OrderState.PENDING})
    assert sight.may_retry is (state in {OrderState.FAILED, OrderState.EXPIRED, OrderState.CANCELLED})


def test_it_is_never_said_that_the_chat_works_but_of_what_is_paid_and_kept() -> None:
    working = {OrderStage.CREDITED, OrderStage.SUBSCRIBED}
    assert {
        state for state in OrderState if stage_of(replace(ORDER, state=state, paid_at=NOW), NOW, USABLE) in working
    } == {OrderState.PAID}
    assert stage_of(replace(PAID, revoked_tokens=500_000), NOW, USABLE) is OrderStage.TAKEN_BACK


@pytest.mark.parametrize("questioned", [{"disputed_minor": 7_490}, {"is_frozen": True}])
def test_a_payment_that_is_questioned_is_not_said_to_have_been_refunded(questioned: dict[str, int]) -> None:
    assert stage_of(replace(PAID, revoked_tokens=500_000, **questioned), NOW, USABLE) is OrderStage.QUESTIONED


def test_an_hour_after_it_was_paid_nobody_knows_whether_the_chat_works() -> None:
    assert stage_of(PAID, NOW + timedelta(hours=1), USABLE) is OrderStage.CREDITED
    assert stage_of(PAID, NOW + timedelta(hours=1, seconds=1), USABLE) is OrderStage.SETTLED


@pytest.mark.parametrize("kind", [OrderKind.PACKAGE, OrderKind.SUBSCRIPTION])
def test_what_the_ledger_has_not_carried_out_is_not_said_to_work_and_is_looked_at_again(kind: OrderKind) -> None:
    sight = sight_of(replace(PAID, kind=kind, plan="pro"), NOW, Arrival.AWAITED)
    assert (sight.stage, sight.is_live, sight.may_retry, sight.pay_url) == (OrderStage.ARRIVING, True, False, None)


def test_of_an_account_that_serves_no_call_no_more_is_said_than_that_the_order_is_paid() -> None:
    assert stage_of(PAID, NOW, Arrival.IDLE) is OrderStage.SETTLED


def test_of_what_is_taken_back_in_part_the_page_says_how_much() -> None:
    sight = sight_of(replace(PAID, revoked_tokens=200_000), NOW)
    assert (sight.stage, sight.taken_back) == (OrderStage.SETTLED, 200_000)


def test_a_paid_plan_is_told_as_a_plan() -> None:
    plan = replace(PAID, kind=OrderKind.SUBSCRIPTION, plan="pro", package_id=None)
    assert stage_of(plan, NOW, USABLE) is OrderStage.SUBSCRIBED


def test_the_price_is_what_was_collected_where_that_is_known() -> None:
    assert sight_of(ORDER, NOW).price_minor == 7_490
    assert sight_of(replace(PAID, paid_minor=5_000), NOW).price_minor == 5_000
    assert sight_of(replace(PAID, paid_minor=0), NOW).price_minor == 0


@pytest.mark.parametrize("words", [PORTUGUESE, ENGLISH], ids=["pt", "en"])
def test_every_standing_has_words_with_places_for_what_is_known(words: object) -> None:
    assert words in (PORTUGUESE, ENGLISH)
    situations = (PORTUGUESE if words is PORTUGUESE else ENGLISH).order.situations
    assert situations.keys() == set(OrderStage)
    for situation in situations.values():
        places = {name for _, name, _, _ in Formatter().parse(situation.title + situation.text) if name}
        assert places <= {"item", "price"}


def test_nobody_is_told_that_nothing_was_charged_where_it_was_or_may_have_been() -> None:
    unpaid = {OrderStage.DECLINED, OrderStage.EXPIRED, OrderStage.CANCELLED}
    for words, promise in ((PORTUGUESE, "Nada foi cobrado"), (ENGLISH, "Nothing was charged")):
        told = {stage for stage, situation in words.order.situations.items() if promise in situation.text}
        assert told == unpaid
