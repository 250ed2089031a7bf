"""Dead letters are listed as they were kept, and retried through the ledger itself, with NATS down."""

from datetime import UTC, datetime

import asyncpg
import pytest
from chassis.dead_letters import PoisonError
from chassis.operators import operator
from contracts.codec import encode
from contracts.subjects import LEDGER_BILLING_CONSUMER, LEDGER_USAGE_CONSUMER
from ledger.messaging.usage import parse_usage

from tests.support.billing_messages import purchased, revoked
from tests.support.gateway_messages import usage_event, usage_recorded
from tests.support.ledger_operate import Operate


async def _keep(
    database: asyncpg.Connection,
    payload: bytes,
    account_id: str,
    consumer: str = LEDGER_USAGE_CONSUMER,
    event: str = "usage.recorded",
) -> str:
    number = await database.fetchval(
        "INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason) "
        "VALUES ($1, gen_random_uuid()::text, $2, $3, 'it broke') RETURNING id",
        consumer,
        f"solaris.{event}.{account_id}",
        payload,
    )
    return f"ledger:{number}"


def _usage(account_id: str, reservation_id: str, tokens: int) -> bytes:
    began = datetime(2026, 11, 1, 12, tzinfo=UTC)
    return encode(usage_event(account_id, usage_recorded(reservation_id, prompt=tokens, started_at=began)))


async def test_letters_are_listed_with_payload_and_reason(operate: Operate, database: asyncpg.Connection) -> None:
    text = await _keep(database, b'{"a":"\xc3\xa1"}', "listed")
    noise = await _keep(database, b"\xff\x00", "listed")
    ran = await operate("dead-letters")
    assert (ran.code, ran.err) == (0, "")
    letters = {letter["id"]: letter for letter in ran.lines}
    assert list(letters[text]) == [
        "id",
        "service",
        "consumer",
        "subject",
        "reason",
        "failed_at",
        "retried_at",
        "discarded",
        "payload",
    ]
    assert letters[text]["payload"] == '{"a":"á"}'
    assert letters[noise]["payload"] == "\\xff\x00"
    assert (letters[text]["service"], letters[text]["reason"]) == ("ledger", "it broke")
    assert letters[text]["retried_at"] is None


async def test_a_retry_settles_once_and_marks_the_letter(operate: Operate, database: asyncpg.Connection) -> None:
    letter = await _keep(database, _usage("retried", "r-1", 321), "retried")
    ran = await operate("dead-letters-retry", id=letter)
    assert (ran.code, ran.lines) == (0, [{"id": letter, "retried": True, "reason": None}])
    assert (await operate("balance", account="retried")).json["monthly_used"] == 321
    again = await operate("dead-letters-retry", id=letter)
    assert again.code == 0
    assert (await operate("balance", account="retried")).json["monthly_used"] == 321
    listed = {each["id"]: each for each in (await operate("dead-letters")).lines}
    assert listed[letter]["retried_at"] is not None


async def test_a_retry_of_all_leaves_out_what_is_settled_and_exits_1_if_one_stays(
    operate: Operate, database: asyncpg.Connection
) -> None:
    await database.execute("UPDATE ledger.dead_letters SET retried_at = now()")
    good = await _keep(database, _usage("all", "r-1", 10), "all")
    conflicting = await _keep(database, _usage("all", "r-1", 11), "all")
    elsewhere = await _keep(database, _usage("all", "r-2", 12), "other")
    broken = await _keep(database, b"not json", "all")
    foreign = await _keep(database, _usage("all", "r-3", 13), "all", consumer="ledger-other")
    ran = await operate("dead-letters-retry")
    assert ran.code == 1
    results = {line["id"]: (line["retried"], bool(line["reason"])) for line in ran.lines}
    assert results == {
        good: (True, False),
        **dict.fromkeys((conflicting, elsewhere, broken, foreign), (False, True)),
    }
    assert (await operate("balance", account="all")).json["monthly_used"] == 10
    assert {line["id"] for line in (await operate("dead-letters-retry")).lines} == {
        conflicting,
        elsewhere,
        broken,
        foreign,
    }


async def test_a_retry_of_what_billing_said_is_carried_out_once_and_says_why_it_can_t_be(
    operate: Operate, database: asyncpg.Connection
) -> None:
    purchase, revoke = purchased("order-1", 500), revoked("order-1", 200, revision=2)
    early = await _keep(
        database, encode(revoke.by("retry-billing")), "retry-billing", LEDGER_BILLING_CONSUMER, revoke.name
    )
    ran = await operate("dead-letters-retry", id=early)
    assert (ran.code, ran.lines[0]["reason"]) == (1, "the account has no lot order:order-1")
    bought = await _keep(
        database, encode(purchase.by("retry-billing")), "retry-billing", LEDGER_BILLING_CONSUMER, purchase.name
    )
    for letter in (bought, early, bought, early):
        assert (await operate("dead-letters-retry", id=letter)).lines == [
            {"id": letter, "retried": True, "reason": None}
        ]
    assert (await operate("balance", account="retry-billing")).json["credits"] == 300
    (lot,) = (await operate("lots", account="retry-billing")).lines
    assert {name: lot[name] for name in ("lot_id", "granted", "revoked", "restored", "remaining")} == {
        "lot_id": "order:order-1",
        "granted": 500,
        "revoked": 200,
        "restored": 0,
        "remaining": 300,
    }
    assert (lot["source"], lot["reference"]) == ("package", "order-1")


async def test_a_letter_that_can_never_succeed_is_put_away_with_who_when_and_why(
    operate: Operate, database: asyncpg.Connection
) -> None:
    letter = await _keep(database, b"not json", "hopeless")
    count_waiting = "SELECT count(*) FROM ledger.dead_letters WHERE retried_at IS NULL AND discarded_at IS NULL"
    waiting = await database.fetchval(count_waiting)
    reason = 'it\'s "broken" — três\nlinhas'
    ran = await operate("dead-letters-discard", id=letter, reason=reason)
    assert (ran.code, ran.lines) == (0, [{"id": letter, "discarded": True}])
    assert await database.fetchval(count_waiting) == waiting - 1
    listed = {each["id"]: each for each in (await operate("dead-letters")).lines}[letter]["discarded"]
    assert (listed["by"], listed["reason"]) == (operator(), reason)
    assert datetime.fromisoformat(listed["at"]).tzinfo is not None
    (await operate("dead-letters-discard", id=letter, reason="again")).assert_refused(1)
    retried = await operate("dead-letters-retry", id=letter)
    assert (retried.code, retried.lines[0]["retried"]) == (1, False)
    assert letter not in {line["id"] for line in (await operate("dead-letters-retry")).lines}


async def test_nothing_is_put_away_without_one_letter_and_a_reason(
    operate: Operate, database: asyncpg.Connection
) -> None:
    letter = await _keep(database, b"not json", "kept")
    (await operate("dead-letters-discard", reason="all of them")).assert_refused(2)
    for reason in ("", "  ", "x" * 501):
        (await operate("dead-letters-discard", id=letter, reason=reason)).assert_refused(2)
    (await operate("dead-letters-discard", id="ledger:999999", reason="none")).assert_refused(1)
    assert {each["id"]: each for each in (await operate("dead-letters")).lines}[letter]["discarded"] is None


def test_a_payload_that_is_no_json_is_named_as_what_is_wrong() -> None:
    with pytest.raises(PoisonError, match=r"^JSON is malformed"):
        parse_usage("solaris.usage.recorded.ana", b"not json")


async def test_an_unknown_letter_is_refused(operate: Operate) -> None:
    (await operate("dead-letters-retry", id="ledger:999999")).assert_refused(1)
    (await operate("dead-letters-retry", id="notifier:1")).assert_refused(2)
