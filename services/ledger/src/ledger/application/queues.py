"""Bounded queues by kind, and which commands make the next batch."""

from collections import deque
from collections.abc import Container, Iterable, Sequence
from typing import Final

from ledger.application.submission import Kind, Submission

BATCH_SIZE: Final = 128
CAPACITY: Final = {Kind.RESERVE: 4_096, Kind.USAGE: 4_096, Kind.ADMIN: 1_024, Kind.SWEEPER: 1_024}
GUARANTEED: Final = {Kind.ADMIN: 16, Kind.SWEEPER: 8}
"""Places that a kind has in its lane's batch at least, so that the lane's other kind can't starve it."""
MAX_PASSED_OVER: Final = 256
"""How far a lane looks past commands whose account is in another lane's commit."""
MAX_RESERVE_WAIT_SECONDS: Final = 0.5


class Queues:
    """First in, first out within a kind; an account's commands of one kind keep their order."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, deque[Submission]] = {kind: deque() for kind in Kind}

    def depth(self, kind: Kind) -> int:
        return len(self._waiting[kind])

    def offer(self, submission: Submission) -> bool:
        """Queue it; False when its kind is full, or its reserves wait too long already."""
        waiting = self._waiting[submission.kind]
        if len(waiting) >= CAPACITY[submission.kind]:
            return False
        if submission.kind is Kind.RESERVE:
            # Those that wait for an account that was taken say nothing of how fast the others go.
            oldest = next((each for each in waiting if not each.retries), submission)
            if submission.enqueued_at - oldest.enqueued_at > MAX_RESERVE_WAIT_SECONDS:
                return False
        waiting.append(submission)
        return True

    def put_back(self, submissions: Sequence[Submission]) -> None:
        """Queue them again at the front, in their order: taken in before, they count against no capacity."""
        for submission in reversed(submissions):
            self._waiting[submission.kind].appendleft(submission)

    def oldest(self, kinds: Iterable[Kind]) -> float | None:
        """When the command that waits longest was queued, by the event loop's clock."""
        return min((each.enqueued_at for kind in kinds for each in self._waiting[kind]), default=None)

    def waiting(self, kinds: Iterable[Kind]) -> int:
        return sum(len(self._waiting[kind]) for kind in kinds)

    def next_batch(self, kinds: Sequence[Kind], in_commit: Container[str]) -> list[Submission]:
        """Up to `BATCH_SIZE` commands of these kinds, guaranteed places first; accounts in commit are passed over."""
        batch: list[Submission] = []
        for kind in kinds:
            self._move(kind, batch, GUARANTEED.get(kind, 0), in_commit)
        for kind in kinds:
            self._move(kind, batch, BATCH_SIZE - len(batch), in_commit)
        return batch

    def _move(self, kind: Kind, batch: list[Submission], places: int, in_commit: Container[str]) -> None:
        waiting = self._waiting[kind]
        passed_over: list[Submission] = []
        while places > 0 and waiting and len(passed_over) < MAX_PASSED_OVER:
            submission = waiting.popleft()
            if submission.account_id in in_commit:
                passed_over.append(submission)
            else:
                batch.append(submission)
                places -= 1
        waiting.extendleft(reversed(passed_over))
