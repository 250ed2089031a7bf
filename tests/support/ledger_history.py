"""A realistic ledger of any size in seconds: half reserves, half settlements, written with COPY."""

from datetime import UTC, datetime, timedelta
from random import Random

import asyncpg
from ledger.demo.history import History
from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.commands import GrantCredits, ReserveTokens
from ledger.domain.holds import FINAL_STATES
from ledger.domain.policy import Policy
from ledger.store.rows import Changes

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_copy import copy_changes

CHUNK_EVENTS = 20_000
MODEL = "gpt-4o-mini"
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
    database_url: str, *, accounts: int, events: int, policy: Policy | None = None, open_holds: int = 0
) -> int:
    """Fill an empty, migrated ledger with about `events` events over `accounts`; returns how many were written."""
    history = History(policy or roomy_policy(), STARTS_AT)
    random = Random(7)
    at, written, call = STARTS_AT, 0, 0
    kept = Changes()
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        while written + history.pending_events < events:
            at += timedelta(milliseconds=997)
            account_id = f"account-{random.randrange(accounts):05}"
            call += 1
            if call % 5_000 == 0:
                history.execute(_grant(account_id, call), at)
            _call(history, account_id, f"r-{call:08}", at, random)
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


def _call(history: History, account_id: str, reservation_id: str, at: datetime, random: Random) -> None:
    prompt = random.randrange(50, 900)
    history.execute(_reserve(account_id, reservation_id, prompt), at)
    usage = usage_recorded(
        reservation_id,
        model=MODEL,
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


def _reserve(account_id: str, reservation_id: str, prompt: int) -> ReserveTokens:
    content = f"{prompt:032x}"
    return reserve_tokens(account_id, reservation_id, model=MODEL, prompt=prompt, maximum=512, content_hash=content)


def _grant(account_id: str, call: int) -> GrantCredits:
    return GrantCredits(
        account_id=account_id, lot_id=f"admin:{call}", tokens=10_000, source="admin", reference=f"k{call}"
    )
