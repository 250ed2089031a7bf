"""`python -m bench.parts.fold`: how fast stored events become states, ours and those of the library `eventsourcing`.

One JSON object on standard output.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from statistics import median
from typing import Final

from contracts.events.registry import LedgerEvent
from contracts.events.usage import UsageRecorded
from contracts.usage import Outcome, TokenUsage, UsageSource
from ledger.application.content import usage_hash
from ledger.demo.history import History
from ledger.domain.account import Account
from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.commands import ReserveTokens, SettleUsage
from ledger.domain.evolve import evolve
from ledger.domain.policy import Policy
from ledger.store.codec import chain_hash
from ledger.store.facts import decode_fact
from ledger.store.rows import EventRow

from bench.load.answers import COMPLETION_TOKENS, MODEL, PROMPT_TOKENS
from bench.load.requests import USERS, user_id
from bench.peers.eventsourcing_fold import Rebuild, Stands, functional_rebuild, tutorial_rebuild

_STARTS_AT: Final = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_ROUNDS: Final = 3

type _Decoded = list[tuple[str, LedgerEvent, datetime]]


async def _make_log(events: int) -> list[EventRow]:
    """A log by the live path's own decisions: reserves and settlements over the users."""
    plan = Plan(name="basic", monthly_tokens=10**9)
    catalog = Catalog(version="bench", plans={"basic": plan}, models=(Model(pattern="*", max_output_tokens=4_096),))
    history = History(Policy(catalog=catalog), _STARTS_AT)
    random = Random(7)
    at, call = _STARTS_AT, 0
    while history.pending_events < events:
        at += timedelta(milliseconds=997)
        call += 1
        _add_call(history, user_id(random.randrange(USERS)), f"r-{call:08}", at)
    return history.take().events


def _add_call(history: History, account_id: str, reservation_id: str, at: datetime) -> None:
    reserve = ReserveTokens(
        account_id=account_id,
        reservation_id=reservation_id,
        model=MODEL,
        endpoint="/v1/chat/completions",
        prompt_tokens=PROMPT_TOKENS,
        content_hash="ab" * 16,
        maximum_output_tokens=512,
    )
    history.execute(reserve, at)
    usage = UsageRecorded(
        reservation_id=reservation_id,
        model=MODEL,
        endpoint="/v1/chat/completions",
        usage=TokenUsage(prompt_tokens=PROMPT_TOKENS, completion_tokens=COMPLETION_TOKENS),
        usage_source=UsageSource.PROVIDER,
        outcome=Outcome.COMPLETED,
        status=200,
        started_at=at,
        duration_ms=3_000,
        first_token_ms=250,
        estimated_prompt_tokens=PROMPT_TOKENS,
        conversation_id=None,
    )
    settle = SettleUsage(account_id=account_id, usage=usage, content_hash=usage_hash(usage))
    history.execute(settle, at + timedelta(seconds=3))


def _decode(log: list[EventRow]) -> _Decoded:
    decoded = []
    for row in log:
        fact = decode_fact(row.type, row.data)
        decoded.append((row.account_id, fact.data, fact.time))
    return decoded


def _evolve_all(decoded: _Decoded) -> None:
    accounts = {account_id: Account(account_id=account_id) for account_id, _, _ in decoded}
    for account_id, event, at in decoded:
        accounts[account_id] = evolve(accounts[account_id], event, at)


def _decode_and_evolve(log: list[EventRow]) -> dict[str, Account]:
    accounts = {row.account_id: Account(account_id=row.account_id) for row in log}
    for row in log:
        fact = decode_fact(row.type, row.data)
        accounts[row.account_id] = evolve(accounts[row.account_id], fact.data, fact.time)
    return accounts


def _check_chain(log: list[EventRow]) -> None:
    heads = {row.account_id: bytes(32) for row in log}
    for row in log:
        head = heads[row.account_id] = chain_hash(heads[row.account_id], row.account_id, row.version, row.data)
        assert head == row.hash, "the chain of a log made just now holds"


def _same(rebuild: Rebuild, ours: list[Stands]) -> None:
    assert rebuild() == ours, "the library comes to the same states"


def measure(events: int) -> dict[str, float]:
    """Events per second of CPU time of each step alone, medians: in memory and in one thread, CPU time is all it takes.

    What the library does is decoding and folding, as the second of our steps.
    """
    log = asyncio.run(_make_log(events))
    decoded = _decode(log)
    steps: dict[str, Callable[[], object]] = {
        "evolve": partial(_evolve_all, decoded),
        "decode_and_evolve": partial(_decode_and_evolve, log),
        "chain_hash": partial(_check_chain, log),
    }
    ours = [Stands.of(account) for account in _decode_and_evolve(log).values()]
    for style, rebuilding in {"tutorial": tutorial_rebuild, "functional": functional_rebuild}.items():
        steps[f"eventsourcing_{style}"] = partial(_same, rebuilding(decoded), ours)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(_ROUNDS):
        for name, step in steps.items():
            started = time.process_time()
            step()
            times[name].append(time.process_time() - started)
    return {"events": len(log), **{name: len(log) / median(seconds) for name, seconds in times.items()}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    sys.stdout.write(json.dumps(measure(parser.parse_args().events)) + "\n")


if __name__ == "__main__":
    main()
