"""`make explain`: what was stored of a call, class by class, whatever became of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from contracts.usage import Outcome, TokenUsage
from ledger.application.submission import Kind
from ledger.catalog_file import load_policy
from ledger.domain.commands import ExpireReservation
from ledger.domain.policy import Policy
from ledger.operate.executing import open_executor
from ledger.settings import LedgerSettings
from ledger.store.requests.days import load_today, make_days
from ledger.store.requests.lines import store_lines
from msgspec.structs import replace

from tests.support.gateway_messages import usage_recorded
from tests.support.infrastructure import Postgres
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_operate import CATALOG, Operate, operate_on
from tests.support.projecting import caught_up, projecting
from tests.support.request_lines import RETENTION, refused, served

MODEL = "claude-sonnet-4-5"
USAGE = TokenUsage(prompt_tokens=1_000, cached_prompt_tokens=300, cache_write_tokens=100, completion_tokens=77)


def policy(url: str) -> Policy:
    """The shipped catalog, with another weight of each class: prices are its own."""
    shipped = load_policy(LedgerSettings(database_url=url, catalog=CATALOG))
    models = tuple(
        replace(
            each,
            rates=replace(
                each.rates,
                prompt_weight_millionths=500_000,
                cached_prompt_weight_millionths=50_001,
                cache_write_weight_millionths=625_000,
                completion_weight_millionths=2_000_000,
            ),
        )
        for each in shipped.catalog.models
    )
    return replace(shipped, catalog=replace(shipped.catalog, models=models))


@pytest_asyncio.fixture(scope="module")
async def explained_ledger(postgres_server: Postgres, history_template: str) -> AsyncIterator[str]:
    """Calls that were settled, settled late, cost nothing, are open, and had no hold."""
    async with postgres_server.copied(history_template) as url:
        connection = await asyncpg.connect(url)
        settings = LedgerSettings(database_url=url)
        async with projecting(url), open_executor(settings, policy(url), connection) as executor:
            for name in ("settled", "late", "free", "open"):
                hold = reserve_tokens("ana", name, model=MODEL, prompt=1_000, maximum=100)
                await executor.submit(hold, Kind.RESERVE)
            settled = usage_recorded("settled", model=MODEL, usage=USAGE)
            await executor.submit(settle_usage("ana", settled), Kind.USAGE)
            free = usage_recorded("free", model=MODEL, outcome=Outcome.UPSTREAM_ERROR)
            await executor.submit(settle_usage("ana", free), Kind.USAGE)
            unheld = usage_recorded("unheld", model=MODEL, prompt=3, forwarded_without_hold=True)
            await executor.submit(settle_usage("ana", unheld), Kind.USAGE)
            # Holds live by the database's clock, in which no time passes here: one of the template is over.
            ((account_id, reservation_id),) = await connection.fetch(OVER)
            await executor.submit(ExpireReservation(account_id=account_id, reservation_id=reservation_id), Kind.SWEEPER)
            late = usage_recorded(reservation_id, prompt=20, completion=1)
            await executor.submit(settle_usage(account_id, late), Kind.USAGE)
            await caught_up(connection, "statement")
        await connection.close()
        yield url


OVER = "SELECT account_id, reservation_id FROM ledger.holds WHERE state = 'open' ORDER BY expires_at LIMIT 1"


@pytest.fixture
def operate(explained_ledger: str) -> Operate:
    return operate_on(explained_ledger)


async def test_a_settled_call_is_its_classes_by_their_weights_rounded_once(operate: Operate) -> None:
    told = (await operate("explain", id="settled")).json
    (step,) = told["steps"]
    weighed = [
        (each["token_class"], each["tokens"], each["weight_millionths"], each["billable_millionths"])
        for each in step["shares"]
    ]
    assert weighed == [
        ("prompt", 600, 500_000, 300_000_000),
        ("cached_prompt", 300, 50_001, 15_000_300),
        ("cache_write", 100, 625_000, 62_500_000),
        ("completion", 77, 2_000_000, 154_000_000),
    ]
    assert step["sum_millionths"] == 531_500_300
    assert step["movement"]["billable_tokens"] == -step["movement"]["tokens"] == 532
    prices = sum(each["tokens"] * each["price_micros"] for each in step["shares"])
    assert step["movement"]["cost_usd_micros"] == -(-prices // 10**6) > 0
    assert (told["state"], told["account_id"], told["model"]) == ("settled", "ana", MODEL)
    assert told["catalog_version"].startswith("20")
    hold = told["hold"]
    assert (hold["estimated_prompt_tokens"], hold["output_tokens"], hold["tokens"]) == (1_000, 100, 825)
    assert step["movement"]["reserved_position"] == hold["position"]


async def test_a_person_reads_the_same(operate: Operate) -> None:
    shown = (await operate("explain", id="settled", format="text")).out
    told = " ".join(shown.split())
    assert "settled of ana: settled" in told
    assert "825 billable tokens at" in told
    assert "1,000 estimated for the prompt, 100 output" in told
    assert "300 cached prompt x 0.050001 = 15.0003" in told
    assert "531.5003 in all, rounded up once: 532; cost" in told
    assert "taken: 532 of allowance" in told


async def test_late_usage_tells_what_it_corrected(operate: Operate, explained_ledger: str) -> None:
    connection = await asyncpg.connect(explained_ledger)
    (found,) = await connection.fetch(
        "SELECT reservation_id FROM projections.statement WHERE kind = 'correction'",
    )
    await connection.close()
    told = (await operate("explain", id=found[0])).json
    charged, correction = told["steps"]
    assert [each["movement"]["kind"] for each in told["steps"]] == ["unsettled", "correction"]
    assert correction["movement"]["corrects_position"] == charged["movement"]["position"]
    assert correction["movement"]["corrects_tokens"] == told["hold"]["tokens"]
    assert (correction["movement"]["billable_tokens"], charged["shares"]) == (21, [])
    text = (await operate("explain", id=found[0], format="text")).out
    assert "no usage came: the whole hold was charged" in text
    assert f"corrects the {told['hold']['tokens']:,} of position" in text


async def test_what_moved_nothing_is_explained_by_its_record(operate: Operate) -> None:
    free, open_one = (await operate("explain", id="free")).json, (await operate("explain", id="open")).json
    assert (free["state"], free["steps"], free["hold"]["tokens"]) == ("released", [], 825)
    assert (open_one["state"], open_one["steps"], open_one["rates"]["completion_weight_millionths"]) == (
        "open",
        [],
        2_000_000,
    )
    assert "charged     nothing" in (await operate("explain", id="free", format="text")).out


async def test_a_call_without_a_hold_has_the_rates_that_it_was_charged_by(operate: Operate) -> None:
    told = (await operate("explain", id="unheld", account="ana")).json
    assert (told["hold"], told["rates"]["prompt_weight_millionths"]) == (None, 500_000)
    assert told["steps"][0]["movement"]["billable_tokens"] == 2


async def test_a_conversation_and_the_client_s_own_id_are_its_calls(operate: Operate, explained_ledger: str) -> None:
    connection = await asyncpg.connect(explained_ledger)
    await make_days(connection, RETENTION, await load_today(connection))
    lines = [
        served("ana", request_id="settled", conversation_id="talk", client_request_id="mine"),
        served("ana", request_id="free", conversation_id="talk", at=datetime.now(UTC) + timedelta(milliseconds=9)),
        refused("ana", request_id="refused", conversation_id="talk", client_request_id="in vain"),
    ]
    await store_lines(connection, lines)
    await connection.close()
    assert [line["reservation_id"] for line in (await operate("explain", id="talk")).lines] == ["settled", "free"]
    assert (await operate("explain", id="mine")).json == (await operate("explain", id="settled")).json
    (await operate("explain", id="talk", account="account-00003")).assert_refused(1)
    ran = await operate("explain", id="in vain")
    ran.assert_refused(1)
    assert "make requests ID=" in ran.err


async def test_an_id_that_nobody_has_is_refused(operate: Operate) -> None:
    (await operate("explain", id="setled")).assert_refused(1)
    (await operate("explain", id="settled", account="account-00003")).assert_refused(1)
