"""Which commands make the next batch."""

import asyncio
from collections import Counter

import pytest
from ledger.application.executor import LANES
from ledger.application.queues import BATCH_SIZE, CAPACITY, GUARANTEED, MAX_RESERVE_WAIT_SECONDS, Queues
from ledger.application.submission import Kind, Submission
from ledger.domain.commands import AdvanceAccount

CALLS, ENDS = LANES


def submission(kind: Kind, at: float = 0.0, number: int = 0) -> Submission:
    loop = asyncio.new_event_loop()
    answer: asyncio.Future[object] = loop.create_future()
    loop.close()
    return Submission(
        command=AdvanceAccount(account_id=f"{kind}-{number}"),
        kind=kind,
        answer=answer,  # type: ignore[arg-type]  # never resolved here
        enqueued_at=at,
    )


def filled(**waiting: int) -> Queues:
    queues = Queues()
    for kind, count in waiting.items():
        for number in range(count):
            assert queues.offer(submission(Kind(kind), number=number))
    return queues


def kinds(batch: list[Submission]) -> Counter[str]:
    return Counter(str(each.kind) for each in batch)


def test_a_lone_command_makes_a_batch() -> None:
    assert kinds(filled(usage=1).next_batch(ENDS, ())) == {"usage": 1}


def test_a_lane_takes_its_own_kinds_alone() -> None:
    queues = filled(reserve=10, usage=1_000)
    assert kinds(queues.next_batch(CALLS, ())) == {"reserve": 10}
    assert kinds(queues.next_batch(ENDS, ())) == {"usage": BATCH_SIZE}


@pytest.mark.parametrize("lane", LANES)
def test_nobody_starves_when_all_wait(lane: tuple[Kind, ...]) -> None:
    batch = kinds(filled(reserve=1_000, usage=1_000, admin=1_000, sweeper=1_000).next_batch(lane, ()))
    assert sum(batch.values()) == BATCH_SIZE
    assert all(batch[str(kind)] >= GUARANTEED.get(kind, 1) for kind in lane)


def test_accounts_in_another_lanes_commit_are_passed_over_and_keep_their_place() -> None:
    queues = filled(usage=3)
    assert [each.account_id for each in queues.next_batch(ENDS, {"usage-0", "usage-2"})] == ["usage-1"]
    assert [each.account_id for each in queues.next_batch(ENDS, ())] == ["usage-0", "usage-2"]


@pytest.mark.parametrize("kind", list(Kind))
def test_everything_is_taken_in_the_end_and_in_order(kind: Kind) -> None:
    queues = filled(**{str(kind): 300})
    taken: list[str] = []
    while batch := queues.next_batch((kind,), ()):
        assert len(batch) <= BATCH_SIZE
        taken += [each.account_id for each in batch]
    assert taken == [f"{kind}-{number}" for number in range(300)]
    assert queues.waiting(Kind) == 0


def test_a_full_queue_takes_nothing_more() -> None:
    queues = filled(reserve=CAPACITY[Kind.RESERVE])
    assert not queues.offer(submission(Kind.RESERVE))
    assert queues.offer(submission(Kind.USAGE))


def test_reserves_are_turned_away_while_the_oldest_waits_too_long() -> None:
    queues = filled(reserve=1)
    assert queues.offer(submission(Kind.RESERVE, at=MAX_RESERVE_WAIT_SECONDS))
    assert not queues.offer(submission(Kind.RESERVE, at=MAX_RESERVE_WAIT_SECONDS + 0.01))
