"""Gives accounts that were never seen their row, as fast as the key that names them may open accounts."""

from collections import OrderedDict
from typing import Final

import asyncpg
from contracts.errors import RefusalCode
from contracts.reservations import Refused

from ledger.application.openings import Openings
from ledger.application.submission import Submission
from ledger.domain.commands import ReserveTokens
from ledger.domain.decision import Answer
from ledger.store import write_path

MAX_KNOWN_ACCOUNTS: Final = 200_000


class Admission:
    """Remembers which accounts have a row; accounts never lose it."""

    def __init__(self, openings_per_minute: int) -> None:
        self._openings = Openings(openings_per_minute)
        self._known: OrderedDict[str, None] = OrderedDict()

    async def admit(self, connection: asyncpg.Connection, batch: list[Submission]) -> dict[Submission, Answer]:
        """Insert the rows that are missing; returns the reserves refused because their key opens accounts too fast."""
        unseen = {submission.account_id for submission in batch if submission.account_id not in self._known}
        if not unseen:
            return {}
        missing = unseen - await write_path.existing_accounts(connection, list(unseen))
        refused: dict[Submission, Answer] = {}
        admitted: set[str] = set()
        for submission in batch:
            account_id = submission.account_id
            if account_id not in missing or account_id in admitted:
                continue
            if isinstance(submission.command, ReserveTokens) and not self._openings.allow(submission.key_id):
                refused[submission] = Refused(
                    reservation_id=submission.command.reservation_id,
                    code=RefusalCode.RATE_LIMITED,
                    retry_after_seconds=1,
                )
                continue
            admitted.add(account_id)
        if admitted:
            await write_path.insert_missing_accounts(connection, list(admitted))
        self._remember((unseen - missing) | admitted)
        return refused

    def _remember(self, account_ids: set[str]) -> None:
        self._known.update(dict.fromkeys(account_ids))
        while len(self._known) > MAX_KNOWN_ACCOUNTS:
            self._known.popitem(last=False)
