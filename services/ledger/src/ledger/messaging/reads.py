"""Answers reads by request-reply: balance, profile, readiness."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts import subjects
from contracts.accounts import account_of_token
from contracts.codec import encode
from contracts.reads import BalanceAnswer, ProfileAnswer, ReadyAnswer
from nats.aio.client import Client
from nats.aio.msg import Msg

from ledger.application.executor import Executor
from ledger.application.profiles import Profiles
from ledger.domain.decide import as_of
from ledger.domain.policy import Policy
from ledger.store.read_path import is_writable, load_account

log = structlog.get_logger()

MAX_CONCURRENT: Final = 8
READ_TIMEOUT_SECONDS: Final = 2.0
MAX_UNCOMMITTED_SECONDS: Final = 3.0
"""As long as a gateway waits for a hold."""


class ReadResponder:
    """Reads at most `MAX_CONCURRENT` at once, each bounded in time; an error is part of the answer."""

    def __init__(
        self, client: Client, pool: asyncpg.Pool, policy: Policy, profiles: Profiles, executor: Executor
    ) -> None:
        self._client = client
        self._pool = pool
        self._policy = policy
        self._executor = executor
        self._profiles = profiles
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answer in the block."""
        answers: dict[str, Callable[[str], Awaitable[object]]] = {
            f"{subjects.READ_BALANCE_PREFIX}.*": self.balance,
            f"{subjects.READ_PROFILE_PREFIX}.*": self.profile,
            subjects.READ_READY: self.ready,
        }
        for subject, answer in answers.items():
            await self._client.subscribe(subject, queue=subjects.LEDGER_QUEUE, cb=self._receiver(answer))
        yield

    def _receiver(self, answer: Callable[[str], Awaitable[object]]) -> Callable[[Msg], Awaitable[None]]:
        async def receive(message: Msg) -> None:
            async def respond() -> None:
                try:
                    await self._client.publish(message.reply, encode(await answer(message.subject.rpartition(".")[2])))
                finally:
                    self._slots.release()

            await self._slots.acquire()
            task = asyncio.create_task(respond())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return receive

    async def balance(self, token: str) -> BalanceAnswer:
        """The balance as of now; due cycles count as started."""
        account_id = account_of_token(token)
        if account_id is None:
            return BalanceAnswer()
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                found = await load_account(self._pool, account_id)
        except DATABASE_ERRORS as error:
            log.warning("balance_unreadable", error=repr(error))
            return BalanceAnswer(error="the ledger's store does not answer")
        except Exception:  # what is stored can't be read by this version: whoever asks must be told
            log.exception("balance_unreadable", account_id=account_id)
            return BalanceAnswer(error="this ledger can't read what is stored of the account")
        if found is None:
            return BalanceAnswer()
        account, now = found
        present = as_of(account, self._executor.clock.now() or now, self._policy)
        return BalanceAnswer(balance=present.balance(), exhausted=present.exhausted)

    async def profile(self, token: str) -> ProfileAnswer:
        account_id = account_of_token(token)
        if account_id is None:
            return ProfileAnswer()
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                return ProfileAnswer(profile=await self._profiles.find(account_id))
        except DATABASE_ERRORS as error:
            log.warning("profile_unreadable", error=repr(error))
            return ProfileAnswer(error="the ledger's store does not answer")

    async def ready(self, _: str = "") -> ReadyAnswer:
        """Whether the store would take a write now, and what waits for one is not stuck."""
        reason = await self.why_not_ready()
        clock = self._executor.clock
        return ReadyAnswer(
            ready=reason is None,
            error=reason,
            time=clock.hold_time() or datetime.now(UTC),
            clock_doubt_seconds=clock.jump_seconds,
        )

    async def why_not_ready(self) -> str | None:
        """A readiness check of the store and of the way to it."""
        waited = self._executor.oldest_uncommitted_seconds()
        if waited > MAX_UNCOMMITTED_SECONDS:
            return f"no commit for {waited:.1f} s"
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                writable = await is_writable(self._pool)
        except DATABASE_ERRORS as error:
            return f"database: {error!r}"[:200]
        return None if writable else "database: read-only"
