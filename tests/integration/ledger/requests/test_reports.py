"""`make requests` and `make refusals`: what they list, in every format, and what sums up to what."""

import contextlib
import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from contracts.requests import Bodies, RequestEnding
from contracts.usage import UsageSource
from ledger.store.requests.days import make_days
from ledger.store.requests.lines import store_lines
from ledger.store.requests.report import Days, RefusalsBy, load_lines, load_refusals

from tests.support.ledger_operate import Operate, operate_on
from tests.support.request_lines import RETENTION, refused, served

ZONE = ZoneInfo("America/Sao_Paulo")
NOON = datetime.now(ZONE).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
YESTERDAY, TODAY = NOON + timedelta(days=1), NOON + timedelta(days=2)


@pytest_asyncio.fixture(scope="module")
async def told_url(migrated: str) -> AsyncIterator[str]:
    """A log of three days, with a request on each side of a local midnight."""
    connection = await asyncpg.connect(migrated)
    await make_days(connection, RETENTION, datetime.now(UTC).date())
    midnight = YESTERDAY.replace(hour=0)
    await store_lines(
        connection,
        [
            served("ana", at=NOON, request_id="request-1", model="=cmd", user_agent="@SUM(1)", conversation_id="talk"),
            served("ana", at=NOON, request_id="request-2", bodies=Bodies(request="question", answer="answer")),
            served("bia", at=NOON, request_id="request-3", usage_source=UsageSource.ESTIMATED),
            refused("ana", "rate_limited", at=midnight - timedelta(microseconds=1), request_id="request-4"),
            refused("ana", "rate_limited", at=midnight, request_id="request-5"),
            refused(
                "ana", "insufficient_tokens", at=TODAY, request_id="request-6", needed_tokens=70, available_tokens=3
            ),
            refused("bia", "rate_limited", at=TODAY, request_id="request-7", conversation_id="talk"),
            served(
                "bia", at=TODAY, request_id="request-8", ending=RequestEnding.FAILED, code="upstream_error", usage=None
            ),
        ],
    )
    await connection.close()
    yield migrated


@pytest.fixture
def operate(told_url: str) -> Operate:
    return operate_on(told_url)


def day(moment: datetime) -> str:
    return moment.date().isoformat()


async def test_the_log_is_listed_by_account_code_and_local_days(operate: Operate) -> None:
    async def listed(**options: str) -> list[str]:
        return [line["request_id"][-1] for line in (await operate("requests", **options)).lines]

    assert await listed() == list("12345678")
    assert await listed(account="bia") == list("378")
    assert await listed(code="rate_limited") == list("457")
    assert await listed(from_=day(YESTERDAY), to=day(YESTERDAY)) == ["5"]
    assert await listed(to=day(NOON), account="ana") == list("124")
    assert await listed(code="nothing") == []
    assert await listed(id="talk") == list("17")
    assert await listed(id="request-5") == ["5"]
    assert await listed(id="talk", account="bia") == ["7"]


async def test_a_line_says_what_is_known_and_bodies_in_json_alone(operate: Operate) -> None:
    lines = {line["request_id"]: line for line in (await operate("requests")).lines}
    first, refusal = lines["request-1"], lines["request-6"]
    assert first["prompt_to_estimate"] == "1.1000"
    assert "prompt_to_estimate" not in lines["request-3"]  # our own count of it says nothing of our estimate
    assert (lines["request-2"]["request"], lines["request-2"]["answer"]) == ("question", "answer")
    assert (refusal["code"], refusal["needed_tokens"], refusal["available_tokens"]) == ("insufficient_tokens", 70, 3)
    assert not {"usage_source", "held_tokens", "outcome", "request"} & refusal.keys()

    table = (await operate("requests", format="csv")).out
    rows = list(csv.DictReader(table.splitlines()))
    assert len(rows) == 8  # and no total of what can't be added up
    assert (rows[0]["model"], rows[0]["user_agent"], rows[0]["cached"]) == ("'=cmd", "'@SUM(1)", "no")
    assert "question" not in table

    table = (await operate("requests", format="table")).out
    assert table.splitlines()[0].split()[:4] == ["at", "account_id", "model", "ending"]
    assert len(table.splitlines()) == 9


async def test_refusals_are_counted_by_day_month_code_and_person(operate: Operate) -> None:
    async def counted(**options: str) -> list[tuple[object, ...]]:
        return [tuple(line.values()) for line in (await operate("refusals", **options)).lines]

    assert await counted() == [
        (day(NOON), "rate_limited", 1, 1),
        (day(YESTERDAY), "rate_limited", 1, 1),
        (day(TODAY), "insufficient_tokens", 1, 1),
        (day(TODAY), "rate_limited", 1, 1),
    ]
    assert await counted(by="code") == [("rate_limited", 3, 2), ("insufficient_tokens", 1, 1)]
    assert await counted(by="person") == [
        ("ana", "insufficient_tokens", 1, 1),
        ("ana", "rate_limited", 2, 1),
        ("bia", "rate_limited", 1, 1),
    ]
    assert sum(int(str(line[2])) for line in await counted(by="month")) == 4
    assert await counted(account="bia", by="code") == [("rate_limited", 1, 1)]
    assert await counted(from_=day(TODAY), by="code") == [("insufficient_tokens", 1, 1), ("rate_limited", 1, 1)]
    table = (await operate("refusals", format="table")).out.splitlines()
    assert table[0].split() == ["day", "code", "refusals", "people"]
    assert table[-1].split() == ["total", "4"]


async def test_who_leaves_in_the_middle_leaves_no_transaction_open(told_url: str) -> None:
    days = Days(time_zone=str(ZONE))
    connection = await asyncpg.connect(told_url)
    for rows in (
        load_lines(connection, days, None, None, None),
        load_refusals(connection, RefusalsBy.DAY, days, None),
    ):
        async with contextlib.aclosing(rows):
            await anext(aiter(rows))
        assert not connection.is_in_transaction()
    await connection.close()


async def test_who_is_known_to_nobody_is_an_error(operate: Operate) -> None:
    for verb in ("requests", "refusals"):
        (await operate(verb, account="nobody")).assert_refused(1)
    (await operate("requests", id="nothing")).assert_refused(1)
    for verb in ("requests", "refusals"):
        (await operate(verb, from_=day(TODAY), to=day(NOON))).assert_refused(2)
