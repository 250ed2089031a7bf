"""Pauses double up to their bound, begin anew after a success, and never outlast what is left."""

import asyncio
from unittest.mock import AsyncMock

import pytest
from chassis.backoff import Backoff, pause_after


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    sleep = AsyncMock()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return sleep


async def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success(slept: AsyncMock) -> None:
    backoff = Backoff(0.5, 3.0)
    told = []
    for _ in range(4):
        told.append(backoff.seconds)
        await backoff.pause()
    backoff.reset()
    await backoff.pause()
    waited = [call.args[0] for call in slept.await_args_list]
    assert waited == [0.5, 1.0, 2.0, 3.0, 0.5]
    assert told == waited[:4]


async def test_a_pause_ends_with_what_is_left_of_the_time(slept: AsyncMock) -> None:
    backoff = Backoff(0.5, 3.0)
    await backoff.pause(at_most_seconds=0.2)
    await backoff.pause(at_most_seconds=-1.0)
    assert [call.args[0] for call in slept.await_args_list] == [0.2, -1.0]


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 0.005), (2, 0.01), (6, 0.16), (7, 0.2), (10**6, 0.2)])
def test_whoever_counts_attempts_gets_the_same_pauses(attempts: int, seconds: float) -> None:
    assert pause_after(attempts, 0.005, 0.2) == pytest.approx(seconds)
