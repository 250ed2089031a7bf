"""The statement on the real log: its last line is the balance, whoever wrote it, and `make statement` tells it."""

import csv
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from ledger.application.submission import Kind
from ledger.domain.commands import ChangeLimit, ExpireReservation, GrantCredits
from ledger.operate.executing import open_executor
from ledger.projections.advancing import Followed, advance, apply_page, read_page
from ledger.projections.projection import Projection
from ledger.projections.statement import STATEMENT, Statement
from ledger.projections.swapping import begin
from ledger.settings import LedgerSettings
from ledger.store.codec import decode_account
from ledger.store.projected.tracks import Track, TrackState, connect_for_projecting
from msgspec import Struct

from tests.support.eventually import eventually
from tests.support.gateway_messages import usage_recorded
from tests.support.infrastructure import Postgres
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_history import roomy_policy
from tests.support.ledger_operate import operate_on
from tests.support.projecting import caught_up, projecting, traffic

LAST_LINES = """
SELECT DISTINCT ON (account_id) account_id, monthly_used, monthly_limit, credits, debt, unowed
FROM projections.statement ORDER BY account_id, position DESC
"""
OWN = "own"


async def assert_last_lines_are_the_balances(connection: asyncpg.Connection) -> None:
    states = await connection.fetch("SELECT state FROM ledger.accounts WHERE version > 0")
    balances = [decode_account(row[0]).balance() for row in states]
    expected = {
        each.account_id: (each.monthly_used, each.monthly_limit, each.credits, each.debt, each.unowed)
        for each in balances
    }
    assert {row[0]: tuple(row[1:]) for row in await connection.fetch(LAST_LINES)} == expected
    assert expected


async def test_several_at_once_write_each_line_once_while_calls_are_made(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projecting(own_ledger), projecting(own_ledger), traffic(own_ledger):
        await eventually(lambda: _has_lines(damaged, 900), 30, message="calls are told while they are made")
    async with projecting(own_ledger):
        await caught_up(damaged, "statement")
    await assert_last_lines_are_the_balances(damaged)
    ran = await operate_on(own_ledger)("replay", projection="statement")
    assert (ran.code, ran.json["difference_count"]) == (0, 0)
    assert ran.json["rows"] > 700


async def _has_lines(connection: asyncpg.Connection, number: int) -> bool:
    if not await connection.fetchval("SELECT to_regclass('projections.statement') IS NOT NULL"):
        return False
    return bool(await connection.fetchval("SELECT count(*) FROM projections.statement") >= number)


class Refusing(Struct):
    """A projection that does not take the page in which it is."""

    name: str = "refusing"
    version: int = 1
    reads: frozenset[type] = STATEMENT.reads
    shapes: tuple[()] = ()

    async def apply(self, connection: asyncpg.Connection, track: Track, events: object) -> None:
        raise ValueError("this can't be")


async def test_a_page_that_was_not_written_leaves_nothing_in_memory(own_ledger: str) -> None:
    connection = await connect_for_projecting(own_ledger, "test")
    try:
        statement, refusing = Statement(), Refusing()
        both = [await _begun(connection, each) for each in (statement, refusing)]
        page = await read_page(connection, both[:1], 40)
        await apply_page(connection, both[:1], page)
        page = await read_page(connection, both[:1], 80)
        await connection.execute("UPDATE projections.tracks SET position = $1", page.after)
        with pytest.raises(ValueError, match="this can't be"):
            await apply_page(connection, both, page)
        while await advance(connection, both[:1], 2_000):
            pass
        fresh = await _begun(connection, Statement(), TrackState.REPLAY)
        while await advance(connection, [fresh], 2_000):
            pass
        for suffix in ("", "_accounts"):
            ours, theirs = both[0].track.table + suffix, fresh.track.table + suffix
            assert await connection.fetch(f"TABLE {ours} EXCEPT TABLE {theirs}") == []
            assert await connection.fetchval(f"SELECT count(*) FROM {ours}") > 11
    finally:
        connection.terminate()


async def _begun(
    connection: asyncpg.Connection, projection: Projection, state: TrackState = TrackState.BUILDING
) -> Followed:
    begun = await begin(connection, projection, state)
    assert begun is not None
    return begun


@pytest_asyncio.fixture(scope="module")
async def told_ledger(postgres_server: Postgres, history_template: str) -> AsyncIterator[str]:
    """A ledger of this module's own, in which one account has a movement of most kinds."""
    async with postgres_server.copied(history_template) as url:
        connection = await asyncpg.connect(url)
        async with projecting(url):
            await _live(url, connection)
            await caught_up(connection, "statement")
        await connection.close()
        yield url


async def _live(url: str, connection: asyncpg.Connection) -> None:
    async with open_executor(LedgerSettings(database_url=url), roomy_policy(), connection) as executor:
        limit = ChangeLimit(account_id=OWN, monthly_limit=1_000)
        await executor.submit(limit, Kind.ADMIN)
        grant = GrantCredits(
            account_id=OWN, lot_id="order:ord_1", tokens=5_000, source="purchase", reference="=cmd|' /C calc'!A0"
        )
        await executor.submit(grant, Kind.ADMIN)
        await executor.submit(reserve_tokens(OWN, "call-1", prompt=1_200), Kind.RESERVE)
        await executor.submit(settle_usage(OWN, usage_recorded("call-1", prompt=1_200, completion=34)), Kind.USAGE)
        await executor.submit(reserve_tokens(OWN, "call-2", prompt=10, maximum=90), Kind.RESERVE)
        await executor.submit(settle_usage(OWN, usage_recorded("call-3", model="x" * 90, prompt=7)), Kind.USAGE)
        # What the sweeper says when the time is over, which it is not: nothing becomes of it.
        await executor.submit(ExpireReservation(account_id=OWN, reservation_id="call-2"), Kind.SWEEPER)


async def test_a_program_gets_a_line_for_each_movement_and_the_last_is_the_balance(told_ledger: str) -> None:
    operate = operate_on(told_ledger)
    lines = (await operate("statement", account=OWN)).lines
    assert [line["kind"] for line in lines] == ["opened", "limit", "grant", "call", "call"]
    call = lines[3]
    assert (call["reservation_id"], call["tokens"], call["lots"]) == ("call-1", -1_234, {"order:ord_1": -234})
    assert (call["prompt_tokens"], call["prompt_weight_millionths"], call["completion_tokens"]) == (
        1_200,
        1_000_000,
        34,
    )
    assert call["recorded_at"].endswith("-03:00")
    balance = (await operate("balance", account=OWN)).json
    assert {name: lines[-1][name] for name in ("monthly_used", "monthly_limit", "credits", "debt", "unowed")} == {
        name: balance[name] for name in ("monthly_used", "monthly_limit", "credits", "debt", "unowed")
    }


async def test_a_person_reads_what_each_movement_was_made_of_within_a_hundred_columns(told_ledger: str) -> None:
    shown = (await operate_on(told_ledger)("statement", account=OWN, format="table")).out
    assert all(len(line) <= 100 for line in shown.splitlines())
    words = [line.split() for line in shown.splitlines()]
    assert words[0] == ["time", "what", "of", "tokens", "left", "credits", "debt"]
    told = " ".join(shown.split())
    assert "grant order:ord_1 +5,000 1,000 5,000 0" in told
    assert "call gpt-4o -1,234 0 4,766 0" in told
    assert "1,200 prompt + 34 completion = 1,234; 1,000 of allowance, 234 of order:ord_1; call-1" in told
    assert "now: 4,659 available = 0 left of 1,000 + 4,759 credits - 100 held - 0 debt" in told


async def test_a_spreadsheet_gets_totals_and_no_formulas(told_ledger: str) -> None:
    rows = [*csv.DictReader((await operate_on(told_ledger)("statement", account=OWN, format="csv")).out.splitlines())]
    assert rows[-1]["account_id"] == "total"
    assert int(rows[-1]["tokens"]) == sum(int(row["tokens"]) for row in rows[:-1]) == 5_000 - 1_234 - 7
    assert rows[2]["reference"] == "'=cmd|' /C calc'!A0"
    # Of a call that is corrected they stand in two lines: a sum of both would be of none.
    assert {rows[-1][name] for name in ("billable_tokens", "prompt_tokens", "cost_usd_micros")} == {""}


async def test_days_are_the_operators_and_begin_with_what_was_there_before(told_ledger: str) -> None:
    operate = operate_on(told_ledger)
    zone = {"SOLARIS_TIMEZONE": "Asia/Kolkata"}
    (first, *_) = every = (await operate("statement", zone, account="account-00003")).lines
    assert first["recorded_at"].endswith("+05:30")
    day = first["recorded_at"][:10]
    assert (await operate("statement", zone, account="account-00003", from_=day, to=day)).lines == every
    assert (await operate("statement", zone, account="account-00003", to="2026-03-01")).lines == []
    later = (await operate("statement", zone, account="account-00003", from_="2026-03-03", format="table")).out
    (before,) = later.splitlines()[1:2]
    left = every[-1]["monthly_limit"] - every[-1]["monthly_used"]
    assert before.split()[:4] == ["2026-03-03", "00:00", "before", f"{left:,}"]
    (await operate("statement", account=OWN, from_="2026-03-03", to="2026-03-02")).assert_refused(2)
    (await operate("statement", account="nobody")).assert_refused(1)
