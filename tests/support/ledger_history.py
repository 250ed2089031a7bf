"""A realistic ledger of any size in seconds: half reserves, half settlements, written with COPY."""

from collections import deque
from datetime import UTC, datetime, timedelta
from random import Random

import asyncpg
from contracts.usage import Outcome, UsageSource
from ledger.demo.history import History
from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.commands import ExpireReservation, GrantCredits, ReserveTokens
from ledger.domain.holds import FINAL_STATES
from ledger.domain.policy import Policy
from ledger.store.rows import Changes
from msgspec.structs import replace

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_copy import copy_changes

CHUNK_EVENTS = 20_000
MODEL = "gpt-4o-mini"
MODELS = (MODEL, MODEL, "gpt-4o", "claude-sonnet-4")
LONGER_THAN_A_HOLD = timedelta(minutes=20)
STARTS_AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def roomy_policy() -> Policy:
    """A plan that a million small calls do not exhaust."""
    return Policy(
        catalog=Catalog(
            version="test",
            plans={"basic": Plan(name="basic", monthly_tokens=1_000_000)},
            models=(Model(pattern="*", max_output_tokens=4_096),),
        )
    )


async def write_history(
    database_url: str,
    *,
    accounts: int,
    events: int,
    policy: Policy | None = None,
    open_holds: int = 0,
    mixed: bool = False,
) -> int:
    """Fill an empty, migrated ledger with about `events` events over `accounts`; returns how many were written.

    `mixed`: several models, upstreams that fail, holds whose usage is late or lost, and more credits.
    """
    history = History(policy or roomy_policy(), STARTS_AT)
    random = Random(7)
    at, written, call = STARTS_AT, 0, 0
    troubles = _Troubles(history, random) if mixed else None
    kept = Changes()
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        while written + history.pending_events < events:
            at += timedelta(milliseconds=997)
            account_id = f"account-{random.randrange(accounts):05}"
            call += 1
            if call % (500 if mixed else 5_000) == 0:
                history.execute(_grant(account_id, call), at)
            if troubles is None or not troubles.meet(call, account_id, at):
                model = random.choice(MODELS) if mixed else MODEL
                _call(history, account_id, f"r-{call:08}", at, random, model=model)
            if history.pending_events >= CHUNK_EVENTS:
                written += await _flush(connection, history.take(), kept)
        for number in range(open_holds):
            history.execute(_reserve(f"account-{number % accounts:05}", f"open-{number:06}", 200), at)
        written += await _flush(connection, history.take(), kept)
        async with connection.transaction():
            await copy_changes(connection, kept)
        await connection.execute("ANALYZE ledger.events, ledger.holds, ledger.accounts")
    finally:
        await connection.close()
    return written


async def _flush(connection: asyncpg.Connection, taken: Changes, kept: Changes) -> int:
    """Write what no later command can change, and keep the rest; returns how many events were written."""
    kept.holds.update(taken.holds)
    final = {key: hold for key, hold in kept.holds.items() if hold.state in FINAL_STATES}
    for key in final:
        del kept.holds[key]
    kept.accounts.update(taken.accounts)
    kept.lots.update(taken.lots)
    async with connection.transaction():
        await copy_changes(connection, Changes(events=taken.events, holds=final))
    return len(taken.events)


class _Troubles:
    """Of 100 calls 3 fail at the upstream, and 2 are charged by their holds; the usage of one of these comes late."""

    def __init__(self, history: History, random: Random) -> None:
        self._history = history
        self._random = random
        self._unsettled: deque[tuple[datetime, str, str]] = deque()

    def meet(self, call: int, account_id: str, at: datetime) -> bool:
        """Whether the call was one of these."""
        while self._unsettled and self._unsettled[0][0] <= at:
            self._expire(*self._unsettled.popleft())
        reservation_id = f"r-{call:08}"
        if call % 50 == 7:
            self._history.execute(_reserve(account_id, reservation_id, 500), at)
            self._unsettled.append((at + LONGER_THAN_A_HOLD, account_id, reservation_id))
        elif call % 33 == 5:
            self._history.execute(_reserve(account_id, reservation_id, 300), at)
            nothing = usage_recorded(reservation_id, model=MODEL, started_at=at)
            usage = replace(nothing, outcome=Outcome.UPSTREAM_ERROR, status=502, usage_source=UsageSource.NONE)
            self._history.execute(settle_usage(account_id, usage), at + timedelta(seconds=1))
        else:
            return False
        return True

    def _expire(self, at: datetime, account_id: str, reservation_id: str) -> None:
        self._history.execute(ExpireReservation(account_id=account_id, reservation_id=reservation_id), at)
        if self._random.random() < 0.5:
            began_at = at - LONGER_THAN_A_HOLD
            usage = usage_recorded(reservation_id, model=MODEL, prompt=500, completion=90, started_at=began_at)
            self._history.execute(settle_usage(account_id, usage), at + timedelta(seconds=9))


def _call(history: History, account_id: str, reservation_id: str, at: datetime, random: Random, *, model: str) -> None:
    prompt = random.randrange(50, 900)
    history.execute(_reserve(account_id, reservation_id, prompt, model), at)
    usage = usage_recorded(
        reservation_id,
        model=model,
        prompt=prompt,
        completion=random.randrange(1, 400),
        started_at=at,
        duration_ms=random.randrange(300, 20_000),
        first_token_ms=250,
        estimated_prompt_tokens=prompt,
        conversation_id="3e1f6d0a-90fd-4a6c-9a5b-3c8d0a2f7b11",
    )
    ends_at = at + timedelta(seconds=3)
    history.execute(settle_usage(account_id, usage), ends_at, causation_id="0199f2a4-7d3b-7c11-8a52-0a6f6f1f2a3c")


def _reserve(account_id: str, reservation_id: str, prompt: int, model: str = MODEL) -> ReserveTokens:
    content = f"{prompt:032x}"
    return reserve_tokens(account_id, reservation_id, model=model, prompt=prompt, maximum=512, content_hash=content)


def _grant(account_id: str, call: int) -> GrantCredits:
    return GrantCredits(
        account_id=account_id, lot_id=f"admin:{call}", tokens=10_000, source="admin", reference=f"k{call}"
    )
