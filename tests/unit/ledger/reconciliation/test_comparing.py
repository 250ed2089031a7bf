"""Each way in which two sides of a call can disagree has a name, and a merge of both sides loses no call."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.usage import Outcome, UsageSource
from hypothesis import given
from hypothesis import strategies as st
from ledger.reconciliation.comparing import Pair, Reason, compare, joined
from ledger.store.reconciliation.rows import CallState, Kind, LedgerCall, Sums, Tokens, UpstreamCall

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
USED = Tokens(100, 20, 0, 0, 0)


def ours(**fields: Any) -> LedgerCall:
    known: dict[str, Any] = {
        "call_id": "c",
        "account_id": "ana",
        "state": CallState.SETTLED,
        "model": "gpt-4o",
        "endpoint": "/v1/chat/completions",
        "started_at": NOON,
        "told_at": NOON,
        "settlements": 1,
        "usage_source": UsageSource.PROVIDER.value,
        "outcome": Outcome.COMPLETED.value,
        "tokens": USED,
        "cost_usd_micros": 500,
    }
    return LedgerCall(**known | fields)


def theirs(**fields: Any) -> UpstreamCall:
    known: dict[str, Any] = {
        "call_id": "c",
        "account_id": "ana",
        "model": "gpt-4o",
        "started_at": NOON,
        "ended_at": NOON,
        "failed": False,
        "cached": False,
        "tokens": USED,
        "cost_usd_micros": 500,
    }
    return UpstreamCall(**known | fields)


NONE = Tokens(0, 0, 0, 0, 0)
OPEN = ours(state=CallState.OPEN, tokens=NONE, settlements=0)
EXPIRED = ours(state=CallState.EXPIRED, tokens=NONE, settlements=0)
RELEASED = ours(state=CallState.RELEASED, tokens=NONE, settlements=0)
ESTIMATED = ours(usage_source=UsageSource.ESTIMATED.value, tokens=Tokens(90, 25, 0, 0, 0))


@pytest.mark.parametrize(
    ("mine", "other", "kind", "reason", "differing", "correctable"),
    [
        (None, theirs(), Kind.MISSING_HERE, Reason.NO_RESERVATION, 120, False),
        (OPEN, theirs(), Kind.MISSING_HERE, Reason.OPEN, 120, False),
        (EXPIRED, theirs(), Kind.MISSING_HERE, Reason.UNSETTLED, 120, True),
        (EXPIRED, theirs(tokens=NONE, failed=True), Kind.MISSING_HERE, Reason.UNSETTLED, 0, True),
        (EXPIRED, theirs(tokens=NONE), Kind.MISSING_HERE, Reason.UNSETTLED, 0, False),
        (EXPIRED, theirs(account_id="bia"), Kind.MISSING_HERE, Reason.ACCOUNT, 120, False),
        (EXPIRED, None, Kind.MISSING_THERE, Reason.UNSETTLED, 0, False),
        # What LiteLLM says of another account's call neither charges this one nor gives anything back to it.
        (EXPIRED, theirs(account_id="bia", tokens=NONE, failed=True), Kind.MISSING_HERE, Reason.ACCOUNT, 0, False),
        (ESTIMATED, theirs(account_id="bia"), Kind.DIFFERENT, Reason.ACCOUNT, 120, False),
        (ours(), None, Kind.MISSING_THERE, Reason.UNKNOWN_THERE, 120, False),
        (ours(tokens=Tokens(100, 21, 0, 0, 0)), theirs(), Kind.DIFFERENT, Reason.TOKENS, 1, False),
        (ours(tokens=Tokens(100, 20, 7, 0, 0)), theirs(), Kind.DIFFERENT, Reason.TOKENS, 7, False),
        (ESTIMATED, theirs(), Kind.DIFFERENT, Reason.ESTIMATE, 15, True),
        (ESTIMATED, theirs(tokens=NONE, failed=True), Kind.DIFFERENT, Reason.FAILED_THERE, 115, False),
        (ours(settlements=2), theirs(), Kind.DIFFERENT, Reason.DOUBLED, 120, False),
        (ours(), theirs(account_id="bia"), Kind.DIFFERENT, Reason.ACCOUNT, 120, False),
        (RELEASED, theirs(), Kind.DIFFERENT, Reason.NOT_CHARGED, 120, False),
    ],
)
def test_what_disagrees_has_a_name(  # noqa: PLR0917
    mine: LedgerCall | None, other: UpstreamCall | None, kind: Kind, reason: Reason, differing: int, correctable: bool
) -> None:
    compared = compare(Pair(mine, other))
    assert compared is not None
    assert compared.finding is not None
    found = compared.finding
    assert (found.kind, found.reason, found.correctable) == (kind, reason.value, correctable)
    assert (compared.sums.differing_tokens, getattr(compared.sums, kind.value)) == (differing, 1)


def test_a_second_reservation_of_a_call_is_told_from_one_that_nobody_knows() -> None:
    compared = compare(Pair(ours(), None, is_again=True))
    assert compared is not None
    assert compared.finding is not None
    assert (compared.finding.kind, compared.finding.reason) == (Kind.MISSING_THERE, Reason.DOUBLED.value)


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (ours(), theirs()),
        (ours(), theirs(account_id="")),
        (ours(tokens=Tokens(100, 20, 7, 3, 2)), theirs(tokens=Tokens(100, 20))),
        (RELEASED, theirs(tokens=NONE, failed=True)),
        (ours(tokens=NONE), theirs(tokens=NONE, failed=True)),
    ],
)
def test_what_agrees_is_matched(mine: LedgerCall, other: UpstreamCall) -> None:
    compared = compare(Pair(mine, other))
    assert compared is not None
    assert (compared.finding, compared.sums.matched, compared.sums.differing_tokens) == (None, 1, 0)


@pytest.mark.parametrize("mine", [OPEN, RELEASED, ours(tokens=NONE)])
def test_of_a_call_that_used_nothing_yet_nobody_else_need_know(mine: LedgerCall) -> None:
    assert compare(Pair(mine, None)) is None


@pytest.mark.parametrize(
    ("mine", "other", "differing"),
    [
        (ours(cost_usd_micros=500), theirs(cost_usd_micros=501), 0),
        (ours(cost_usd_micros=500), theirs(cost_usd_micros=600), 99),
        (ours(cost_usd_micros=0, price_known=False), theirs(cost_usd_micros=600), 0),
        (ours(cost_usd_micros=500), theirs(cost_usd_micros=0), 0),
        (ours(cost_usd_micros=500), theirs(cost_usd_micros=3, cached=True), 0),
    ],
)
def test_costs_are_compared_where_both_sides_have_a_price(
    mine: LedgerCall, other: UpstreamCall, differing: int
) -> None:
    compared = compare(Pair(mine, other))
    assert compared is not None
    assert compared.sums.differing_cost_usd_micros == differing


def test_shares_are_of_the_side_that_has_more() -> None:
    assert Sums(our_tokens=50, their_tokens=200, differing_tokens=1).difference_percent == 0.5
    assert Sums().difference_percent == 0
    assert Sums(our_tokens=7, differing_tokens=7).difference_percent == 100


async def every[Side](side: list[Side]) -> AsyncGenerator[Side]:
    for each in side:
        yield each


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["ana", "bia"])), unique=True),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["ana", "bia", ""])), unique_by=lambda call: call[0]),
)
async def test_a_merge_of_both_sides_has_each_call_once(
    mine: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    left = [ours(call_id=call, account_id=account) for call, account in sorted(mine)]
    right = [theirs(call_id=call, account_id=account) for call, account in sorted(other)]
    pairs = [pair async for pair in joined(every(left), every(right))]
    assert sorted((a.call_id, a.account_id) for a, _, _ in pairs if a) == sorted(mine)
    assert sorted((b.call_id, b.account_id) for _, b, _ in pairs if b) == sorted(other)
    known_here, known_there = {call for call, _ in mine}, {call for call, _ in other}
    for a, b, is_again in pairs:
        if a is not None and b is not None:
            assert a.call_id == b.call_id
            assert a.account_id == b.account_id or (b.call_id, b.account_id) not in mine
            assert not is_again
        elif a is not None:
            assert is_again == (a.call_id in known_there)
        else:
            assert b is not None
            assert b.call_id not in known_here
