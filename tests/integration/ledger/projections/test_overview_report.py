"""`make overview`: days that sum up to their range in any zone, people counted once a day, and what is not known."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import asyncpg
from ledger.store.projected.overview_report import OverviewWanted, load_overview
from ledger.store.projected.overview_rows import ActivityKey, OverviewChanges, QuarterSums
from ledger.store.projected.overview_tables import write_overview
from ledger.store.projected.tracks import Track, TrackState, connect_for_projecting, load_track
from ledger.store.projected.usage_rows import Figures

from tests.support.ledger_operate import operate_on
from tests.support.projecting import caught_up, projecting

ZONES = {
    "America/Sao_Paulo": datetime(2018, 2, 16, tzinfo=UTC),  # midnight comes twice on the 17th
    "America/Sao_Paulo ": datetime(2018, 11, 2, tzinfo=UTC),  # and not at all on the 4th
    "Asia/Kolkata": datetime(2017, 11, 20, tzinfo=UTC),
    "Europe/Berlin": datetime(2020, 3, 27, tzinfo=UTC),  # a day of 23 hours: one of UTC has parts of three
    "Australia/Lord_Howe": datetime(2019, 4, 4, tzinfo=UTC),  # by half an hour
}


async def test_days_sum_up_and_people_count_once_in_each_of_theirs(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projecting(own_ledger):
        await caught_up(damaged)
    connection = await connect_for_projecting(own_ledger, "test")
    track = await load_track(connection, "usage", TrackState.LIVE)
    assert isinstance(track, Track)
    for zone, starts in ZONES.items():
        await _check_zone(connection, track, zone.strip(), starts)
    connection.terminate()


async def _check_zone(connection: asyncpg.Connection, track: Track, zone: str, starts: datetime) -> None:
    random, tz = Random(f"{zone}{starts}"), ZoneInfo(zone)
    people: defaultdict[date, set[str]] = defaultdict(set)
    tokens: Counter[date] = Counter()
    changes = OverviewChanges({}, {})
    for number in range(6 * 96):
        moment = starts + number * timedelta(minutes=15)
        account_id, used = f"p{random.randrange(30)}", random.randrange(1, 99)
        local = moment.astimezone(tz).date()
        people[local].add(account_id)
        tokens[local] += used
        changes.added[moment] = QuarterSums(Figures(calls=1, billable_tokens=used), 0)
        key = ActivityKey(moment.date(), account_id)
        changes.active[key] = changes.active.get(key, 0) | 1 << (number % 96)
    async with connection.transaction():
        await write_overview(connection, track, changes)
        await write_overview(connection, track, OverviewChanges({}, changes.active))
    first, last = min(tokens), max(tokens)
    days = await load_overview(connection, OverviewWanted(time_zone=zone, first_day=first, last_day=last))
    assert {day: each.billable_tokens for day, each in days.items()} == tokens
    assert {day: each.active_people for day, each in days.items()} == {day: len(them) for day, them in people.items()}
    for day in tokens:
        one = await load_overview(connection, OverviewWanted(time_zone=zone, first_day=day, last_day=day))
        assert one == {day: days[day]}


async def test_it_agrees_with_usage_and_says_what_nobody_counts(own_ledger: str, damaged: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    (await operate("overview")).assert_refused(1)
    async with projecting(own_ledger):
        await caught_up(damaged)
    await damaged.execute(
        """
        INSERT INTO revenue.movements (key, account_id, order_id, kind, amount_minor, currency, moved_at)
        VALUES ('a', 'x', 'o', 'paid', 1490, 'usd', '2026-03-02T12:00Z'),
            ('b', 'x', 'o', 'refunded', -490, 'usd', '2026-03-03T02:59Z'),
            ('c', 'x', 'p', 'paid', 7490, 'brl', '2026-03-03T03:00Z')
        """
    )
    lines = (await operate("overview")).lines
    usage = (await operate("usage")).lines
    assert [(line["day"], line["calls"], line["billable_tokens"], line["cost_usd_micros"]) for line in lines[:1]] == [
        (line["day"], line["calls"], line["billable_tokens"], line["cost_usd_micros"]) for line in usage
    ]
    opened, revenue = lines
    assert (opened["active_people"], opened["new_people"]) == (12, 12)
    assert (opened["revenue_usd_minor"], opened["revenue_brl_minor"]) == (1_000, 0)
    assert (revenue["day"], revenue["calls"], revenue["revenue_brl_minor"]) == ("2026-03-03", 0, 7_490)
    table = (await operate("overview", format="table")).out.splitlines()
    assert table[-1].split()[0] == "total"
    assert "active_people" in table[0]
    assert (await operate("overview", to="2026-03-01")).lines == []
    replayed = await operate("replay", projection="overview")
    assert (replayed.code, replayed.json["projection"]) == (0, "usage"), "it moves with usage"
    (await operate("overview", from_="2026-03-03", to="2026-03-02")).assert_refused(2)


async def test_refusals_are_of_the_local_day_in_which_their_hour_begins(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    operate = operate_on(own_ledger)
    async with projecting(own_ledger):
        await caught_up(damaged)
    await damaged.execute(
        """
        INSERT INTO requests.refusals VALUES ('x', '2026-03-02T12:00Z', 'insufficient_tokens', 3),
            ('x', '2026-03-05T02:00Z', 'rate_limited', 2)
        """
    )
    told = {line["day"]: line["refusals"] for line in (await operate("overview")).lines}
    assert told == {"2026-03-02": 3, "2026-03-04": 2}
