"""Group commit on real Postgres: poison, conflicts, deadlines, overload."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from contracts.balance import Balance
from contracts.codec import encode
from contracts.errors import ConflictError, InvalidError, RefusalCode, SolarisError, UnavailableError
from contracts.reservations import Granted, Refused
from ledger.application.batch import DecisionFailedError, UnreadableStateError
from ledger.application.content import content_hash
from ledger.application.executor import BusyError, Executor
from ledger.application.queues import CAPACITY
from ledger.application.submission import Idempotency, Kind
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.commands import ChangePlan, ChangeStatus, GrantCredits, ReserveTokens, RevokeCredits
from ledger.domain.decision import Answer
from ledger.domain.holds import HOLD_FORMAT, Hold, HoldState
from ledger.domain.lots import LOT_FORMAT
from ledger.domain.policy import Policy
from ledger.store.codec import decode_hold
from ledger.store.rows import AuditEntry
from msgspec.structs import replace
from prometheus_client import REGISTRY

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage

POLICY = Policy(catalog=Catalog(version="1", plans={"basic": Plan(name="basic", monthly_tokens=10_000)}, models=()))


@pytest_asyncio.fixture
async def executor(migrated: str) -> AsyncIterator[Executor]:
    async with Executor(migrated, POLICY) as executor:
        yield executor


def reserve(account_id: str, reservation_id: str, prompt_tokens: int = 100) -> ReserveTokens:
    return reserve_tokens(account_id, reservation_id, prompt=prompt_tokens, content_hash=str(prompt_tokens))


def grant(account_id: str, tokens: int, key: str) -> tuple[GrantCredits, Idempotency]:
    command = GrantCredits(account_id=account_id, lot_id=f"lot:{key}", tokens=tokens, source="admin", reference=key)
    return command, Idempotency(command_id=key, content_hash=content_hash(command))


async def test_two_hundred_calls_on_a_balance_for_ten_never_overdraw(executor: Executor) -> None:
    # Each call holds 1,000 of 10,000 tokens.
    calls = [executor.submit(reserve("race", f"race-{n}", 900), Kind.RESERVE) for n in range(200)]
    answers = await asyncio.gather(*calls)
    granted = [answer for answer in answers if isinstance(answer, Granted)]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert sum(answer.held_tokens for answer in granted) <= 10_000
    assert len(granted) == 10
    assert {answer.code for answer in refused} == {RefusalCode.INSUFFICIENT_TOKENS}
    assert min(answer.available for answer in granted) >= 0


@pytest.mark.parametrize("poison", ["nul-\x00-byte", "lone-\ud800-surrogate"])
async def test_a_command_that_postgres_refuses_fails_alone(executor: Executor, poison: str) -> None:
    healthy = [executor.submit(reserve(f"well-{n}-{len(poison)}", f"well-{n}"), Kind.RESERVE) for n in range(5)]
    poisoned = executor.submit(reserve("well-0", poison), Kind.RESERVE)
    more = [executor.submit(reserve(f"more-{n}-{len(poison)}", f"more-{n}"), Kind.RESERVE) for n in range(5)]
    with pytest.raises(SolarisError):
        await poisoned
    assert all(isinstance(answer, Granted) for answer in await asyncio.gather(*healthy, *more))


async def test_a_repeated_command_gets_its_first_answer_and_other_content_a_conflict(executor: Executor) -> None:
    command, key = grant("gil", 500, "key-1")
    first = await executor.submit(command, Kind.ADMIN, idempotency=key)
    again = await executor.submit(command, Kind.ADMIN, idempotency=key)
    assert isinstance(first, Balance)
    assert first.credits == 500
    assert again == first
    with pytest.raises(ConflictError):
        await executor.submit(command, Kind.ADMIN, idempotency=Idempotency(command_id="key-1", content_hash="other"))


async def test_a_repetition_in_the_same_batch_has_one_effect(executor: Executor) -> None:
    command, key = grant("ivo", 700, "key-2")
    answers = await asyncio.gather(*(executor.submit(command, Kind.ADMIN, idempotency=key) for _ in range(10)))
    assert {answer.credits for answer in answers if isinstance(answer, Balance)} == {700}


async def test_a_refused_command_leaves_no_event_and_no_account(
    executor: Executor, database: asyncpg.Connection
) -> None:
    with pytest.raises(InvalidError):
        await executor.submit(ChangePlan(account_id="nobody", plan="no such plan"), Kind.ADMIN)
    assert await database.fetchval("SELECT count(*) FROM ledger.events WHERE account_id = 'nobody'") == 0
    assert await database.fetchval("SELECT state FROM ledger.accounts WHERE account_id = 'nobody'") is None


async def test_reasons_stand_in_the_audit_and_events_carry_its_id(
    executor: Executor, database: asyncpg.Connection
) -> None:
    audit = AuditEntry(id=str(uuid4()), actor="operator:ana", action="suspend", reason="chargeback", details={})
    await executor.submit(
        ChangeStatus(account_id="bia", status="suspended", reason_id=audit.id), Kind.ADMIN, audit=audit
    )
    assert await database.fetchval("SELECT reason FROM ledger.audit WHERE id = $1", audit.id) == "chargeback"
    event = await database.fetchval(
        "SELECT convert_from(data, 'UTF8') FROM ledger.events WHERE account_id = 'bia' AND type LIKE '%status%'"
    )
    assert str(audit.id) in event
    assert "chargeback" not in event


async def test_a_full_queue_answers_busy_at_once(migrated: str) -> None:
    executor = Executor(migrated, POLICY)  # not running: nothing drains
    waiting = [executor.submit(reserve("full", f"full-{n}"), Kind.RESERVE) for n in range(CAPACITY[Kind.RESERVE])]
    with pytest.raises(BusyError):
        executor.submit(reserve("full", "one-too-many"), Kind.RESERVE)
    for future in waiting:
        future.cancel()


async def test_without_a_database_a_reserve_fails_at_its_deadline_and_leaves_nothing() -> None:
    async with Executor("postgresql://nobody@127.0.0.1:1/none", POLICY) as executor:
        with pytest.raises(UnavailableError):
            await executor.submit(reserve("dark", "dark-1"), Kind.RESERVE, deadline_seconds=0.2)


async def test_a_key_opens_unknown_accounts_only_so_fast(migrated: str) -> None:
    async with Executor(migrated, POLICY, openings_per_minute=5) as executor:
        calls = [executor.submit(reserve(f"stranger-{n}", f"s-{n}"), Kind.RESERVE, key_id="key") for n in range(20)]
        answers = await asyncio.gather(*calls)
        known = await executor.submit(reserve("stranger-0", "s-again"), Kind.RESERVE, key_id="key")
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert {answer.code for answer in refused} == {RefusalCode.RATE_LIMITED}
    assert 5 <= len(answers) - len(refused) <= 6
    assert isinstance(known, Granted)


async def test_an_account_whose_row_was_lost_is_opened_anew_without_a_restart(
    executor: Executor, database: asyncpg.Connection
) -> None:
    """As after a failover to a standby that had not seen its first commits."""
    assert isinstance(await executor.submit(reserve("lost", "lost-1"), Kind.RESERVE), Granted)
    await database.execute("ALTER TABLE ledger.events DISABLE TRIGGER history_never_changes")
    for table in ("events", "holds", "accounts"):
        await database.execute(f"DELETE FROM ledger.{table} WHERE account_id = 'lost'")
    await database.execute("ALTER TABLE ledger.events ENABLE ALWAYS TRIGGER history_never_changes")
    answer = await executor.submit(reserve("lost", "lost-2"), Kind.RESERVE)
    assert isinstance(answer, Granted)
    assert answer.available == 10_000 - answer.held_tokens


async def test_an_account_that_conflicts_each_time_costs_the_others_of_its_batch_nothing(
    executor: Executor, database: asyncpg.Connection
) -> None:
    """A row that was set back, as by a restored backup: whatever is decided on it exists already."""
    assert isinstance(await executor.submit(reserve("set-back", "set-back-1"), Kind.RESERVE), Granted)
    await database.execute("DELETE FROM ledger.accounts WHERE account_id = 'set-back'")
    calls = [
        executor.submit(
            reserve("set-back" if n == 40 else f"bystander-{n}", f"set-back-{n + 2}"),
            Kind.RESERVE,
            deadline_seconds=1.0,
        )
        for n in range(101)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers.pop(40), UnavailableError)
    assert all(isinstance(answer, Granted) for answer in answers)


@pytest.mark.parametrize(
    "state", ['{"account_id": 5}', '{"account_id": "odd", "lots": [["l", 1, "2026-01-01T00:00"]]}']
)
async def test_a_state_that_does_not_decode_costs_its_own_account_alone(
    migrated: str, database: asyncpg.Connection, state: str
) -> None:
    odd = f"odd-{len(state)}"
    async with Executor(migrated, POLICY) as executor:
        assert isinstance(await executor.submit(reserve(odd, f"{odd}-0"), Kind.RESERVE), Granted)
    await database.execute("UPDATE ledger.accounts SET state = $2::json WHERE account_id = $1", odd, state)
    async with Executor(migrated, POLICY) as executor:
        answers = [executor.submit(reserve(f"sane-{n}", f"{odd}-sane-{n}", 10), Kind.RESERVE) for n in range(5)]
        with pytest.raises(UnreadableStateError):
            await executor.submit(reserve(odd, f"{odd}-1"), Kind.RESERVE)
        assert all(isinstance(answer, Granted) for answer in await asyncio.gather(*answers))


async def test_a_defect_met_outside_a_decision_fails_its_own_command_alone(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever can't be written, for instance a state that no encoder takes."""

    def refuse_one(thing: object) -> bytes:
        if getattr(thing, "account_id", "") == "defect":
            raise OverflowError("cannot be written")
        return encode(thing)

    monkeypatch.setattr("ledger.store.write_path.encode", refuse_one)
    healthy = [executor.submit(reserve(f"beside-{n}", f"beside-{n}"), Kind.RESERVE) for n in range(5)]
    with pytest.raises(DecisionFailedError):
        await executor.submit(reserve("defect", "defect-1"), Kind.RESERVE)
    assert all(isinstance(answer, Granted) for answer in await asyncio.gather(*healthy))
    assert isinstance(await executor.submit(reserve("beside-0", "later"), Kind.RESERVE), Granted)


async def test_a_state_of_a_newer_format_is_decided_on_by_nobody_who_can_t_read_it(
    executor: Executor, migrated: str, database: asyncpg.Connection
) -> None:
    assert isinstance(await executor.submit(reserve("newer", "newer-1"), Kind.RESERVE), Granted)
    await database.execute(
        """
        UPDATE ledger.accounts SET version = version + 1, state =
            jsonb_set(jsonb_set(state::jsonb, '{format}', '99'), '{version}', to_jsonb(version + 1))::json
        WHERE account_id = 'newer'
        """
    )
    before = await database.fetchval("SELECT state::text FROM ledger.accounts WHERE account_id = 'newer'")
    # Another process can read it: who asks is to ask again, and usage is to come again.
    with pytest.raises(UnavailableError, match="99"):
        await executor.submit(reserve("newer", "newer-2"), Kind.RESERVE)
    assert await database.fetchval("SELECT state::text FROM ledger.accounts WHERE account_id = 'newer'") == before
    assert isinstance(await executor.submit(reserve("beside-newer", "newer-3"), Kind.RESERVE), Granted)


async def test_a_lot_that_is_used_up_is_remembered_for_good(executor: Executor, database: asyncpg.Connection) -> None:
    async def admin(command: GrantCredits | RevokeCredits) -> Answer:
        return await executor.submit(command, Kind.ADMIN)

    lot = GrantCredits(account_id="lots", lot_id="lot", tokens=100, source="admin", reference="r")
    await admin(lot)
    with pytest.raises(ConflictError):
        await admin(lot)
    with pytest.raises(InvalidError, match="no lot"):
        await admin(RevokeCredits(account_id="lots", lot_id="other", tokens=1, reference="r"))
    await admin(RevokeCredits(account_id="lots", lot_id="lot", tokens=100, reference="r"))
    with pytest.raises(ConflictError):
        await admin(lot)
    with pytest.raises(InvalidError, match="100 revoked"):
        await admin(RevokeCredits(account_id="lots", lot_id="lot", tokens=1, reference="r"))
    record = json.loads(await database.fetchval("SELECT record FROM ledger.lots WHERE account_id = 'lots'"))
    assert (record["granted"], record["revoked"]) == (100, 100)


async def test_what_is_not_owed_and_plans_that_left_the_catalog_are_counted_once(
    executor: Executor, migrated: str
) -> None:
    def counted(name: str) -> float:
        return REGISTRY.get_sample_value(f"solaris_ledger_{name}_total") or 0.0

    names = ("unowed_tokens", "debt_tokens", "unknown_plan_reserves")
    before = {name: counted(name) for name in names}
    usage = usage_recorded("through", prompt=12_500, forwarded_without_hold=True)
    command = settle_usage("observed", usage)
    for _ in range(2):
        await executor.submit(command, Kind.USAGE)
    await executor.submit(reserve("on-a-plan-that-is", "planned"), Kind.RESERVE)
    fewer = replace(POLICY, catalog=Catalog(version="2", plans={"new": Plan(name="new", monthly_tokens=1)}, models=()))
    async with Executor(migrated, replace(fewer, default_plan="new")) as later:
        await later.submit(reserve("on-a-plan-that-is", "unplanned"), Kind.RESERVE)
    assert {name: counted(name) - before[name] for name in names} == {
        "unowed_tokens": 2_500,
        "debt_tokens": 0,
        "unknown_plan_reserves": 1,
    }


async def test_people_are_told_to_be_out_at_the_first_refusal_after_a_mode_has_let_all_through(
    executor: Executor, database: asyncpg.Connection
) -> None:
    usage = usage_recorded("piloted", prompt=12_500, observed=True)

    async def told() -> int:
        query = "SELECT count(*) FROM ledger.events WHERE account_id = 'pilot' AND type LIKE '%tokens_exhausted%'"
        return int(await database.fetchval(query))

    await executor.submit(replace(reserve("pilot", "piloted"), observed=True), Kind.RESERVE)
    await executor.submit(settle_usage("pilot", usage), Kind.USAGE)
    noted = await executor.submit(replace(reserve("pilot", "noted"), observed=True), Kind.RESERVE)
    assert (isinstance(noted, Refused), await told()) == (True, 0)
    for reservation_id in ("stands", "stands-too"):
        assert isinstance(await executor.submit(reserve("pilot", reservation_id), Kind.RESERVE), Refused)
        assert await told() == 1


@pytest.mark.parametrize(("record", "known"), [("hold", HOLD_FORMAT), ("lot", LOT_FORMAT)])
async def test_a_record_of_a_newer_format_is_refused_counted_and_left_alone(
    migrated: str, database: asyncpg.Connection, record: str, known: int
) -> None:
    account_id = f"newer-{record}"
    lot = GrantCredits(account_id=account_id, lot_id="lot", tokens=5, source="admin", reference="r")
    async with Executor(migrated, POLICY) as before:
        await before.submit(reserve(account_id, account_id), Kind.RESERVE)
        await before.submit(lot, Kind.ADMIN)
    await database.execute(
        f"""
        UPDATE ledger.{record}s SET record = jsonb_set(record::jsonb, '{{format}}', '{known + 1}')::json
        WHERE account_id = $1
        """,
        account_id,
    )
    stored = f"SELECT record::text FROM ledger.{record}s WHERE account_id = $1"
    newer = await database.fetchval(stored, account_id)
    counted = "solaris_ledger_unreadable_accounts_total"
    count = REGISTRY.get_sample_value(counted) or 0.0
    async with Executor(migrated, POLICY) as older:
        of_record = reserve(account_id, account_id) if record == "hold" else lot
        with pytest.raises(UnavailableError, match=f"its format is {known + 1}, this version knows {known}"):
            await older.submit(of_record, Kind.ADMIN)
        assert await database.fetchval(stored, account_id) == newer
        assert (REGISTRY.get_sample_value(counted) or 0.0) == count + 1
        assert isinstance(await older.submit(reserve(account_id, f"beside-{account_id}"), Kind.RESERVE), Granted)


def test_a_hold_of_the_first_format_is_stored_as_it_always_was() -> None:
    hold = Hold(reservation_id="r", state=HoldState.OPEN, reserved_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert "format" not in json.loads(encode(hold))
    assert decode_hold(encode(hold)) == hold
