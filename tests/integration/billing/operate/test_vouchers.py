"""Codes are made in bulk, told once and stored nowhere; batches are listed and withdrawn."""

from datetime import UTC, datetime, timedelta

import asyncpg
from billing.domain.voucher_codes import digest_of, read_code

from tests.support.ledger_operate import Operate


async def test_codes_are_printed_once_and_only_their_digests_are_kept(
    operate: Operate, database: asyncpg.Connection
) -> None:
    ran = await operate("vouchers", tokens=50_000, count=3, reason="launch", until="2030-12-31", expires_days=90)
    assert (ran.code, ran.err) == (0, "")
    codes = [line["code"] for line in ran.lines]
    assert len(set(codes)) == 3
    batch_id = ran.lines[0]["batch_id"]
    rows = await database.fetch("SELECT * FROM billing.vouchers WHERE batch_id = $1 ORDER BY id", batch_id)
    assert [row["code_digest"] for row in rows] == [digest_of(read_code(code)) for code in codes]
    kept = await database.fetch(
        "SELECT t::text FROM billing.vouchers t UNION ALL SELECT t::text FROM billing.voucher_batches t"
    )
    assert not any(code in row[0] for row in kept for code in codes)
    (batch,) = [line for line in (await operate("vouchers")).lines if line["batch_id"] == batch_id]
    assert (batch["codes"], batch["tokens"], batch["uses"], batch["used"], batch["reason"]) == (
        *(3, 50_000, 1, 0),
        "launch",
    )
    assert (batch["ends_at"], batch["expires_days"]) == ("2031-01-01T03:00:00Z", 90)  # São Paulo's midnight
    assert batch["made_by"].startswith("operator:")
    assert (await operate("vouchers", batch=batch_id)).lines == []


async def test_a_batch_is_withdrawn_once(operate: Operate) -> None:
    batch_id = (await operate("vouchers", tokens=5, count=1, reason="r")).json["batch_id"]
    ran = await operate("vouchers-withdraw", batch=batch_id, reason="they leaked")
    assert (ran.code, ran.json) == (0, {"batch_id": batch_id, "withdrawn": True})
    (await operate("vouchers-withdraw", batch=batch_id, reason="again")).assert_refused(1)
    (batch,) = [line for line in (await operate("vouchers")).lines if line["batch_id"] == batch_id]
    assert batch["withdrawn_why"] == "they leaked"


async def test_what_does_not_belong_together_is_refused(operate: Operate, database: asyncpg.Connection) -> None:
    before = await database.fetchval("SELECT count(*) FROM billing.voucher_batches")
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date()
    for options in (
        {"count": 3},
        {"reason": "r"},
        {"tokens": 5},
        {"tokens": 5, "count": 1},
        {"tokens": 5, "reason": "r"},
        {"tokens": 5, "count": 1, "reason": "r", "batch": 1},
        {"tokens": 5, "count": 1, "reason": "r", "until": yesterday},
        {"tokens": 5, "count": 1, "reason": "r", "per_account": 2},
    ):
        (await operate("vouchers", **options)).assert_refused(2)
    (await operate("vouchers", batch=999_999)).assert_refused(1)
    assert await database.fetchval("SELECT count(*) FROM billing.voucher_batches") == before
