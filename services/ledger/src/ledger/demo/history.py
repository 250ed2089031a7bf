"""History made by the very commands of the live path, under a clock that the caller supplies."""

import asyncio
from datetime import datetime

from ledger.application.batch import decide_batch
from ledger.application.submission import Idempotency, Kind, Submission
from ledger.domain.account import Account
from ledger.domain.commands import Command
from ledger.domain.decision import Answer
from ledger.domain.holds import FINAL_STATES
from ledger.domain.policy import Policy
from ledger.store.codec import GENESIS
from ledger.store.rows import AuditEntry, BatchState, ChainedAccount, Changes


class History:
    """Decides commands in the order given, on accounts that have no past; needs a running event loop.

    Memory holds the accounts and the holds that are still open; what was decided leaves by `take`.
    """

    def __init__(self, policy: Policy, starts_at: datetime) -> None:
        self._policy = policy
        self._state = BatchState({}, {}, {}, starts_at)
        self._changes = Changes()
        self._unused_answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    @property
    def pending_events(self) -> int:
        return len(self._changes.events)

    def account(self, account_id: str) -> Account:
        return self._chained(account_id).account

    def execute(
        self,
        command: Command,
        at: datetime,
        *,
        audit: AuditEntry | None = None,
        idempotency: Idempotency | None = None,
        causation_id: str | None = None,
    ) -> Answer:
        """Decide one command at `at` and keep its rows.

        Raises:
            SolarisError: the command was refused by a rule.
        """
        self._chained(command.account_id)
        self._state.clock = at
        submission = Submission(
            command=command,
            kind=Kind.ADMIN,
            answer=self._unused_answer,
            enqueued_at=0.0,
            audit=audit,
            idempotency=idempotency,
            causation_id=causation_id,
        )
        (outcome,) = decide_batch([submission], self._state, self._changes, self._policy)
        if isinstance(outcome, Exception):
            raise outcome
        key = (command.account_id, submission.reservation_id or "")
        if key in self._state.holds and self._state.holds[key].state in FINAL_STATES:
            del self._state.holds[key]
        return outcome

    def take(self) -> Changes:
        """The rows decided since the last call; an account's, a hold's and a lot's row is its newest."""
        taken, self._changes = self._changes, Changes()
        return taken

    def _chained(self, account_id: str) -> ChainedAccount:
        known = self._state.accounts.get(account_id)
        if known is None:
            known = self._state.accounts[account_id] = ChainedAccount(Account(account_id=account_id), GENESIS)
        return known
