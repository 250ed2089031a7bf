"""Bounded queues by kind, and which commands make the next batch."""

from collections import deque
from typing import Final

from ledger.application.submission import Kind, Submission

BATCH_SIZE: Final = 128
CAPACITY: Final = {Kind.RESERVE: 4_096, Kind.USAGE: 4_096, Kind.ADMIN: 1_024, Kind.SWEEPER: 1_024}
PLACES_BESIDE_RESERVES: Final = {Kind.ADMIN: 16, Kind.SWEEPER: 8, Kind.USAGE: 24}
"""What a kind has in a batch at least, so that neither a backlog nor a storm starves another."""
MAX_RESERVES: Final = 64
MAX_RESERVE_WAIT_SECONDS: Final = 0.5


class Queues:
    """First in, first out within a kind; an account's commands of one kind keep their order."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, deque[Submission]] = {kind: deque() for kind in Kind}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def depth(self, kind: Kind) -> int:
        return len(self._waiting[kind])

    def offer(self, submission: Submission) -> bool:
        """Queue it; False when its kind is full, or its reserves wait too long already."""
        waiting = self._waiting[submission.kind]
        if len(waiting) >= CAPACITY[submission.kind]:
            return False
        if submission.kind is Kind.RESERVE and waiting:
            oldest = submission.enqueued_at - waiting[0].enqueued_at
            if oldest > MAX_RESERVE_WAIT_SECONDS:
                return False
        waiting.append(submission)
        return True

    def next_batch(self) -> list[Submission]:
        """Up to `BATCH_SIZE` commands.

        People wait for reserves, so a batch with any holds about as many settlements, not more: those keep pace, and a
        backlog of them makes no call slow. Without reserves, whoever waits fills the batch.
        """
        batch: list[Submission] = []
        self._move(Kind.RESERVE, batch, MAX_RESERVES)
        reserves = len(batch)
        for kind, places in PLACES_BESIDE_RESERVES.items():
            self._move(kind, batch, max(places, reserves) if kind is Kind.USAGE else places)
        if not reserves:
            for kind in PLACES_BESIDE_RESERVES:
                self._move(kind, batch, BATCH_SIZE - len(batch))
        return batch

    def _move(self, kind: Kind, batch: list[Submission], places: int) -> None:
        waiting = self._waiting[kind]
        for _ in range(min(places, len(waiting), BATCH_SIZE - len(batch))):
            batch.append(waiting.popleft())
