"""Whatever is changed in the log or beside it, `verify` names the first bad event."""

import json

import asyncpg
import pytest
from ledger.audit.verify import Broken, Verified, verify

from tests.support.ledger_operate import operate_on
from tests.support.tampering import tamper

ACCOUNT = "account-00003"


async def _row(connection: asyncpg.Connection, version: int, account_id: str = ACCOUNT) -> asyncpg.Record:
    row = await connection.fetchrow(
        "SELECT * FROM ledger.events WHERE account_id = $1 AND version = $2", account_id, version
    )
    assert row is not None
    return row


async def _broken(url: str) -> Broken:
    result = await verify(url)
    assert isinstance(result, Broken), result
    return result


async def test_a_sound_ledger_verifies_and_gives_a_checkpoint(own_ledger: str, damaged: asyncpg.Connection) -> None:
    result = await verify(own_ledger)
    assert isinstance(result, Verified)
    assert result.events == await damaged.fetchval("SELECT count(*) FROM ledger.events")
    assert result.accounts == await damaged.fetchval("SELECT count(*) FROM ledger.accounts")
    assert result.checkpoint.events == result.events
    assert result.checkpoint.position == await damaged.fetchval("SELECT max(position) FROM ledger.events")


async def test_an_end_cut_off_state_and_all_is_seen_against_a_checkpoint_kept_elsewhere(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    before = await verify(own_ledger)
    assert isinstance(before, Verified)
    for table in ("events", "accounts", "holds"):
        await tamper(damaged, f"DELETE FROM ledger.{table} WHERE account_id = $1", ACCOUNT)
    assert isinstance(await verify(own_ledger), Verified)
    result = await verify(own_ledger, before.checkpoint)
    assert isinstance(result, Broken)
    assert result.position == before.checkpoint.position
    assert str(before.checkpoint.events) in result.reason


async def test_a_checkpoint_holds_while_the_log_grows(own_ledger: str) -> None:
    operate = operate_on(own_ledger)
    checkpoint = json.dumps((await operate("verify")).json["checkpoint"])
    await operate("credit", new=1, account=ACCOUNT, tokens=5, reason="r")
    await operate("credit", new=1, account="another", tokens=5, reason="r")
    assert (await operate("verify", checkpoint=checkpoint)).code == 0
    other = checkpoint.replace('"digest": "', '"digest": "0')
    assert (await operate("verify", checkpoint=other)).code == 1
    (await operate("verify", checkpoint="{}")).assert_refused(2)


@pytest.mark.parametrize("offset", [0, 40, 300, -2])
async def test_one_flipped_byte_is_named(own_ledger: str, damaged: asyncpg.Connection, offset: int) -> None:
    row = await _row(damaged, 6)
    data = bytearray(row["data"])
    data[offset] ^= 1
    await tamper(damaged, "UPDATE ledger.events SET data = $2 WHERE position = $1", row["position"], bytes(data))
    result = await _broken(own_ledger)
    assert (result.position, result.account_id, result.version) == (row["position"], ACCOUNT, 6)
    assert "hash" in result.reason


async def test_every_single_flipped_byte_of_an_event_is_seen(own_ledger: str, damaged: asyncpg.Connection) -> None:
    row = await _row(damaged, 6)
    for offset in range(0, len(row["data"]), 97):
        data = bytearray(row["data"])
        data[offset] ^= 0x20
        await tamper(damaged, "UPDATE ledger.events SET data = $2 WHERE position = $1", row["position"], bytes(data))
        assert (await _broken(own_ledger)).position == row["position"]


async def test_a_deleted_event_is_named_by_its_version(own_ledger: str, damaged: asyncpg.Connection) -> None:
    following = await _row(damaged, 8)
    await tamper(damaged, "DELETE FROM ledger.events WHERE account_id = $1 AND version = 7", ACCOUNT)
    result = await _broken(own_ledger)
    assert (result.position, result.account_id, result.version) == (following["position"], ACCOUNT, 7)
    assert "version 7 missing" in result.reason


async def test_a_deleted_first_event_is_named(own_ledger: str, damaged: asyncpg.Connection) -> None:
    await tamper(damaged, "DELETE FROM ledger.events WHERE account_id = $1 AND version = 1", ACCOUNT)
    result = await _broken(own_ledger)
    assert (result.account_id, result.version) == (ACCOUNT, 1)


async def test_a_deleted_end_is_seen_by_the_state(own_ledger: str, damaged: asyncpg.Connection) -> None:
    last = await damaged.fetchval("SELECT max(version) FROM ledger.events WHERE account_id = $1", ACCOUNT)
    await tamper(damaged, "DELETE FROM ledger.events WHERE account_id = $1 AND version >= $2", ACCOUNT, last - 1)
    result = await _broken(own_ledger)
    assert (result.account_id, result.version) == (ACCOUNT, last - 1)
    assert "missing" in result.reason


async def test_all_events_of_an_account_deleted_is_seen_by_the_state(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    await tamper(damaged, "DELETE FROM ledger.events WHERE account_id = $1", ACCOUNT)
    result = await _broken(own_ledger)
    assert (result.position, result.account_id, result.version) == (None, ACCOUNT, 1)


async def test_a_swapped_hash_is_named(own_ledger: str, damaged: asyncpg.Connection) -> None:
    row, other = await _row(damaged, 5), await _row(damaged, 9)
    await tamper(damaged, "UPDATE ledger.events SET hash = $2 WHERE position = $1", row["position"], other["hash"])
    await tamper(damaged, "UPDATE ledger.events SET hash = $2 WHERE position = $1", other["position"], row["hash"])
    result = await _broken(own_ledger)
    assert (result.position, result.version) == (row["position"], 5)


async def test_events_that_changed_places_are_named(own_ledger: str, damaged: asyncpg.Connection) -> None:
    row, other = await _row(damaged, 5), await _row(damaged, 7)
    swap = "UPDATE ledger.events SET data = $2, hash = $3, id = $4, type = $5, recorded_at = $6 WHERE position = $1"
    for target, source in ((row, other), (other, row)):
        values = (source["data"], source["hash"], source["id"], source["type"], source["recorded_at"])
        await tamper(damaged, swap, target["position"], *values)
    assert (await _broken(own_ledger)).position == row["position"]


async def test_positions_that_changed_places_are_named(own_ledger: str, damaged: asyncpg.Connection) -> None:
    row, other = await _row(damaged, 5), await _row(damaged, 7)
    for account_id, version, position in (
        (ACCOUNT, 5, -1),
        (ACCOUNT, 7, row["position"]),
        (ACCOUNT, 5, other["position"]),
    ):
        # The column is an identity: only one that is made anew takes a position of choice.
        await tamper(
            damaged,
            "WITH taken AS (DELETE FROM ledger.events WHERE account_id = $1 AND version = $2 RETURNING *)"
            " INSERT INTO ledger.events OVERRIDING SYSTEM VALUE"
            " SELECT $3, account_id, version, id, type, recorded_at, data, hash FROM taken",
            account_id,
            version,
            position,
        )
    result = await _broken(own_ledger)
    assert (result.position, result.account_id, result.version) == (row["position"], ACCOUNT, 7)
    assert "before version 6" in result.reason


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "'00000000-0000-7000-8000-000000000000'"),
        ("type", "'solaris.ledger.tokens_exhausted.v1'"),
        ("type", "'solaris.ledger.nonsense.v1'"),
        ("recorded_at", "recorded_at + interval '1 microsecond'"),
    ],
)
async def test_a_column_that_says_otherwise_than_the_bytes_is_named(
    own_ledger: str, damaged: asyncpg.Connection, column: str, value: str
) -> None:
    row = await _row(damaged, 6)
    await tamper(damaged, f"UPDATE ledger.events SET {column} = {value} WHERE position = {row['position']}")
    result = await _broken(own_ledger)
    assert (result.position, result.account_id, result.version) == (row["position"], ACCOUNT, 6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("state = replace(state::text, '\"monthly_used\":', '\"monthly_used\":1')::json", "monthly_used"),
        ("state = NULL", "decoded"),
        ("version = version - 1", "version"),
        ("head = decode(repeat('ab', 32), 'hex')", "head"),
        ("due_at = due_at + interval '1 day'", "due"),
        ("due_at = NULL", "due"),
    ],
)
async def test_a_state_that_is_not_the_fold_is_told(
    own_ledger: str, damaged: asyncpg.Connection, change: str, told: str
) -> None:
    await damaged.execute(f"UPDATE ledger.accounts SET {change} WHERE account_id = '{ACCOUNT}'")
    result = await _broken(own_ledger)
    assert (result.account_id, result.problems) == (ACCOUNT, 1)
    assert told in result.reason


async def test_a_missing_state_is_told(own_ledger: str, damaged: asyncpg.Connection) -> None:
    await damaged.execute("DELETE FROM ledger.accounts WHERE account_id = $1", ACCOUNT)
    assert (await _broken(own_ledger)).account_id == ACCOUNT


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ledger.holds WHERE reservation_id = $1",
        "UPDATE ledger.holds SET record = replace(record::text, '\"billable_tokens\":', '\"billable_tokens\":1')::json"
        " WHERE reservation_id = $1",
        "UPDATE ledger.holds SET record = '{}' WHERE reservation_id = $1",
        "UPDATE ledger.holds SET state = 'open' WHERE reservation_id = $1",
        "UPDATE ledger.holds SET reserved_at = reserved_at - interval '1 second' WHERE reservation_id = $1",
        "UPDATE ledger.holds SET expires_at = NULL WHERE reservation_id = $1",
    ],
)
async def test_a_hold_that_is_not_the_fold_is_told(own_ledger: str, damaged: asyncpg.Connection, change: str) -> None:
    reservation_id = await damaged.fetchval(
        "SELECT reservation_id FROM ledger.holds WHERE account_id = $1 AND state = 'settled' LIMIT 1", ACCOUNT
    )
    await damaged.execute(change, reservation_id)
    result = await _broken(own_ledger)
    assert (result.account_id, result.problems) == (ACCOUNT, 1)
    assert reservation_id in result.reason


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM ledger.lots WHERE account_id = $1", "no record"),
        ("UPDATE ledger.lots SET record = 'null' WHERE account_id = $1", "decoded"),
        (
            "UPDATE ledger.lots SET record = replace(record::text, '\"revoked\":', '\"revoked\":1')::json"
            " WHERE account_id = $1",
            "revoked",
        ),
        (
            "INSERT INTO ledger.lots SELECT account_id, 'forged', record FROM ledger.lots WHERE account_id = $1",
            "forged",
        ),
    ],
)
async def test_a_lot_that_is_not_the_fold_is_told(
    own_ledger: str, damaged: asyncpg.Connection, change: str, told: str
) -> None:
    await operate_on(own_ledger)("credit", account=ACCOUNT, tokens=5, reason="r")
    await damaged.execute(change, ACCOUNT)
    result = await _broken(own_ledger)
    assert (result.account_id, result.problems) == (ACCOUNT, 1)
    assert told in result.reason


async def test_a_hold_without_an_event_is_told(own_ledger: str, damaged: asyncpg.Connection) -> None:
    await damaged.execute(
        "INSERT INTO ledger.holds SELECT account_id, 'forged', state, reserved_at, expires_at, record "
        "FROM ledger.holds WHERE account_id = $1 LIMIT 1",
        ACCOUNT,
    )
    assert "forged" in (await _broken(own_ledger)).reason


async def test_a_hold_that_is_encoded_otherwise_but_says_the_same_is_no_problem(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    await damaged.execute("UPDATE ledger.holds SET record = (record::jsonb)::json WHERE account_id = $1", ACCOUNT)
    await damaged.execute("UPDATE ledger.accounts SET state = (state::jsonb)::json WHERE account_id = $1", ACCOUNT)
    assert isinstance(await verify(own_ledger), Verified)


async def test_the_first_of_many_bad_events_is_named_and_all_are_counted(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    await tamper(damaged, "UPDATE ledger.events SET data = data || ' ' WHERE position >= 200")
    count = await damaged.fetchval("SELECT count(*) FROM ledger.events WHERE position >= 200")
    result = await _broken(own_ledger)
    assert result.position == 200
    assert result.problems >= count


async def test_the_command_prints_the_first_bad_event_and_exits_1(own_ledger: str, damaged: asyncpg.Connection) -> None:
    assert (await operate_on(own_ledger)("verify")).code == 0
    row = await _row(damaged, 6)
    await tamper(damaged, "UPDATE ledger.events SET data = data || ' ' WHERE position = $1", row["position"])
    ran = await operate_on(own_ledger)("verify")
    assert ran.code == 1
    assert ran.json["position"] == row["position"]
    assert {"position", "account_id", "version", "reason", "problems"} <= ran.json.keys()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE ledger.events SET recorded_at = 'infinity' WHERE account_id = $1 AND version = 6", "recorded_at"),
        ("UPDATE ledger.events SET recorded_at = '20000-01-01Z' WHERE account_id = $1 AND version = 6", "recorded_at"),
        ("UPDATE ledger.events SET data = '' WHERE account_id = $1 AND version = 6", "hash"),
        ("UPDATE ledger.events SET data = '\\xff00' WHERE account_id = $1 AND version = 6", "hash"),
        (
            "UPDATE ledger.events SET data = repeat('[', 100000)::bytea WHERE account_id = $1 AND version = 6",
            "hash",
        ),
        (
            "UPDATE ledger.events SET type = 'solaris.ledger.usage_settled.v2' WHERE account_id = $1 AND version = 6",
            "unknown event type solaris.ledger.usage_settled.v2",
        ),
        ("UPDATE ledger.events SET version = -5 WHERE account_id = $1 AND version = 6", "version"),
        ("UPDATE ledger.accounts SET state = 'null' WHERE account_id = $1", "decoded"),
        ("UPDATE ledger.accounts SET state = '[]' WHERE account_id = $1", "decoded"),
        (
            "UPDATE ledger.accounts SET state = (repeat('[', 3000) || repeat(']', 3000))::json WHERE account_id = $1",
            "decoded",
        ),
        ("UPDATE ledger.accounts SET due_at = 'infinity' WHERE account_id = $1", "due"),
        ("UPDATE ledger.holds SET expires_at = '-infinity' WHERE account_id = $1", "columns"),
        ("UPDATE ledger.holds SET record = 'null' WHERE account_id = $1", "decoded"),
    ],
)
async def test_no_row_whatever_stands_in_it_ends_the_check(
    own_ledger: str, damaged: asyncpg.Connection, change: str, told: str
) -> None:
    await tamper(damaged, change, ACCOUNT)
    other = await _row(damaged, 4, "account-00005")
    await tamper(damaged, "UPDATE ledger.events SET data = data || ' ' WHERE position = $1", other["position"])
    ran = await operate_on(own_ledger)("verify")
    assert (ran.code, ran.err) == (1, "")
    assert ran.json["problems"] >= 2
    await tamper(damaged, "UPDATE ledger.events SET data = rtrim(data, ' ') WHERE position = $1", other["position"])
    ran = await operate_on(own_ledger)("verify")
    assert ran.json["account_id"] == ACCOUNT
    assert told in ran.json["reason"]
    assert (await operate_on(own_ledger)("replay")).err == ""
