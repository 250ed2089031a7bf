"""States of an earlier format are learned anew from long logs, and nobody else's calls wait for all of that."""

import asyncio

import asyncpg
from contracts.reservations import Granted
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.audit.verify import Verified, verify
from ledger.domain.commands import ReserveTokens

from tests.support.ledger_commands import reserve_tokens
from tests.support.ledger_history import roomy_policy, write_history

ACCOUNTS = 100
EVENTS_EACH = 1_200


def reserve(account_id: str) -> ReserveTokens:
    return reserve_tokens(account_id, f"now-{account_id}")


async def test_many_long_logs_are_learned_at_once_and_others_are_answered_meanwhile(
    migrated: str, database: asyncpg.Connection
) -> None:
    policy = roomy_policy()
    await write_history(migrated, accounts=ACCOUNTS, events=ACCOUNTS * EVENTS_EACH, policy=policy)
    await database.execute("UPDATE ledger.accounts SET state = (state::jsonb - 'format')::json")

    async def of_earlier_format() -> int:
        query = "SELECT count(*) FROM ledger.accounts WHERE state ->> 'format' IS NULL"
        return int(await database.fetchval(query))

    async with Executor(migrated, policy) as executor:
        learning = [executor.submit(reserve(f"account-{number:05}"), Kind.RESERVE) for number in range(ACCOUNTS)]
        assert isinstance(await executor.submit(reserve("other"), Kind.RESERVE), Granted)
        assert await of_earlier_format() > 0
        assert all(isinstance(answer, Granted) for answer in await asyncio.gather(*learning))
        assert await of_earlier_format() == 0
    assert isinstance(await verify(migrated), Verified)
