"""However the ends of a set of calls arrive (any order, repeated, late, expired before), the totals are the same."""

from dataclasses import dataclass

from hypothesis import given as for_all
from hypothesis import strategies as st
from ledger.domain.commands import SettleUsage

from tests.unit.ledger.story import Story, expire, grant, limit, not_forwarded, reserve, settle


@dataclass(frozen=True)
class Call:
    held: int
    used: int | None
    """None: never forwarded."""


calls = st.lists(
    st.builds(Call, held=st.integers(0, 1_200), used=st.none() | st.integers(0, 1_500)), min_size=1, max_size=6
)
lots = st.lists(st.integers(1, 1_000), max_size=3)


def totals(story: Story) -> dict[str, int]:
    """What was used, spent and is owed; `lapsed` allowance of ended cycles stands in `outside`."""
    balance = story.balance
    return {
        "used": balance.monthly_used,
        "credits": balance.credits,
        "debt": balance.debt,
        "held": balance.held,
        "available": balance.available,
    }


def with_holds(monthly_limit: int, granted_lots: list[int], made: list[Call]) -> tuple[Story, list[SettleUsage]]:
    story = Story().given(limit(monthly_limit), *(grant(f"lot{n}", tokens) for n, tokens in enumerate(granted_lots)))
    ends = []
    for number, call in enumerate(made):
        answer = story.when(reserve(f"r{number}", prompt=call.held, output_free=True))
        if hasattr(answer, "held_tokens"):
            name = f"r{number}"
            ends.append(not_forwarded(name) if call.used is None else settle(name, prompt=call.used))
    return story, ends


@for_all(monthly_limit=st.integers(0, 4_000), granted_lots=lots, made=calls, data=st.data())
def test_any_order_with_repetitions_ends_in_the_same_balance(
    monthly_limit: int, granted_lots: list[int], made: list[Call], data: st.DataObject
) -> None:
    expected, ends = with_holds(monthly_limit, granted_lots, made)
    expected.given(*ends)
    story, _ = with_holds(monthly_limit, granted_lots, made)
    for end in data.draw(st.permutations(ends * 2)):
        story.after(seconds=data.draw(st.integers(0, 30))).given(end)
    assert totals(story) == totals(expected)
    assert story.lots == expected.lots
    assert story.balance.held == 0


@for_all(monthly_limit=st.integers(0, 4_000), granted_lots=lots, made=calls, data=st.data())
def test_holds_that_expired_before_their_usage_came_end_in_the_same_totals(
    monthly_limit: int, granted_lots: list[int], made: list[Call], data: st.DataObject
) -> None:
    expected, ends = with_holds(monthly_limit, granted_lots, made)
    expected.given(*ends)
    story, _ = with_holds(monthly_limit, granted_lots, made)
    expiring = [end for end in ends if data.draw(st.booleans())]
    early = [end for end in ends if end not in expiring]
    split = data.draw(st.integers(0, len(early)))
    story.given(*early[:split]).after(hours=1)
    story.given(*(expire(end.reservation_id) for end in data.draw(st.permutations(expiring))))
    story.given(*data.draw(st.permutations(early[split:] + expiring)))
    late, punctual = totals(story), totals(expected)
    # A correction gives back to the bucket that the expiry took from, so which bucket pays may differ; the sum may not.
    assert late["used"] - late["credits"] + late["debt"] == punctual["used"] - punctual["credits"] + punctual["debt"]
    assert late["available"] == punctual["available"]
    assert late["held"] == 0


@for_all(monthly_limit=st.integers(0, 4_000), granted_lots=lots, made=calls, data=st.data())
def test_ends_after_the_cycle_in_any_order_take_the_same_from_credits_and_debt(
    monthly_limit: int, granted_lots: list[int], made: list[Call], data: st.DataObject
) -> None:
    expected, ends = with_holds(monthly_limit, granted_lots, made)
    expected.after(days=31).given(*ends)
    story, _ = with_holds(monthly_limit, granted_lots, made)
    story.after(days=31).given(*data.draw(st.permutations(ends)))
    assert totals(story) == totals(expected)
    assert story.balance.monthly_used == 0
    assert story.account.closed_cycles == ()
