"""Operators read balances, now and as they were, and the events themselves."""

import asyncio
import json
import os
import sys
from datetime import timedelta

import asyncpg
import pytest

from tests.support.ledger_operate import Operate, operate_on
from tests.support.tampering import tamper


async def test_an_unknown_account_has_neither_balance_nor_events(operate: Operate) -> None:
    (await operate("balance", account="nobody")).assert_refused(1)
    (await operate("balance", account="nobody", at="2026-03-02")).assert_refused(1)
    (await operate("events", account="nobody")).assert_refused(1)


async def test_an_account_whose_first_command_was_refused_is_unknown(
    operate: Operate, database: asyncpg.Connection
) -> None:
    (await operate("plan", new=1, account="half", plan="gold")).assert_refused(2)
    assert await database.fetchval("SELECT count(*) FROM ledger.accounts WHERE account_id = 'half'") == 0
    (await operate("balance", account="half")).assert_refused(1)
    assert (await operate("verify")).code == 0
    assert (await operate("replay")).code == 0


async def test_the_balance_of_now_is_what_the_events_say_of_now(operate: Operate, database: asyncpg.Connection) -> None:
    clock = await database.fetchval("SELECT clock_timestamp()")
    now = await operate("balance", account="account-00003")
    assert now.json == (await operate("balance", account="account-00003", at=clock.isoformat())).json
    balance = now.json
    assert balance["available"] == balance["monthly_remaining"] + balance["credits"] - balance["held"] - balance["debt"]


async def test_a_past_balance_is_folded_from_the_events_up_to_then(
    operate: Operate, database: asyncpg.Connection
) -> None:
    rows = await database.fetch(
        "SELECT type, recorded_at, data FROM ledger.events WHERE account_id = 'account-00003' ORDER BY version"
    )
    settled = [row for row in rows if "usage_settled" in row["type"]]
    used = 0
    for row in settled[:3]:
        used += json.loads(row["data"])["data"]["billable_tokens"]
        shifted = (row["recorded_at"] - timedelta(hours=5)).replace(tzinfo=None).isoformat() + "-05:00"
        for moment in (row["recorded_at"].isoformat(), shifted):
            assert (await operate("balance", account="account-00003", at=moment)).json["monthly_used"] == used
    just_before = (settled[0]["recorded_at"] - timedelta(microseconds=1)).isoformat()
    balance = (await operate("balance", account="account-00003", at=just_before)).json
    assert balance["monthly_used"] == 0
    assert balance["held"] > 0


async def test_a_date_alone_is_the_first_instant_of_that_day_in_the_configured_zone(operate: Operate) -> None:
    sao_paulo = await operate("balance", account="account-00003", at="2026-04-02")
    assert sao_paulo.json["cycle"]["starts_at"] == "2026-04-02T03:00:00Z"
    in_utc = {"SOLARIS_TIMEZONE": "UTC"}
    utc = await operate("balance", account="account-00003", at="2026-04-02", environment=in_utc)
    assert utc.json["cycle"]["id"] == "2026-03-02"


async def test_a_moment_before_the_first_event_is_refused_and_says_when_the_account_was_opened(
    operate: Operate,
) -> None:
    ran = await operate("balance", account="account-00003", at="2026-03-01")
    ran.assert_refused(1)
    assert "opened later" in ran.err


async def test_a_future_moment_shows_what_time_alone_changes(operate: Operate, database: asyncpg.Connection) -> None:
    clock = await database.fetchval("SELECT clock_timestamp()")
    ahead = (await operate("balance", account="account-00003", at=(clock + timedelta(days=70)).isoformat())).json
    assert ahead["monthly_used"] == 0
    (await operate("balance", account="account-00003", at="2199-01-01")).assert_refused(2)


async def test_events_come_in_position_order_with_both_ends_of_the_range(
    operate: Operate, database: asyncpg.Connection
) -> None:
    every = (await operate("events")).lines
    stored = await database.fetch("SELECT * FROM ledger.events ORDER BY position")
    assert [line["position"] for line in every] == [row["position"] for row in stored]
    line, row = every[7], stored[7]
    assert list(line) == ["position", "account_id", "version", "type", "recorded_at", "data"]
    assert line["data"] == json.loads(row["data"])["data"]
    assert (line["type"], line["account_id"], line["version"]) == (row["type"], row["account_id"], row["version"])
    assert [each["position"] for each in (await operate("events", from_=3, to=5)).lines] == [3, 4, 5]
    assert (await operate("events", from_=10**15)).lines == []


async def test_events_of_one_account_are_its_versions_without_a_gap(operate: Operate) -> None:
    lines = (await operate("events", account="account-00003")).lines
    assert {line["account_id"] for line in lines} == {"account-00003"}
    assert [line["version"] for line in lines] == list(range(1, len(lines) + 1))
    some = (await operate("events", account="account-00003", to=lines[4]["position"])).lines
    assert some == lines[:5]


async def test_a_reader_that_leaves_early_ends_the_listing_quietly(ledger_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ledger.operate",
        "events",
        env={"PATH": os.environ["PATH"], "SOLARIS_DATABASE_URL": ledger_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1024,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.read(100)
    process.stdout._transport.close()  # type: ignore[attr-defined]  # the reader's end of the pipe
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert await process.stderr.read() == b""


@pytest.mark.parametrize("arguments", [("events",), ("balance", "--account=account-00003")])
async def test_an_output_that_takes_nothing_is_named_in_one_line(ledger_url: str, arguments: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ledger.operate",
        *arguments,
        env={"PATH": os.environ["PATH"], "SOLARIS_DATABASE_URL": ledger_url},
        stdout=full,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(full)
    _, told = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert told.decode() == "error: standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("ledger.operate", "events"), "error: standard output is closed\n"),
        (("local_run.commands.operate", "events"), "error: standard output is closed\n"),
        (("ledger.operate", "revoke"), "error: standard output is closed\n"),
    ],
)
async def test_where_there_is_no_output_nothing_is_done(ledger_url: str, command: tuple[str, ...], told: str) -> None:
    """What is opened next would be in its place, the database's connection say."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", *command),
        env={"PATH": os.environ["PATH"], "SOLARIS_DATABASE_URL": ledger_url, "SOLARIS_NATS_URL": "nats://127.0.0.1:1"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, said.decode()) == (1, told)


async def test_events_that_this_version_does_not_know_are_listed_and_a_past_balance_says_so(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    operate = operate_on(own_ledger)
    newer = "UPDATE ledger.events SET type = 'solaris.ledger.usage_settled.v2', recorded_at = 'infinity'"
    await tamper(damaged, f"{newer} WHERE account_id = 'account-00003' AND version = 3")
    lines = (await operate("events", account="account-00003")).lines
    assert (lines[2]["type"], lines[2]["recorded_at"]) == ("solaris.ledger.usage_settled.v2", None)
    await tamper(damaged, "UPDATE ledger.events SET recorded_at = '2026-03-03' WHERE recorded_at = 'infinity'")
    ran = await operate("balance", account="account-00003", at="2026-03-04")
    ran.assert_refused(1)
    assert "usage_settled.v2" in ran.err
