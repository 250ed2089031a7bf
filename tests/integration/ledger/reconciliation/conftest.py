"""A migrated ledger, calls that it settled, and what LiteLLM says of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest_asyncio
from chassis.migrations import migrate
from contracts.usage import Outcome, UsageSource
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.domain.commands import ExpireReservation
from ledger.reconciliation.litellm_payloads import read_batch
from ledger.store.reconciliation.rows import Source
from ledger.store.reconciliation.upstream_calls import keep_calls
from msgspec import json
from msgspec.structs import replace

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_history import roomy_policy
from tests.support.ledger_operate import Operate, operate_on
from tests.support.litellm_payloads import payload


@pytest_asyncio.fixture(scope="module")
async def ledger_url(database_url: str) -> str:
    await migrate(database_url, "ledger")
    return database_url


@pytest_asyncio.fixture
async def connection(ledger_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(ledger_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def operate(ledger_url: str) -> Operate:
    return operate_on(ledger_url)


@dataclass
class Calls:
    """Calls through the ledger's own executor, whose holds end at once, and through nothing but LiteLLM."""

    executor: Executor
    connection: asyncpg.Connection
    began_at: datetime

    async def settled(self, call_id: str, prompt: int = 100, completion: int = 20, **fields: Any) -> None:
        account_id = await self.held(call_id, fields.pop("account_id", "ana"))
        usage = usage_recorded(call_id, prompt=prompt, completion=completion, started_at=self.began_at, **fields)
        await self.executor.submit(settle_usage(account_id, usage), Kind.USAGE)

    async def estimated(self, call_id: str, prompt: int, completion: int) -> None:
        """As where a client left before the provider told its figures."""
        left = {"usage_source": UsageSource.ESTIMATED, "outcome": Outcome.CLIENT_DISCONNECTED, "status": 499}
        await self.settled(call_id, prompt, completion, **left)

    async def lost(self, call_id: str) -> None:
        """Its usage never came: the hold was charged."""
        account_id = await self.held(call_id)
        await self.executor.submit(ExpireReservation(account_id=account_id, reservation_id=call_id), Kind.SWEEPER)

    async def held(self, call_id: str, account_id: str = "ana") -> str:
        await self.executor.submit(reserve_tokens(account_id, call_id, prompt=200, maximum=100), Kind.RESERVE)
        return account_id

    async def told(self, call_id: str, prompt: int = 100, completion: int = 20, **fields: Any) -> None:
        said = payload(call_id, prompt=prompt, completion=completion, started_at=self.began_at, **fields)
        await self.tell([said])

    async def tell(self, payloads: list[dict[str, Any]], source: Source = Source.CALLBACK) -> int:
        now = datetime.now(UTC)
        batch = read_batch(json.encode(payloads), now, now - timedelta(days=400))
        assert not batch.refused
        return await keep_calls(self.connection, source, batch.calls)


@pytest_asyncio.fixture
async def calls(ledger_url: str, connection: asyncpg.Connection) -> AsyncIterator[Calls]:
    """Of this moment's UTC day."""
    policy = replace(roomy_policy(), hold_ttl=timedelta(0))
    async with Executor(ledger_url, policy) as executor:
        yield Calls(executor, connection, datetime.now(UTC))


@pytest_asyncio.fixture
async def day(calls: Calls) -> str:
    """On which they are made."""
    return calls.began_at.date().isoformat()
