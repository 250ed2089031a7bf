"""`make usage`: lines that sum up to their range, in any zone and across changes of clocks, however printed."""

import asyncio
import contextlib
import csv
import os
import pty
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from ledger.store.projected.tracks import Track, TrackState, connect_for_projecting, load_track
from ledger.store.projected.usage_report import UsageBy, UsageWanted, load_usage
from ledger.store.projected.usage_rows import Figures, UsageChanges, UsageKey
from ledger.store.projected.usage_tables import write_usage

from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import Operate, operate_on
from tests.support.projecting import caught_up, projecting

DAYS = {
    # Midnight comes twice on the 17th, and not at all on November 4th.
    "America/Sao_Paulo": (date(2018, 2, 16), date(2018, 2, 20)),
    "America/Sao_Paulo ": (date(2018, 11, 2), date(2018, 11, 6)),
    "Asia/Kolkata": (date(2026, 11, 20), date(2026, 11, 23)),
    "Europe/Berlin": (date(2026, 3, 27), date(2026, 3, 31)),
}


@pytest_asyncio.fixture(scope="module")
async def usage_url(postgres_server: Postgres, history_template: str) -> AsyncIterator[str]:
    """A ledger of this module's own, whose usage is read."""
    async with postgres_server.copied(history_template) as url:
        connection = await asyncpg.connect(url)
        async with projecting(url):
            await caught_up(connection)
        await connection.close()
        yield url


@pytest.fixture
def operate(usage_url: str) -> Operate:
    return operate_on(usage_url)


@pytest.mark.parametrize(("zone", "days"), DAYS.items(), ids=str)
async def test_days_weeks_and_months_sum_up_to_their_range(usage_url: str, zone: str, days: tuple[date, date]) -> None:
    zone, (first, last) = zone.strip(), days
    account_id, random = f"{zone}-{first}", Random(zone)
    starts = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=2)
    used = {starts + n * timedelta(minutes=15): random.randrange(1, 99) for n in range(9 * 96)}
    expected: Counter[str] = Counter()
    for moment, tokens in used.items():
        day = moment.astimezone(ZoneInfo(zone)).date()
        if first <= day <= last:
            expected[str(day)] += tokens
    connection = await connect_for_projecting(usage_url, "test")
    try:
        track = await load_track(connection, "usage", TrackState.LIVE)
        assert isinstance(track, Track)
        rows = {
            UsageKey(account_id, moment, "gpt", "/v1"): Figures(calls=1, prompt_tokens=tokens)
            for moment, tokens in used.items()
        }
        async with connection.transaction():
            await write_usage(connection, track, UsageChanges(added=rows))

        async def told(by: UsageBy, first_day: date | None = None, last_day: date | None = None) -> dict[str, int]:
            wanted = UsageWanted(by=by, time_zone=zone, account_id=account_id, first_day=first_day, last_day=last_day)
            return {line.of: line.figures.prompt_tokens async for line in load_usage(connection, wanted)}

        assert await told(UsageBy.DAY, first, last) == expected
        assert len(expected) == (last - first).days + 1
        for by in UsageBy:
            assert sum((await told(by, first, last)).values()) == sum(expected.values())
        assert sum((await told(UsageBy.DAY)).values()) == sum(used.values())
        single = [await told(UsageBy.MODEL, day, day) for day in map(date.fromisoformat, expected)]
        assert [each["gpt"] for each in single] == [*expected.values()]
        weeks = await told(UsageBy.WEEK)
        assert {date.fromisoformat(week).weekday() for week in weeks} == {0}
    finally:
        connection.terminate()


async def test_a_program_gets_lines_and_a_person_a_table_with_the_total(operate: Operate) -> None:
    lines = (await operate("usage", by="person", model="gpt-4o-mini")).lines
    assert len(lines) == 12
    assert [line["billable_tokens"] for line in lines] == sorted((e["billable_tokens"] for e in lines), reverse=True)
    (whole,) = (await operate("usage", by="model", model="gpt-4o-mini")).lines
    assert whole == {"model": "gpt-4o-mini"} | {name: sum(line[name] for line in lines) for name in Figures._fields}
    table = (await operate("usage", by="person", model="gpt-4o-mini", format="table")).out.splitlines()
    assert table[0].split()[:2] == ["person", "calls"]
    assert table[-1].split()[:2] == ["total", f"{whole['calls']:,}"]
    never = {name for name in ("cache_write_tokens", "unpriced_calls", "unsettled_calls") if not whole[name]}
    assert never
    assert not never & set(table[0].split())
    assert len(table[-1].split()) == len(table[0].split())
    records = [
        *csv.DictReader((await operate("usage", by="person", model="gpt-4o-mini", format="csv")).out.splitlines())
    ]
    assert [record["person"] for record in records] == [*(line["person"] for line in lines), "total"]
    assert int(records[-1]["billable_tokens"]) == whole["billable_tokens"]


async def test_people_of_one_tag_are_summed_up(operate: Operate, tmp_path: Path) -> None:
    all_lines = {line["person"]: line for line in (await operate("usage", by="person", model="gpt-4o-mini")).lines}
    tagged = sorted(all_lines)[:2]
    file = tmp_path / "tags.csv"
    file.write_text("id,tags\n" + "".join(f"{account},Vendas\n" for account in tagged))
    await operate("import", file=file, apply=1)
    lines = (await operate("usage", by="person", model="gpt-4o-mini", tag=" VENDAS")).lines
    assert {line["person"]: line for line in lines} == {account: all_lines[account] for account in tagged}
    assert (await operate("usage", tag="compras")).lines == []


async def test_on_a_terminal_it_is_a_table(usage_url: str) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ledger.operate", "usage", "--by=month", "--model=gpt-4o-mini"),
        env={"PATH": os.environ["PATH"], "SOLARIS_DATABASE_URL": usage_url},
        stdout=theirs,
    )
    os.close(theirs)
    shown = await asyncio.to_thread(_read_all, ours)
    assert await process.wait() == 0
    lines = shown.split("\r\n")
    assert [line.split()[0] for line in lines if line] == ["month", "2026-03", "total"]


def _read_all(terminal: int) -> str:
    with os.fdopen(terminal, "rb") as screen:
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := screen.read1(4096):
                shown += chunk
        return shown.decode()


async def test_one_account_one_day_and_nothing(operate: Operate) -> None:
    (day,) = (await operate("usage", account="account-00003", from_="2026-03-02", to="2026-03-02")).lines
    assert day["day"] == "2026-03-02"
    assert day["calls"] > 10
    assert (await operate("usage", account="account-00003", to="2026-03-01")).lines == []
    assert (await operate("usage", model="unheard-of")).lines == []
    (month,) = (await operate("usage", by="month", account="account-00003")).lines
    assert month == {"month": "2026-03"} | {name: day[name] for name in Figures._fields}
    (await operate("usage", account="acount-00003")).assert_refused(1)
    (await operate("usage", from_="2026-03-03", to="2026-03-02")).assert_refused(2)
