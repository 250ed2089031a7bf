"""A code gives what it is worth, n times and no more, to whoever has it; whoever guesses is slowed."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
import pytest_asyncio
from billing.application.looking import OrderLooks
from billing.application.redeeming import GUESSES_OF_AN_ADDRESS, GUESSES_OF_ONE, Redeeming
from billing.domain.voucher_codes import RANDOM_BITS, code_of
from billing.http.app import BillingApp
from billing.http.callers import Callers
from billing.http.redeeming import redeem_routes
from contracts.purchase_links import sign_purchase_link
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send

from tests.support.ledger_operate import Operate

SERVICE_KEY = "sk-of-the-tests"
LINK_KEY = b"a key of links that nobody guesses"
LATER = datetime.now(UTC) + timedelta(hours=1)


async def _nothing_else(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody asks for pages or health here")


@pytest_asyncio.fixture
async def http(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """Billing's API as a service with its key."""
    redeeming = Redeeming(
        engine=engine,
        looks=OrderLooks(engine=engine, stripe=None, again_after=timedelta(minutes=10)),
        time_zone=ZoneInfo("America/Sao_Paulo"),
        currency="brl",
        livemode=False,
    )
    callers = Callers(service_keys=[SERVICE_KEY], link_keys=[LINK_KEY])
    app = BillingApp([redeem_routes(redeeming, callers)], _nothing_else, _nothing_else)
    transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://billing") as client:
        yield client


def _bearer() -> dict[str, str]:
    return {"authorization": f"Bearer {SERVICE_KEY}"}


async def _redeem(http: httpx.AsyncClient, code: str, account: str) -> httpx.Response:
    return await http.post("/billing/redeem", json={"code": code, "account_id": account}, headers=_bearer())


async def _codes(operate: Operate, **options: object) -> list[str]:
    ran = await operate("vouchers", **({"tokens": 50_000, "count": 1, "reason": "r"} | options))
    assert ran.code == 0, ran.err
    return [line["code"] for line in ran.lines]


async def _granted(database: asyncpg.Connection, account: str) -> list[dict[str, object]]:
    rows = await database.fetch(
        "SELECT payload FROM billing.outbox WHERE account_id = $1 AND name = 'billing.credits_purchased'", account
    )
    return [json.loads(row["payload"])["data"] for row in rows]


async def test_a_code_credits_once_however_it_is_typed_and_how_often(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    (code,) = await _codes(operate, expires_days=30)
    first = await _redeem(http, code.lower().replace("-", " "), "ana")
    assert first.status_code == 200
    assert (first.json()["state"], first.json()["tokens"], first.json()["already_redeemed"]) == ("paid", 50_000, False)
    again = await _redeem(http, code, "ana")
    assert again.json() == first.json() | {"already_redeemed": True}
    (bought,) = await _granted(database, "ana")
    assert (bought["source"], bought["tokens"], bought["amount_minor"]) == ("voucher", 50_000, 0)
    expires_at = datetime.fromisoformat(str(bought["expires_at"]))
    assert timedelta(days=30) <= expires_at - datetime.now(UTC) <= timedelta(days=31)
    assert expires_at.astimezone(ZoneInfo("America/Sao_Paulo")).hour == 0
    other = await _redeem(http, code, "bia")
    assert (other.status_code, other.json()["code"]) == (410, "voucher_used_up")
    assert await _granted(database, "bia") == []


async def test_fifty_at_once_get_exactly_as_many_uses_as_there_are(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    (code,) = await _codes(operate, uses=20)

    async def redeem(account: str) -> httpx.Response:
        # A crowded machine may have no connection free in time: then the same is asked again, as a page would.
        while (answer := await _redeem(http, code, account)).status_code == 503:
            pass
        return answer

    answers = await asyncio.gather(*(redeem(f"many-{number}") for number in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [410] * 30
    granted = await database.fetchval(
        "SELECT count(*) FROM billing.outbox WHERE account_id LIKE 'many-%' AND name = 'billing.credits_purchased'"
    )
    assert granted == 20
    assert await database.fetchval("SELECT count(*) FROM billing.orders WHERE account_id LIKE 'many-%'") == 20
    (batch,) = [line for line in (await operate("vouchers")).lines if line["uses"] == 20]
    assert batch["used"] == 20
    assert len((await operate("vouchers", batch=batch["batch_id"])).lines) == 20


async def test_one_account_that_asks_many_times_at_once_has_one_use(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    (code,) = await _codes(operate, uses=5)
    # No more at once than one may guess: that each is a good code shows only afterwards.
    answers = await asyncio.gather(*(_redeem(http, code, "eager") for _ in range(GUESSES_OF_ONE.times)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["order_id"] for answer in answers}) == 1
    assert len(await _granted(database, "eager")) == 1


async def test_one_account_may_have_more_uses_where_that_was_said(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    (code,) = await _codes(operate, uses=5, per_account=3)
    answers = await asyncio.gather(*(_redeem(http, code, "thrice") for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await _granted(database, "thrice")) == 3


async def test_a_use_whose_process_died_is_credited_when_it_is_asked_for_again_and_by_the_sweep(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = await _codes(operate)

    async def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(OrderLooks, "look_anew", die)
        with pytest.raises(KeyboardInterrupt):
            await _redeem(http, code, "died")
    assert await _granted(database, "died") == []
    # Written as due: the sweep of any billing finds it, as it finds an operator's order.
    assert await database.fetchval("SELECT look_due_at <= now() FROM billing.orders WHERE account_id = 'died'")
    again = await _redeem(http, code, "died")
    assert (again.json()["state"], again.json()["already_redeemed"]) == ("paid", True)
    assert len(await _granted(database, "died")) == 1


async def test_a_code_ends_and_is_withdrawn(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    (ended,) = await _codes(operate, until="2090-01-01", reason="ended")
    await database.execute("UPDATE billing.voucher_batches SET ends_at = now() WHERE reason = 'ended'")
    assert (await _redeem(http, ended, "late")).json()["code"] == "voucher_expired"
    (leaked,) = await _codes(operate, reason="leaked")
    batch = max(line["batch_id"] for line in (await operate("vouchers")).lines)
    await operate("vouchers-withdraw", batch=batch, reason="it leaked")
    assert (await _redeem(http, leaked, "late")).json()["code"] == "voucher_expired"
    assert await _granted(database, "late") == []


async def test_whoever_guesses_is_told_one_and_the_same_of_good_and_bad_codes(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    (good,) = await _codes(operate)
    (used,) = await _codes(operate)
    assert (await _redeem(http, used, "somebody")).status_code == 200
    for _ in range(GUESSES_OF_ONE.times):
        answer = await _redeem(http, code_of(secrets.randbits(RANDOM_BITS)), "guesser")
        assert (answer.status_code, answer.json()["code"]) == (404, "voucher_unknown")
    answers = [await _redeem(http, code, "guesser") for code in (good, used, code_of(1))]
    assert {answer.status_code for answer in answers} == {429}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].headers["retry-after"] == "360"
    assert await _granted(database, "guesser") == []
    assert (await _redeem(http, good, "honest")).status_code == 200


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(http: httpx.AsyncClient) -> None:
    codes = [code_of(secrets.randbits(RANDOM_BITS)) for _ in range(40)]
    answers = await asyncio.gather(*(_redeem(http, code, "storm") for code in codes))
    assert [answer.status_code for answer in answers].count(404) == GUESSES_OF_ONE.times


async def test_guesses_count_for_the_link_and_the_address_too(http: httpx.AsyncClient) -> None:
    async def guess(account: str) -> int:
        token = sign_purchase_link(account, LATER, LINK_KEY)
        code = code_of(secrets.randbits(RANDOM_BITS))
        return (await http.post("/billing/redeem", json={"code": code, "t": token})).status_code

    statuses = [await guess(f"link-{number}") for number in range(GUESSES_OF_AN_ADDRESS.times + 1)]
    assert statuses == [404] * GUESSES_OF_AN_ADDRESS.times + [429]


async def test_a_good_code_costs_no_attempt(operate: Operate, http: httpx.AsyncClient) -> None:
    codes = await _codes(operate, count=GUESSES_OF_ONE.times + 2)
    for code in codes:
        assert (await _redeem(http, code, "collector")).status_code == 200


async def test_what_is_mistyped_is_told_without_counting(http: httpx.AsyncClient) -> None:
    for _ in range(GUESSES_OF_ONE.times + 1):
        answer = await _redeem(http, "0000-0000-0000-0001", "typist")
        assert (answer.status_code, answer.json()["code"]) == (422, "voucher_mistyped")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"code": "x", "account_id": "ana"}, {}, 401),
        ({"code": "x", "t": "ana.nonsense"}, {}, 401),
        ({"code": "x", "account_id": "ana"}, {"authorization": "Bearer guessed"}, 401),
        ({"code": "x", "account_id": "a b"}, _bearer(), 422),
        ({"code": "", "account_id": "ana"}, _bearer(), 422),
        ({"code": "x" * 65, "account_id": "ana"}, _bearer(), 422),
        ({"code": "x", "account_id": "ana", "tokens": 5}, _bearer(), 422),
        ({"code": 5, "account_id": "ana"}, _bearer(), 422),
        ({"account_id": "ana"}, _bearer(), 422),
        ({"code": "\x00", "account_id": "ana"}, _bearer(), 422),
    ],
)
async def test_who_may_not_and_what_is_no_request(
    http: httpx.AsyncClient, body: dict[str, object], headers: dict[str, str], status: int
) -> None:
    assert (await http.post("/billing/redeem", json=body, headers=headers)).status_code == status


async def test_a_link_redeems_for_its_account_alone(
    operate: Operate, http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    (code,) = await _codes(operate)
    token = sign_purchase_link("of-link", LATER, LINK_KEY)
    foreign = await http.post("/billing/redeem", json={"code": code, "t": token, "account_id": "other"})
    assert foreign.status_code == 403
    expired = sign_purchase_link("of-link", datetime.now(UTC) - timedelta(seconds=1), LINK_KEY)
    assert (await http.post("/billing/redeem", json={"code": code, "t": expired})).status_code == 401
    assert await _granted(database, "of-link") == []
    await database.execute("DELETE FROM billing.paces")  # of the address, by the tests before
    assert (await http.post("/billing/redeem", json={"code": code, "t": token})).status_code == 200
    assert len(await _granted(database, "of-link")) == 1
