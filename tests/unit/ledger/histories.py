"""Accounts' histories as the log has them, drawn at random, and cut into pages of any size."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from contracts.events.registry import LedgerEvent
from contracts.events.reservations import CorrectedEstimate, UsageSettled
from contracts.usage import Outcome
from hypothesis import strategies as st
from ledger.domain.commands import SettleUsage
from ledger.domain.holds import may_be_corrected
from ledger.domain.settlements import FREE_OUTCOMES
from ledger.store.facts import Fact
from ledger.store.projected.tracks import PageEvent
from msgspec.structs import replace

from tests.unit.ledger.estimates import as_estimate
from tests.unit.ledger.story import ACCOUNT_ID, Story, expire, grant, opened, reserve, settle


def events_of(story: Story) -> list[PageEvent[LedgerEvent]]:
    return [PageEvent(n, ACCOUNT_ID, Fact(at, event), n) for n, (at, event) in enumerate(story.log, start=1)]


def begun_at(command: SettleUsage, moment: datetime) -> SettleUsage:
    return replace(command, usage=replace(command.usage, started_at=moment))


@st.composite
def histories(draw: st.DrawFn) -> Story:
    """Calls of two models that end in every way, at once, late, twice, and not at all."""
    story = Story().given(opened(), grant("lot", draw(st.integers(1, 30_000))))
    ended: list[SettleUsage] = []
    for number in range(draw(st.integers(1, 12))):
        story.after(seconds=draw(st.integers(0, 3_000)))
        reservation_id, model = f"r{number}", draw(st.sampled_from(["known", "weighted", "free-output"]))
        if draw(st.booleans()):
            story.when(reserve(reservation_id, prompt=draw(st.integers(1, 900)), maximum=40, model=model))
        began_at = story.now
        if draw(st.booleans()):
            story.after(minutes=16).when(expire(reservation_id))
        if draw(st.integers(0, 4)):
            prompt = draw(st.integers(0, 2_000))
            outcome = draw(st.sampled_from([*Outcome]))
            command = settle(
                reservation_id, prompt=prompt, cached=prompt // 3, completion=prompt // 7, model=model, outcome=outcome
            )
            command = begun_at(command, began_at + timedelta(seconds=draw(st.integers(-5, 1_200))))
            if outcome not in FREE_OUTCOMES and draw(st.booleans()):
                command = as_estimate(command)
            ended.append(command)
        comes_again = draw(st.booleans())
        if ended and comes_again:
            story.after(hours=draw(st.integers(0, 30))).when(ended[draw(st.integers(0, len(ended) - 1))])
        if draw(st.booleans()):
            story.after(hours=draw(st.integers(0, 30)))
            _correct_an_estimate(story, draw(st.integers(0, 2_000)), draw(st.integers(0, 100)))
    return story


def _correct_an_estimate(story: Story, prompt: int, pick: int) -> None:
    """One of those that still stand, if any does, by figures that were told by somebody else."""
    corrected = {each.reservation_id for each in story.logged(UsageSettled) if each.corrects_estimate is not None}
    settled = [
        (at, event)
        for at, event in story.log
        if isinstance(event, UsageSettled) and may_be_corrected(event) and event.reservation_id not in corrected
    ]
    if not settled:
        return
    told_at, event = settled[pick % len(settled)]
    estimate = CorrectedEstimate(
        content_hash=event.content_hash,
        usage=event.usage,
        cost_usd_micros=event.cost_usd_micros,
        price_known=event.price_known,
        unreserved_rates=event.unreserved_rates,
        catalog_version=event.catalog_version,
    )
    command = settle(event.reservation_id, prompt=prompt, completion=prompt // 9, model=event.model)
    # As it is counted: no call begins after it was told of.
    command = begun_at(command, min(event.started_at, told_at))
    story.when(replace(command, corrects_estimate=estimate))


def last_settlements(story: Story) -> list[UsageSettled]:
    """Of each reservation the one that counts: an estimate that gave way is none."""
    return list({each.reservation_id: each for each in story.logged(UsageSettled)}.values())


def pages(events: Sequence[PageEvent[LedgerEvent]], sizes: Iterable[int]) -> Iterator[Sequence[PageEvent[LedgerEvent]]]:
    for size in sizes:
        yield events[:size]
        events = events[size:]
    yield events
