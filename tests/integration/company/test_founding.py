"""What `make seed` writes is sound for both services, shows every kind of thing, and is made once."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from billing.domain.voucher_codes import code_of, digest_of
from chassis.postgres import create_engine, disposed
from company.founding import Founded
from company.people import DEPARTMENTS, HEADCOUNT, hire
from contracts.accounts import subject_token
from contracts.errors import ConflictError
from contracts.subjects import event_subject
from ledger.application.executor import Executor
from ledger.messaging.billing import execute
from ledger.messaging.instructions import HEARD, read_instruction

from tests.integration.company.conftest import KILLED_AFTER, Company, founding
from tests.support.infrastructure import Postgres
from tests.support.ledger_history import roomy_policy
from tests.support.ledger_operate import operate_on

STANDING = """
SELECT (SELECT count(*) FROM ledger.events), (SELECT count(*) FROM ledger.holds), (SELECT count(*) FROM ledger.audit),
    (SELECT count(*) FROM billing.orders), (SELECT count(*) FROM billing.order_changes),
    (SELECT count(*) FROM billing.outbox), (SELECT count(*) FROM billing.vouchers),
    (SELECT count(*) FROM ledger.profiles)
"""
# Without any of the code that wrote it: what billing's books say of each order, and the ledger's of its lot.
DISAGREEING = """
SELECT orders.id, orders.tokens, orders.revoked_tokens, lots.record
FROM billing.orders FULL JOIN ledger.lots ON lots.lot_id = 'order:' || orders.id AND lots.account_id = orders.account_id
WHERE (orders.kind <> 'subscription' AND orders.state = 'paid' OR lots.record ->> 'source' IN ('package', 'top_up'))
    AND (orders.tokens, orders.revoked_tokens) IS DISTINCT FROM
        ((record ->> 'granted')::bigint, (record ->> 'revoked')::bigint - coalesce((record ->> 'restored')::bigint, 0))
"""
PLANS_DISAGREEING = """
SELECT account_id, subscriptions.plan, accounts.state ->> 'plan' FROM billing.subscriptions
JOIN ledger.accounts USING (account_id)
WHERE subscriptions.plan IS NOT NULL AND subscriptions.plan <> accounts.state ->> 'plan'
"""


async def test_who_was_missing_after_a_kill_is_made_and_then_nobody(
    company: Company, database: asyncpg.Connection
) -> None:
    founded = company.founded
    assert (founded.code, founded.err) == (0, "")
    assert company.there_before >= KILLED_AFTER
    assert founded.json["skipped"] == company.there_before
    assert founded.json["created"] + founded.json["skipped"] == HEADCOUNT
    assert await database.fetchval("SELECT count(*) FROM ledger.accounts WHERE version > 0") == HEADCOUNT
    before = await database.fetchrow(STANDING)
    again = await operate_on(company.url, "company")("seed")
    assert (again.code, again.json["created"], again.json["events"]) == (0, 0, 0)
    assert await database.fetchrow(STANDING) == before


async def test_all_that_was_refused_is_counted(company: Company, database: asyncpg.Connection) -> None:
    last = [person.account_id for person in hire(1)[company.there_before :]]
    counted = "SELECT sum(refusals) FROM requests.refusals WHERE account_id = ANY ($1)"
    assert await database.fetchval(counted, last) == company.founded.json["refusals"] > 0
    logged = "SELECT count(*) FROM requests.log WHERE ending = 'refused' AND account_id = ANY ($1)"
    assert await database.fetchval(logged, last) < company.founded.json["refusals"]  # which begins later


async def test_its_voucher_has_no_code_that_anybody_could_make_up(database: asyncpg.Connection) -> None:
    kept = {row[0] for row in await database.fetch("SELECT code_digest FROM billing.vouchers")}
    assert kept
    assert kept.isdisjoint(digest_of(code_of(number)) for number in range(1_000))


async def test_the_ledger_is_sound(company: Company) -> None:
    ledger = operate_on(company.url)
    assert (await ledger("verify")).code == 0
    for projection in ("accounts", "holds"):
        replayed = await ledger("replay", projection=projection)
        assert (replayed.code, replayed.json["differences"]) == (0, [])


async def test_both_services_books_agree(company: Company, database: asyncpg.Connection) -> None:
    assert await database.fetch(DISAGREEING) == []
    assert await database.fetch(PLANS_DISAGREEING) == []
    paid = await database.fetchval(
        "SELECT count(*) FROM billing.orders WHERE state = 'paid' AND kind <> 'subscription'"
    )
    assert await database.fetchval("SELECT count(*) FROM ledger.lots WHERE lot_id LIKE 'order:%'") == paid > 50


async def test_what_billing_publishes_has_no_second_effect(company: Company, database: asyncpg.Connection) -> None:
    said = await database.fetch("SELECT name, account_id, payload FROM billing.outbox ORDER BY position")
    before = await database.fetchrow(STANDING)
    async with Executor(company.url, roomy_policy()) as executor:
        for name, account_id, payload in said:
            if name in HEARD:
                await execute(executor, read_instruction(event_subject(name, subject_token(account_id)), payload))
    assert await database.fetchrow(STANDING) == before


async def test_it_shows_every_kind_of_thing(database: asyncpg.Connection) -> None:
    async def count(query: str) -> int:
        return int(await database.fetchval(f"SELECT count(*) FROM {query}") or 0)

    accounts = "ledger.accounts WHERE (state ->> 'monthly_limit')::bigint > 0 AND"
    used, limit = "(state ->> 'monthly_used')::bigint", "(state ->> 'monthly_limit')::bigint"
    assert await count(f"{accounts} {used} BETWEEN 0.8 * {limit} AND {limit} - 1") >= 6
    assert await count(f"{accounts} (state ->> 'exhausted')::boolean") >= 4
    assert await count(f"{accounts} state ->> 'status' = 'suspended'") == 1
    assert await count("ledger.holds WHERE state = 'open'") >= 3
    assert await count("ledger.holds WHERE state = 'expired'") >= 5
    late = "data LIKE '%corrects_billable_tokens\":%' AND data NOT LIKE '%corrects_billable_tokens\":null%'"
    assert await count(f"(SELECT convert_from(data, 'UTF8') AS data FROM ledger.events) AS event WHERE {late}") >= 3
    assert {tuple(row) for row in await database.fetch("SELECT DISTINCT kind, state FROM billing.orders")} >= {
        *((kind, "paid") for kind in ("package", "subscription", "manual", "voucher", "top_up")),
        *(("package", state) for state in ("pending", "failed")),
    }
    assert await count("billing.refunds") == 3
    assert {row[0] for row in await database.fetch("SELECT status FROM billing.disputes")} == {"lost", "won"}
    told = {row[0] for row in await database.fetch("SELECT DISTINCT what FROM billing.subscription_changes")}
    assert told >= {"plan_started", "plan_renewed", "plan_upgraded", "plan_ended", "renewal_failed"}


async def test_it_is_three_months_of_growing_use_in_office_hours(database: asyncpg.Connection) -> None:
    first, last, now = await database.fetchrow(
        "SELECT min(recorded_at), max(recorded_at), clock_timestamp() FROM ledger.events"
    )  # type: ignore[misc]
    assert last - first > timedelta(days=85)
    assert last < now
    calls = await database.fetch("""
        WITH call AS (
            SELECT recorded_at AT TIME ZONE 'America/Sao_Paulo' AS at FROM ledger.events
            WHERE type = 'solaris.ledger.tokens_reserved.v1'
        ), span AS (SELECT min(at) AS began, max(at) AS ended FROM call)
        SELECT extract(isodow FROM at) < 6 AS is_workday, extract(hour FROM at) BETWEEN 7 AND 19 AS is_day,
            at > ended - (ended - began) / 3 AS is_late, count(*) FROM call, span GROUP BY 1, 2, 3
    """)

    def share(column: str) -> float:
        return float(sum(row["count"] for row in calls if row[column]) / sum(row["count"] for row in calls))

    assert share("is_workday") > 0.85
    assert share("is_day") > 0.75
    assert share("is_late") > 0.4


async def test_no_event_names_anybody_and_nobody_can_be_written_to(database: asyncpg.Connection) -> None:
    profiles = await database.fetch("SELECT email, name FROM ledger.profiles")
    assert {email.rpartition(".")[2] for email, _ in profiles} == {"invalid"}
    assert len({email for email, _ in profiles}) == HEADCOUNT
    tagged = await database.fetch("SELECT tags[1], count(*) FROM ledger.profiles GROUP BY 1")
    assert {department for department, _ in tagged} == {department.name for department in DEPARTMENTS}
    text = b" ".join(row[0] for row in await database.fetch("SELECT data FROM ledger.events"))
    text += b" ".join(row[0] for row in await database.fetch("SELECT payload FROM billing.outbox"))
    assert b"@" not in text
    assert [name for _, name in profiles[:20] if name.encode() in text] == []


@pytest.mark.parametrize("seed", ["", "0", "-1", "x", "10000"])
async def test_a_seed_is_a_small_number(company: Company, seed: str) -> None:
    (await operate_on(company.url, "company")("seed", seed=seed)).assert_refused(2)


async def test_two_at_once_make_one_company(
    postgres_server: Postgres, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = hire(2)[10:40:2]
    monkeypatch.setattr("company.founding.hire", lambda _: few)
    monkeypatch.setattr("company.founding.EVENTS_AT_ONCE", 300)

    async def found(url: str) -> Founded:
        engine = create_engine(url, service="company")
        async with disposed(engine):
            return await founding(engine).found(2, lambda done, of: None)

    async with postgres_server.copied("test_company") as url:
        ended = await asyncio.gather(found(url), found(url), return_exceptions=True)
        assert [each for each in ended if not isinstance(each, Founded | ConflictError)] == []
        again = await found(url)
        connection = await asyncpg.connect(url, timeout=10)
        seeded = "SELECT count(*) FROM ledger.accounts WHERE version > 0 AND account_id LIKE 'demo2-%'"
        assert (await connection.fetchval(seeded), again.created + again.skipped) == (len(few), len(few))
        assert await connection.fetch(DISAGREEING) == []
        await connection.close()


async def test_where_people_have_really_paid_no_company_is_made_up(postgres_server: Postgres, company: Company) -> None:
    async with postgres_server.copied("test_company") as url:
        connection = await asyncpg.connect(url, timeout=10)
        await connection.execute(
            "UPDATE billing.orders SET livemode = true WHERE id = (SELECT min(id) FROM billing.orders)"
        )
        ran = await operate_on(url, "company")("seed", seed=3)
        assert "really paid" in ran.err
        ran.assert_refused(1)
        seeded = "SELECT count(*) FROM ledger.accounts WHERE account_id LIKE 'demo3-%'"
        assert await connection.fetchval(seeded) == 0
        await connection.close()
