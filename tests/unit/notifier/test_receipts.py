"""What a receipt becomes in the light of the account, and which word of restored access it takes along."""

from dataclasses import replace
from datetime import timedelta

import pytest
from contracts.events.billing import PlanChange
from notifier.domain.composing import Context
from notifier.domain.mails import compose, is_too_late
from notifier.domain.notices import NOTICE_LIFETIME, WARNING_LIFETIME, Notice
from notifier.domain.receipts import Receipt

from tests.support import receipt_examples as say
from tests.support.receipt_examples import NOW

BACK = say.access_restored(say.standing())
OUT = replace(BACK, kind="tokens-exhausted", cause="event:0")


def later(notice: Notice, minutes: int) -> Notice:
    return replace(notice, cause=f"event:{minutes}", occurred_at=NOW + timedelta(minutes=minutes))


def told(*beside: Notice, context: Context = Context(), known: bool = True, exhausted: bool = False) -> list[str]:  # noqa: B008
    """The kinds that the mail of a purchase and of what came with it tells."""
    standing = say.standing(exhausted=exhausted) if known else None
    composed = compose([say.notice(say.purchased()), *beside], context, standing, NOW)
    assert isinstance(composed.told, Receipt)
    assert composed.told.standing == standing
    ended = {notice.cause for notice in (*composed.told.others, *composed.overtaken, *composed.stale)}
    assert ended == {notice.cause for notice in beside}, "each ends somehow"
    return [composed.told.lead.kind, *(other.kind for other in composed.told.others)]


def test_a_purchase_is_told_alone_or_with_the_word_that_the_chat_works_again() -> None:
    assert told() == ["credits-purchased"]
    assert told(BACK) == ["credits-purchased", "access-restored"]
    assert told(BACK, context=Context(told=[OUT])) == ["credits-purchased", "access-restored"]


def test_the_word_is_left_out_where_it_is_not_true_or_not_the_last() -> None:
    assert told(BACK, exhausted=True) == ["credits-purchased"]
    assert told(BACK, known=False) == ["credits-purchased", "access-restored"], "the ledger's event is believed"
    assert told(BACK, context=Context(later=[later(OUT, 1)]), known=False) == ["credits-purchased"]
    assert told(BACK, context=Context(told=[later(BACK, 1)])) == ["credits-purchased"]
    assert told(BACK, later(BACK, 2)) == ["credits-purchased", "access-restored"]


def test_the_word_is_stale_before_the_receipt_is() -> None:
    now = NOW + WARNING_LIFETIME
    composed = compose([say.notice(say.purchased()), BACK], Context(), say.standing(), now)
    assert composed.told is not None
    assert composed.told.others == ()
    assert composed.stale == (BACK,)
    assert not is_too_late(say.notice(say.purchased()), NOW + 5 * NOTICE_LIFETIME)
    assert is_too_late(BACK, now)


def test_what_is_superseded_or_past_is_no_mail() -> None:
    paid = say.notice(say.purchased(order_id="o"))
    failed = say.notice(say.payment_failed(order_id="o"))
    superseded = compose([failed], Context(billing=[paid]), say.standing(), NOW)
    assert (superseded.told, superseded.overtaken) == (None, (failed,))
    past = compose([paid], Context(), say.standing(), NOW + timedelta(days=31))
    assert (past.told, past.stale) == (None, (paid,))


@pytest.mark.parametrize("change", [PlanChange.STARTED, PlanChange.RENEWED, PlanChange.UPGRADED])
def test_a_plan_that_was_paid_takes_the_word_along_too(change: PlanChange) -> None:
    composed = compose([say.notice(say.subscribed(change)), BACK], Context(), say.standing(), NOW)
    assert composed.told is not None
    assert composed.told.others == (BACK,)
