"""`reconcile` finds each fault, names it, keeps it, and puts right by new events what can be put right."""

import asyncio
import csv
import io
import re
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ledger.application.submission import Kind
from ledger.reconciliation.running import correction_pages
from ledger.store.reconciliation import ledger_calls
from ledger.store.reconciliation.ledger_calls import gather_calls, sorted_ledger_calls
from ledger.store.reconciliation.rows import RunKey, Source, Trigger
from ledger.store.reconciliation.runs import load_time
from msgspec import json

from tests.integration.ledger.reconciliation.conftest import Calls
from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import settle_usage
from tests.support.ledger_operate import Operate, Ran
from tests.support.litellm_payloads import payload
from tests.support.projecting import caught_up, projecting

SECOND = timedelta(seconds=1)


def of(ran: Ran, record: str) -> list[dict[str, Any]]:
    return [line for line in ran.lines if line["record"] == record]


def found(ran: Ran) -> dict[str, tuple[str, str]]:
    return {line["call_id"]: (line["kind"], line["reason"]) for line in of(ran, "finding")}


async def test_each_fault_is_found_and_named_and_what_can_be_is_put_right(
    calls: Calls, operate: Operate, connection: asyncpg.Connection, day: str
) -> None:
    for number in range(8):
        await calls.settled(f"good-{number}")
        await calls.told(f"good-{number}")
    quiet = await operate("reconcile", from_=day, to=day)
    (run,) = of(quiet, "run")
    assert (quiet.code, run["matched"], run["difference_percent"], found(quiet)) == (0, 8, 0, {})

    await calls.lost("lost")
    await calls.told("lost", 70, 5)
    await calls.settled("twice")
    await calls.told("twice")
    again = usage_recorded("twice", prompt=100, completion=20, started_at=calls.began_at)
    await calls.executor.submit(settle_usage("bia", again), Kind.USAGE)
    await calls.settled("other", 100, 20)
    await calls.told("other", 100, 23)
    await calls.told("past-the-gateway", account_id="carla")
    await calls.estimated("left", 90, 11)
    await calls.told("left", 88, 14)
    await calls.held("under-way")
    await calls.settled("unheard")

    ran = await operate("reconcile", from_=day, to=day)
    assert ran.code == 1, ran
    assert found(ran) == {
        "lost": ("missing_here", "unsettled"),
        "twice": ("missing_there", "doubled"),
        "other": ("different", "tokens"),
        "past-the-gateway": ("missing_here", "no_reservation"),
        "left": ("different", "estimate"),
        "unheard": ("missing_there", "unknown_there"),
    }
    (run,) = of(ran, "run")
    assert (run["matched"], run["different"], run["missing_here"], run["missing_there"]) == (9, 2, 2, 2)
    assert run["within_threshold"] is False
    assert {line["account"] for line in of(ran, "account")} == {"ana", "bia", "carla"}
    (whole,) = of(ran, "day")
    assert sum(line["differing_tokens"] for line in of(ran, "model")) == whole["differing_tokens"]
    kept = await connection.fetchval("SELECT count(*) FROM reconciliation.findings WHERE run_id = $1", run["run_id"])
    assert kept == 6

    before = await operate("balance", account="ana")
    right = await operate("reconcile", from_=day, to=day, correct=1)
    assert "corrected 2, unchanged 0, refused 0" in right.err
    assert found(right).keys() == {"twice", "other", "past-the-gateway", "unheard"}
    # The hold was of 300 and 75 were used; the estimate was of 101 and 102 were used.
    after = await operate("balance", account="ana")
    assert after.json["monthly_used"] == before.json["monthly_used"] - (300 - 75) + (102 - 101)
    once_more = await operate("reconcile", from_=day, to=day, correct=1)
    assert "corrected 0, unchanged 0, refused 0" in once_more.err

    assert (await operate("verify")).code == 0
    replayed = await operate("replay", projection="holds")
    assert (replayed.code, replayed.json["difference_count"]) == (0, 0)


async def test_a_correction_is_made_once_whatever_is_told_after_it(calls: Calls, operate: Operate, day: str) -> None:
    await calls.estimated("left-2", 50, 5)
    await calls.told("left-2", 50, 9)
    assert "corrected 1" in (await operate("reconcile", from_=day, to=day, correct=1)).err
    # The very estimate, out of a journal that is resent, has no effect; it is no second figure.
    await calls.estimated("left-2", 50, 5)
    said = payload("left-2", prompt=1, completion=1, started_at=calls.began_at - timedelta(seconds=1))
    await calls.tell([said])  # another attempt of LiteLLM's under the same id: the sum of both differs
    ran = await operate("reconcile", from_=day, to=day)
    assert found(ran)["left-2"] == ("different", "tokens")
    assert (await operate("reconcile", from_=day, to=day, correct=1)).err.startswith("corrected 0,")


async def test_what_is_told_of_another_account_moves_nobodys_balance(calls: Calls, operate: Operate, day: str) -> None:
    await calls.lost("lost-3")
    await calls.told("lost-3", 900_000, 5, account_id="bia")
    await calls.estimated("left-3", 50, 5)
    await calls.told("left-3", 50, 9)
    # The id was used again past the gateway, for somebody whose name comes before.
    await calls.tell([payload("left-3", prompt=700_000, account_id="abel", started_at=calls.began_at - SECOND)])
    before = (await operate("balance", account="ana")).json
    ran = await operate("reconcile", from_=day, to=day, correct=1)
    assert (found(ran)["lost-3"], found(ran)["left-3"]) == (("missing_here", "account"), ("different", "account"))
    assert (await operate("balance", account="ana")).json["monthly_used"] == before["monthly_used"]


async def test_corrections_by_two_operators_at_once_are_made_once(calls: Calls, operate: Operate, day: str) -> None:
    for number in range(20):
        await calls.estimated(f"both-{number}", 60, 6)
        await calls.told(f"both-{number}", 60, 9)
    before = (await operate("balance", account="ana")).json["monthly_used"]
    ran = await asyncio.gather(*(operate("reconcile", from_=day, to=day, correct=1) for _ in range(2)))
    assert not any("both-" in found_id for each in ran for found_id in found(each))
    done = [[int(word) for word in re.findall(r"\d+", each.err)] for each in ran]
    assert sum(corrected for corrected, *_ in done) >= 20
    assert [refused for *_, refused in done] == [0, 0]
    assert (await operate("balance", account="ana")).json["monthly_used"] == before + 20 * 3


async def test_reports_have_a_corrected_call_once_and_say_what_corrected_it(
    calls: Calls, operate: Operate, connection: asyncpg.Connection, ledger_url: str, day: str
) -> None:
    async def used() -> tuple[int, ...]:
        for name in ("usage", "statement"):
            await caught_up(connection, name)
        row = await connection.fetchrow(
            "SELECT sum(calls), sum(prompt_tokens), sum(completion_tokens), sum(estimated_calls) FROM projections.usage"
        )
        assert row is not None
        return tuple(map(int, row))

    async with projecting(ledger_url):
        await calls.estimated("reported", 40, 4)
        before = await used()
        await calls.told("reported", 33, 9)
        await operate("reconcile", from_=day, to=day, correct=1)
        after = await used()
    assert [a - b for a, b in zip(after, before, strict=True)] == [0, 33 - 40, 9 - 4, -1]
    (explained,) = (await operate("explain", id="reported")).lines
    call, correction = (step["movement"] for step in explained["steps"])
    assert (call["kind"], correction["kind"]) == ("call", "correction")
    assert (correction["corrects_position"], correction["corrects_tokens"]) == (call["position"], 44)
    replayed = await operate("replay", projection="all")
    assert (replayed.code, replayed.json["difference_count"]) == (0, 0)


async def test_of_days_long_past_what_was_put_right_since_is_seen(
    calls: Calls, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_calls, "LATE", timedelta(0))
    await calls.estimated("since-1", 50, 5)
    await calls.lost("since-2")
    await calls.estimated("since-3", 50, 5)
    ends_at = await load_time(connection)
    await calls.told("since-1", 50, 9)
    await calls.told("since-2", 50, 9)
    await calls.settled("since-4")  # which began in time too, and is not read
    wanted = RunKey(trigger=Trigger.OPERATOR, source="litellm", first_day=ends_at.date(), last_day=ends_at.date())
    async with aclosing(correction_pages(connection, wanted, Source.CALLBACK)) as pages:
        commands = [command async for page in pages for command in page if command.usage.reservation_id[:5] == "since"]
    for command in commands:
        await calls.executor.submit(command, Kind.USAGE)
    async with connection.transaction():
        await gather_calls(connection, ends_at - timedelta(hours=1), ends_at, await load_time(connection))
        known = {call.call_id: call async for call in sorted_ledger_calls(connection)}
    since = {call_id: known[call_id] for call_id in sorted(known) if call_id.startswith("since-")}
    assert {call_id: (call.tokens.completion, call.settlements) for call_id, call in since.items()} == {
        "since-1": (9, 1),
        "since-2": (9, 0),
        "since-3": (5, 1),
    }


@pytest.mark.parametrize("form", ["table", "csv"])
async def test_findings_are_printed_for_people_and_spreadsheets(
    calls: Calls, operate: Operate, day: str, form: str
) -> None:
    await calls.told("past-2", account_id="dora", prompt=7, completion=1, model_group="=1+1")
    ran = await operate("reconcile", from_=day, to=day, format=form)
    assert ran.code == 1
    if form == "table":
        assert "no_reservation" in ran.out
        assert ran.out.endswith(
            " % of tokens and no cost to compare, MORE THAN 0.5 %\n"
        )  # none has a price on both sides
    else:
        rows = list(csv.DictReader(io.StringIO(ran.out)))
        assert rows[-1]["kind"] == "total"
        assert int(rows[-1]["their_prompt_tokens"]) == sum(int(row["their_prompt_tokens"] or 0) for row in rows[:-1])
        assert not [cell for row in rows for cell in row.values() if cell.startswith("=")]


async def test_a_threshold_that_covers_it_exits_well(operate: Operate, day: str) -> None:
    ran = await operate("reconcile", from_=day, to=day, threshold=100)
    assert ran.code == 0
    assert json.decode(ran.out.splitlines()[-1])["within_threshold"] is True


@pytest.mark.parametrize(
    "options",
    [
        {"from_": "2026-03-02", "to": "2026-03-01"},
        {"from_": "2020-01-01", "to": "2026-01-01"},
        {"file": "/nowhere.csv", "correct": 1},
    ],
)
async def test_options_that_contradict_each_other_are_one_line(operate: Operate, options: dict[str, object]) -> None:
    (await operate("reconcile", **options)).assert_refused(2)


async def test_a_providers_export_is_compared_by_day_and_model(
    calls: Calls, operate: Operate, day: str, tmp_path: Path
) -> None:
    await calls.settled("exported", 100, 20, model="gpt-4o-mini-2024-07-18")
    rows = [f"{day}T00:00:00+00:00,gpt-4o-mini-2024-07-18,1,100,20,0", f"{day}T00:00:00+00:00,o3,2,50,9,0"]
    export = tmp_path / "completions_usage.csv"
    export.write_text(
        "start_time_iso,model,num_model_requests,input_tokens,output_tokens,input_cached_tokens\n" + "\n".join(rows)
    )
    ran = await operate("reconcile", file=export, threshold=100)
    assert ran.code == 0, ran
    lines = {line["model"]: (line["matched"], line["missing_here"], line["their_tokens"]) for line in of(ran, "model")}
    assert (lines["gpt-4o-mini"], lines["o3"]) == ((1, 0, 120), (0, 1, 59))
    assert ("missing_here", "sums") in {(line["kind"], line["reason"]) for line in of(ran, "finding")}


async def test_without_an_address_its_own_log_is_not_read(operate: Operate) -> None:
    (await operate("reconcile", source="spend-logs")).assert_refused(1)
