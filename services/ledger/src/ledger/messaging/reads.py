"""What others may read of the ledger: balance, profile, readiness."""

from datetime import UTC, datetime
from typing import Final

import asyncpg
from chassis.core_nats.wire import Message
from chassis.postgres import DATABASE_ERRORS
from chassis.responder import Answers
from contracts import subjects
from contracts.accounts import account_of_token
from contracts.codec import DECODE_ERRORS
from contracts.events.billing import order_lot_id
from contracts.reads import BalanceAnswer, BalanceRequest, ProfileAnswer, ReadyAnswer
from msgspec import json

from ledger.application.executor import Executor
from ledger.application.profiles import Profiles
from ledger.domain.account import Account
from ledger.domain.decide import as_of
from ledger.domain.policy import Policy
from ledger.domain.subscriptions import find_subscription
from ledger.store.read_path import is_writable, load_account, load_lot

MAX_UNCOMMITTED_SECONDS: Final = 3.0
"""As long as a gateway waits for a hold."""
_decode_request: Final = json.Decoder(BalanceRequest).decode


class Reads:
    """Answers by subject, as of now."""

    def __init__(self, pool: asyncpg.Pool, policy: Policy, profiles: Profiles, executor: Executor) -> None:
        self._pool = pool
        self._policy = policy
        self._executor = executor
        self._profiles = profiles

    def answers(self) -> Answers:
        return {
            f"{subjects.READ_BALANCE_PREFIX}.*": self._balance,
            f"{subjects.READ_PROFILE_PREFIX}.*": self._profile,
            subjects.READ_READY: self._ready,
        }

    async def _balance(self, request: Message) -> BalanceAnswer:
        """The balance as of now; due cycles count as started."""
        try:
            wanted = _decode_request(request.payload) if request.payload else BalanceRequest()
        except DECODE_ERRORS:
            return BalanceAnswer(error="not a request for a balance")
        account_id = _account_of(request)
        if account_id is None:
            return BalanceAnswer()
        # Before the account, which then is no older than what is said of the order.
        of_order = await self._heard_of_order(account_id, wanted.order_id)
        found = await load_account(self._pool, account_id)
        if found is None:
            return BalanceAnswer()
        account, now = found
        heard = of_order if wanted.order_id is not None else _heard_of_subscription(account, wanted.subscription_id)
        present = as_of(account, self._executor.clock.now() or now, self._policy)
        return BalanceAnswer(balance=present.balance(), exhausted=present.exhausted, heard_revision=heard)

    async def _heard_of_order(self, account_id: str, order_id: str | None) -> int | None:
        lot = None if order_id is None else await load_lot(self._pool, account_id, order_lot_id(order_id))
        return None if lot is None else lot.revision

    async def _profile(self, request: Message) -> ProfileAnswer:
        account_id = _account_of(request)
        return ProfileAnswer(profile=None if account_id is None else await self._profiles.find(account_id))

    async def _ready(self, _: Message) -> ReadyAnswer:
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
            writable = await is_writable(self._pool)
        except DATABASE_ERRORS as error:
            return f"database: {error!r}"[:200]
        return None if writable else "database: read-only"


def _heard_of_subscription(account: Account, subscription_id: str | None) -> int | None:
    known = None if subscription_id is None else find_subscription(account.subscriptions, subscription_id)
    return None if known is None else known.revision


def _account_of(request: Message) -> str | None:
    return account_of_token(request.subject.rpartition(".")[2])
