"""Several ledger processes on the same accounts: what one remembers never outlives what another committed."""

import asyncio
import json
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from chassis import locks
from contracts.balance import Balance
from contracts.errors import RefusalCode
from contracts.reservations import Granted, Refused
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.audit.verify import Verified, verify
from ledger.domain.account import STATE_FORMAT, Account
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.commands import AdvanceAccount, ChangeLimit, ChangeStatus, GrantCredits, ReserveTokens, SettleUsage
from ledger.domain.decision import Answer, Ended
from ledger.domain.policy import Policy
from ledger.store.read_path import load_account

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage

POLICY = Policy(catalog=Catalog(version="1", plans={"basic": Plan(name="basic", monthly_tokens=10_000)}, models=()))


@pytest_asyncio.fixture
async def pair(migrated: str) -> AsyncIterator[tuple[Executor, Executor]]:
    async with Executor(migrated, POLICY) as first, Executor(migrated, POLICY) as second:
        yield first, second


def reserve(account_id: str, reservation_id: str, tokens: int = 100) -> ReserveTokens:
    return reserve_tokens(account_id, reservation_id, prompt=tokens, maximum=0, content_hash=str(tokens))


def settle(account_id: str, reservation_id: str, tokens: int) -> SettleUsage:
    return settle_usage(account_id, usage_recorded(reservation_id, prompt=tokens), str(tokens))


async def do(executor: Executor, command: object, kind: Kind = Kind.RESERVE) -> Answer:
    return await executor.submit(command, kind)  # type: ignore[arg-type]  # any command


async def warm(executor: Executor, account_id: str) -> None:
    """Make the executor remember the account."""
    for _ in range(2):
        await do(executor, AdvanceAccount(account_id=account_id), Kind.SWEEPER)


async def test_a_grant_elsewhere_counts_at_once(pair: tuple[Executor, Executor]) -> None:
    here, elsewhere = pair
    await do(here, ChangeLimit(account_id="grant", monthly_limit=50), Kind.ADMIN)
    await warm(here, "grant")
    assert isinstance(await do(here, reserve("grant", "g-1")), Refused)
    await do(
        elsewhere, GrantCredits(account_id="grant", lot_id="l", tokens=500, source="admin", reference="r"), Kind.ADMIN
    )
    assert isinstance(await do(here, reserve("grant", "g-2")), Granted)


async def test_a_suspension_elsewhere_counts_at_once(pair: tuple[Executor, Executor]) -> None:
    here, elsewhere = pair
    await warm(here, "suspended")
    assert isinstance(await do(here, reserve("suspended", "s-1")), Granted)
    await do(elsewhere, ChangeStatus(account_id="suspended", status="suspended"), Kind.ADMIN)
    refused = await do(here, reserve("suspended", "s-2"))
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.ACCOUNT_SUSPENDED


async def test_a_reserve_repeated_at_another_process_gets_the_same_answer(pair: tuple[Executor, Executor]) -> None:
    here, elsewhere = pair
    await warm(elsewhere, "repeat")
    first = await do(here, reserve("repeat", "same"))
    await warm(elsewhere, "repeat")
    assert await do(elsewhere, reserve("repeat", "same")) == first
    assert isinstance(await do(elsewhere, reserve("repeat", "same", 101)), Refused)


async def test_a_repetition_gets_its_hold_elsewhere_when_nothing_is_left_for_another(
    pair: tuple[Executor, Executor], database: asyncpg.Connection
) -> None:
    """What the other process remembers of the account would make it refuse; it never saw the hold."""
    here, elsewhere = pair
    granted = await do(here, reserve("spent", "same", 3_000))
    await do(elsewhere, reserve("spent", "most", 6_900))
    await do(elsewhere, reserve("spent", "rest", 100))
    assert isinstance(granted, Granted)
    assert await do(elsewhere, reserve("spent", "same", 3_000)) == granted
    assert await database.fetchval("SELECT count(*) FROM ledger.holds WHERE account_id = 'spent'") == 3


async def test_a_refusal_waits_for_nobody_who_appends(
    pair: tuple[Executor, Executor], database: asyncpg.Connection
) -> None:
    here, _ = pair
    await do(here, reserve("empty", "all", 10_000))
    assert isinstance(await do(here, reserve("empty", "tells-once-that-it-is-exhausted")), Refused)
    async with asyncio.timeout(10), database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", locks.APPEND)
        assert isinstance(await do(here, reserve("empty", "refused")), Refused)


async def test_a_hold_made_here_can_be_settled_elsewhere_and_only_once(pair: tuple[Executor, Executor]) -> None:
    here, elsewhere = pair
    await do(here, reserve("moved", "m"))
    await warm(elsewhere, "moved")
    assert await do(elsewhere, settle("moved", "m", 60), Kind.USAGE) == Ended("m", changed=True)
    assert await do(here, settle("moved", "m", 60), Kind.USAGE) == Ended("m", changed=False)
    balance = await do(here, AdvanceAccount(account_id="moved"), Kind.SWEEPER)
    assert isinstance(balance, Balance)
    assert (balance.monthly_used, balance.held) == (60, 0)


async def test_a_remembered_hold_that_another_process_ended_is_not_charged_again(
    pair: tuple[Executor, Executor], migrated: str
) -> None:
    here, elsewhere = pair
    await do(here, reserve("again", "r1"))
    await do(elsewhere, settle("again", "r1", 60), Kind.USAGE)
    await do(here, reserve("again", "r2"))
    assert await do(here, settle("again", "r1", 60), Kind.USAGE) == Ended("r1", changed=False)
    await do(here, settle("again", "r2", 0), Kind.USAGE)
    balance = await do(here, AdvanceAccount(account_id="again"), Kind.SWEEPER)
    assert isinstance(balance, Balance)
    assert (balance.monthly_used, balance.held) == (60, 0)
    assert isinstance(await verify(migrated), Verified)


async def test_an_open_hold_ended_elsewhere_frees_nothing_twice(pair: tuple[Executor, Executor]) -> None:
    """By the other order, what was freed twice granted more than there was."""
    here, elsewhere = pair
    await do(here, reserve("freed", "r1", 9_000))
    await do(elsewhere, settle("freed", "r1", 9_000), Kind.USAGE)
    await do(here, reserve("freed", "small", 10))
    assert await do(here, settle("freed", "r1", 9_000), Kind.USAGE) == Ended("r1", changed=False)
    refused = await do(here, reserve("freed", "r2", 9_000))
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.INSUFFICIENT_TOKENS


async def test_a_locked_row_makes_nobody_else_wait(
    pair: tuple[Executor, Executor], database: asyncpg.Connection
) -> None:
    here, _ = pair
    for account_id in ("locked", "free-0", "free-1"):
        await warm(here, account_id)
    async with database.transaction():
        await database.execute("SELECT FROM ledger.accounts WHERE account_id = 'locked' FOR UPDATE")
        waiting = here.submit(reserve("locked", "l-1"), Kind.RESERVE)
        for number in range(20):
            answer = await asyncio.wait_for(do(here, reserve(f"free-{number % 2}", f"f-{number}", 10)), 5)
            assert isinstance(answer, Granted)
        assert not waiting.done()
    assert isinstance(await waiting, Granted)


async def test_two_processes_never_grant_more_than_there_is(pair: tuple[Executor, Executor]) -> None:
    calls = [do(pair[number % 2], reserve("scarce", f"scarce-{number}", 1_000)) for number in range(200)]
    granted = [answer for answer in await asyncio.gather(*calls) if isinstance(answer, Granted)]
    assert len(granted) == 10
    assert sorted(answer.available for answer in granted) == [number * 1_000 for number in range(10)]


async def test_mixed_work_of_two_processes_leaves_a_log_that_folds_to_the_states(
    pair: tuple[Executor, Executor], migrated: str
) -> None:
    choices = random.Random(7)

    async def call(number: int) -> int:
        account_id, reservation_id = f"mixed-{number % 5}", f"mixed-{number}"
        answer = await do(choices.choice(pair), reserve(account_id, reservation_id, 20))
        if isinstance(answer, Refused):
            return 0
        for _ in range(choices.randrange(1, 3)):
            await do(choices.choice(pair), settle(account_id, reservation_id, 15), Kind.USAGE)
        return 15

    used = sum(await asyncio.gather(*(call(number) for number in range(1_000))))
    assert isinstance(await verify(migrated), Verified)
    connection = await asyncpg.connect(migrated)
    charged = await connection.fetchval(
        "SELECT sum((state ->> 'monthly_used')::bigint) FROM ledger.accounts WHERE account_id LIKE 'mixed-%'"
    )
    await connection.close()
    assert charged == used == 15_000


async def test_a_state_of_an_earlier_format_is_folded_anew_before_it_is_decided_on(
    migrated: str, database: asyncpg.Connection
) -> None:
    lot = GrantCredits(account_id="earlier", lot_id="lot", tokens=500, source="admin", reference="r")
    async with Executor(migrated, POLICY) as executor:
        await do(executor, lot, Kind.ADMIN)
    # As 0.1 left it: without a format, the plan's own tokens and the lots' places.
    await database.execute(
        """
        UPDATE ledger.accounts SET state = (
            (state::jsonb - '{format,plan_tokens,unowed,windows,subscriptions}'::text[]) #- '{lots,0,ordinal}'
        )::json WHERE account_id = 'earlier'
        """
    )
    assert isinstance(await verify(migrated), Verified)
    async with Executor(migrated, POLICY) as executor:
        assert isinstance(await do(executor, reserve("earlier", "earlier-1")), Granted)
    state = json.loads(await database.fetchval("SELECT state FROM ledger.accounts WHERE account_id = 'earlier'"))
    assert (state["format"], state["plan_tokens"], state["lots"][0]["ordinal"]) == (
        STATE_FORMAT,
        10_000,
        2,
    )
    assert isinstance(await verify(migrated), Verified)


async def test_a_state_of_the_second_format_is_read_verified_and_folded_anew(
    migrated: str, database: asyncpg.Connection
) -> None:
    lot = GrantCredits(account_id="second", lot_id="lot", tokens=500, source="admin", reference="r")
    async with Executor(migrated, POLICY) as executor:
        await do(executor, lot, Kind.ADMIN)
    # As 0.2 left it: it knew of no subscriptions.
    await database.execute(
        """
        UPDATE ledger.accounts SET state = (jsonb_set(state::jsonb, '{format}', '2') - 'subscriptions')::json
        WHERE account_id = 'second'
        """
    )
    assert isinstance(await verify(migrated), Verified)
    known = await load_account(database, "second")
    assert known is not None
    assert (type(known[0]), known[0].credits, known[0].plan_tokens) == (Account, 500, 10_000)
    async with Executor(migrated, POLICY) as executor:
        assert isinstance(await do(executor, reserve("second", "second-1")), Granted)
    query = "SELECT state -> 'format' FROM ledger.accounts WHERE account_id = 'second'"
    assert await database.fetchval(query) == str(STATE_FORMAT)
    assert isinstance(await verify(migrated), Verified)
