"""Cycles that a clock far ahead of time started are undone by one event, which says who did it and why."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from ledger.catalog_file import load_catalog
from ledger.demo.history import History
from ledger.domain.commands import OpenAccount, ReserveTokens, SettleUsage
from ledger.domain.policy import Policy

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_copy import copy_changes
from tests.support.ledger_operate import CATALOG, operate_on


def _reserve(reservation_id: str, tokens: int) -> ReserveTokens:
    return reserve_tokens("jumped", reservation_id, prompt=tokens, maximum=None, output_free=True)


def _settle(reservation_id: str, tokens: int, at: datetime) -> SettleUsage:
    return settle_usage("jumped", usage_recorded(reservation_id, prompt=tokens, started_at=at))


async def test_what_was_used_in_every_wrongly_started_cycle_counts(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    """1,000 in this cycle; two cycles ahead of time 300, of which 100 by a call of before, and 20."""
    operate = operate_on(own_ledger)
    now = datetime.now(UTC) - timedelta(minutes=1)
    history = History(Policy(catalog=load_catalog(Path(CATALOG))), now)
    history.execute(OpenAccount(account_id="jumped", plan="trial"), now)
    history.execute(_reserve("r1", 1_000), now)
    history.execute(_settle("r1", 1_000, now), now)
    history.execute(_reserve("r2", 100), now)
    for days, reservation_id, tokens in ((40, "r3", 200), (70, "r4", 20)):
        later = now + timedelta(days=days)
        history.execute(_reserve(reservation_id, tokens), later)
        history.execute(_settle(reservation_id, tokens, later), later)
        if days == 40:
            history.execute(_settle("r2", 100, now), later)
    async with damaged.transaction():
        await copy_changes(damaged, history.take())
    corrected = await operate("correct-cycle", account="jumped", reason="the clock was ahead")
    assert (corrected.code, corrected.err) == (0, "")
    assert (corrected.json["monthly_used"], corrected.json["held"], corrected.json["debt"]) == (1_320, 0, 0)
    at = (await damaged.fetchval("SELECT clock_timestamp()")).isoformat()
    assert (await operate("balance", account="jumped", at=at)).json == corrected.json
    told = await damaged.fetchrow(
        "SELECT convert_from(event.data, 'UTF8')::json -> 'data' ->> 'actor' AS actor, audit.reason "
        "FROM ledger.events AS event JOIN ledger.audit AS audit "
        "ON audit.id::text = convert_from(event.data, 'UTF8')::json -> 'data' ->> 'reason_id' "
        "WHERE event.account_id = 'jumped' AND event.type = 'solaris.ledger.cycle_corrected.v1'"
    )
    assert told is not None
    assert tuple(told) == ("operator", "the clock was ahead")
    assert (await operate("verify")).code == 0
