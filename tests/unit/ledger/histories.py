"""Accounts' histories as the log has them, drawn at random, and cut into pages of any size."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from contracts.events.registry import LedgerEvent
from contracts.usage import Outcome
from hypothesis import strategies as st
from ledger.domain.commands import SettleUsage
from ledger.store.facts import Fact
from ledger.store.tracks import PageEvent
from msgspec.structs import replace

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
            ended.append(begun_at(command, began_at + timedelta(seconds=draw(st.integers(-5, 1_200)))))
        comes_again = draw(st.booleans())
        if ended and comes_again:
            story.after(hours=draw(st.integers(0, 30))).when(ended[draw(st.integers(0, len(ended) - 1))])
    return story


def pages(events: Sequence[PageEvent[LedgerEvent]], sizes: Iterable[int]) -> Iterator[Sequence[PageEvent[LedgerEvent]]]:
    for size in sizes:
        yield events[:size]
        events = events[size:]
    yield events
