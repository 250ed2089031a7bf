"""Usage as it is counted from the log: sums of it are sums of the settlements, each in the day of its call."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from contracts.events.charges import Charge
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, ReservationReleased, UsageSettled
from contracts.usage import Outcome, UsageSource
from hypothesis import given
from hypothesis import strategies as st
from ledger.projections.projection import BrokenLogError
from ledger.projections.usage import corrected_reservations, count_usage, quarter_of
from ledger.store.facts import Fact
from ledger.store.projected.tracks import PageEvent
from ledger.store.projected.usage_rows import Estimate, Figures, ReservationKey, UsageKey
from msgspec.structs import replace

from tests.unit.ledger.histories import begun_at, events_of, histories, last_settlements, pages
from tests.unit.ledger.story import ACCOUNT_ID, START, Story, expire, opened, reserve, settle

CHAT = "/v1/chat/completions"
TTL = timedelta(minutes=15)


class Tables:
    """What the two tables of usage hold, page after page."""

    def __init__(self) -> None:
        self.rows: dict[UsageKey, Figures] = {}
        self.estimates: dict[ReservationKey, Estimate] = {}

    def take(self, page: Sequence[PageEvent[LedgerEvent]]) -> None:
        wanted = set(corrected_reservations(page))
        changes = count_usage(page, {key: each for key, each in self.estimates.items() if key in wanted})
        for row, added in changes.added.items():
            assert added != Figures()
            self.rows[row] = Figures(*map(sum, zip(self.rows.get(row, Figures()), added, strict=True)))
            if self.rows[row].calls == 0:
                assert self.rows.pop(row) == Figures()
        for reservation in changes.ended:
            del self.estimates[reservation]
        assert self.estimates.keys().isdisjoint(changes.begun)
        self.estimates |= changes.begun

    @property
    def total(self) -> Figures:
        return Figures(*map(sum, zip(Figures(), *self.rows.values(), strict=True)))


def counted(story: Story) -> Tables:
    tables = Tables()
    tables.take(events_of(story))
    return tables


def row_at(moment: datetime, model: str = "weighted") -> UsageKey:
    return UsageKey(ACCOUNT_ID, moment, model, CHAT)


def test_a_settled_call_is_one_call_with_the_providers_figures_and_its_cost() -> None:
    story = Story().given(opened(), reserve("r", prompt=200, model="weighted"))
    story.when(settle("r", prompt=100, cached=40, cache_write=10, completion=30, model="weighted"))
    (settled,) = story.happened(UsageSettled)
    assert counted(story).rows == {
        row_at(START): Figures(1, 100, 40, 10, 30, 0, settled.billable_tokens, settled.cost_usd_micros)
    }
    assert settled.cost_usd_micros > 0


def test_a_call_without_a_price_and_one_of_our_own_count_are_told_apart() -> None:
    command = settle("r", prompt=5)
    story = Story().given(opened(), replace(command, usage=replace(command.usage, usage_source=UsageSource.ESTIMATED)))
    (figures,) = counted(story).rows.values()
    assert (figures.estimated_calls, figures.unpriced_calls, figures.cost_usd_micros) == (1, 1, 0)


def test_what_cost_nothing_since_it_never_was_a_call_is_not_counted() -> None:
    story = Story().given(opened(), reserve("r", prompt=9), settle("r", prompt=9, outcome=Outcome.NOT_FORWARDED))
    assert story.happened(ReservationReleased)
    assert counted(story).rows == {}


def test_a_hold_that_was_charged_counts_when_it_was_made_until_its_usage_comes() -> None:
    story = Story().given(opened(), reserve("r", prompt=100, maximum=50, model="weighted"))
    story.at(START + timedelta(days=1)).when(expire("r"))
    (expired,) = story.happened(ReservationExpired)
    charged = Figures(
        calls=1,
        billable_tokens=expired.billable_tokens,
        unsettled_calls=1,
        unsettled_billable_tokens=expired.billable_tokens,
    )
    assert counted(story).rows == {row_at(START): charged}

    late = begun_at(settle("r", prompt=70, completion=3, model="weighted"), START + timedelta(minutes=16))
    story.at(START + timedelta(days=3)).when(late)
    (settled,) = story.happened(UsageSettled)
    assert settled.corrects_billable_tokens == expired.billable_tokens
    real = Figures(1, 70, 0, 0, 3, 0, settled.billable_tokens, settled.cost_usd_micros)
    tables = counted(story)
    assert tables.rows == {row_at(START + timedelta(minutes=15)): real}
    assert tables.estimates == {}


def test_usage_that_corrects_what_was_never_charged_is_no_usage_of_ours() -> None:
    story = Story().given(opened(), reserve("r", prompt=1)).at(START + TTL).given(expire("r"), settle("r", prompt=1))
    settled = [each for each in events_of(story) if isinstance(each.fact.data, UsageSettled)]
    with pytest.raises(BrokenLogError, match="usage of r corrects"):
        count_usage(settled, {})


def test_a_hold_that_an_older_ledger_charged_counts_when_that_was_decided() -> None:
    event = ReservationExpired(
        reservation_id="r", tokens=7, billable_tokens=7, charge=Charge(to_debt=7), cycle_id="c", model="weighted"
    )
    decided_at = datetime(2026, 1, 10, 12, 44, 59, tzinfo=UTC)
    changes = count_usage([PageEvent(1, ACCOUNT_ID, Fact(decided_at, event), 1)], {})
    assert [*changes.added] == [UsageKey(ACCOUNT_ID, datetime(2026, 1, 10, 12, 30, tzinfo=UTC), "weighted", "")]


@pytest.mark.parametrize(
    "told",
    [
        datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Kolkata")),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, tzinfo=ZoneInfo("America/Sao_Paulo")),
        START + timedelta(seconds=1),
    ],
)
def test_a_beginning_that_can_not_be_is_taken_for_the_moment_of_the_decision(told: datetime) -> None:
    assert quarter_of(told, START) == START


def test_a_beginning_without_an_offset_is_of_utc() -> None:
    assert quarter_of(datetime(2026, 1, 10, 11, 59), START) == datetime(2026, 1, 10, 11, 45, tzinfo=UTC)  # noqa: DTZ001


TRANSITIONS = (
    datetime(2018, 2, 18, 2, tzinfo=UTC),  # São Paulo: midnight comes twice
    datetime(2018, 11, 4, 3, tzinfo=UTC),  # São Paulo: midnight does not come
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe: by half an hour
)


@given(
    transition=st.sampled_from(TRANSITIONS),
    seconds=st.integers(-3 * 86_400, 3 * 86_400),
    zone=st.sampled_from(
        ["America/Sao_Paulo", "Asia/Kolkata", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]
    ),
)
def test_a_quarter_hour_lies_within_one_local_day(transition: datetime, seconds: int, zone: str) -> None:
    began_at, tz = transition + timedelta(seconds=seconds), ZoneInfo(zone)
    quarter = quarter_of(began_at, began_at)
    assert timedelta() <= began_at - quarter < timedelta(minutes=15)
    assert quarter.astimezone(tz).date() == began_at.astimezone(tz).date()


@given(story=histories(), sizes=st.lists(st.integers(1, 6), max_size=12))
def test_sums_of_usage_are_sums_of_settlements_in_pages_of_any_size(story: Story, sizes: list[int]) -> None:
    tables, whole = Tables(), counted(story)
    for page in pages(events_of(story), sizes):
        tables.take(page)
    assert (tables.rows, tables.estimates) == (whole.rows, whole.estimates)

    settled = last_settlements(story)
    corrected = {each.reservation_id for each in settled}
    unsettled = [each for each in story.logged(ReservationExpired) if each.reservation_id not in corrected]
    assert tables.total == Figures(
        calls=len(settled) + len(unsettled),
        prompt_tokens=sum(each.usage.prompt_tokens for each in settled),
        cached_prompt_tokens=sum(each.usage.cached_prompt_tokens for each in settled),
        cache_write_tokens=sum(each.usage.cache_write_tokens for each in settled),
        completion_tokens=sum(each.usage.completion_tokens for each in settled),
        reasoning_tokens=sum(each.usage.reasoning_tokens for each in settled),
        billable_tokens=sum(each.billable_tokens for each in settled) + sum(each.billable_tokens for each in unsettled),
        cost_usd_micros=sum(each.cost_usd_micros for each in settled),
        unsettled_calls=len(unsettled),
        unsettled_billable_tokens=sum(each.billable_tokens for each in unsettled),
        estimated_calls=sum(each.usage_source is UsageSource.ESTIMATED for each in settled),
        unpriced_calls=sum(each.price_known is False for each in settled),
    )
    assert all(row.calls > 0 and min(row) >= 0 for row in tables.rows.values())
