"""The real ledger process on real Postgres and NATS, and a gateway's side of the conversation."""

import asyncio
import contextlib
import os
import sys
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import nats
import pytest_asyncio
from chassis.migrations import migrate
from contracts import subjects
from contracts.accounts import subject_token
from contracts.balance import Balance
from contracts.codec import encode
from contracts.envelope import CloudEvent
from contracts.events.registry import USAGE_RECORDED
from contracts.events.usage import UsageRecorded
from contracts.reads import BalanceAnswer, ReadyAnswer
from contracts.reservations import ReserveAnswer, ReserveRequest
from contracts.usage import Outcome
from local_run.ports import any_free
from msgspec import json
from nats.aio.client import Client
from nats.errors import Error as NatsError

from tests.support.eventually import eventually
from tests.support.gateway_messages import reserve_request, usage_event, usage_recorded
from tests.support.infrastructure import Postgres
from tests.support.ledger_history import write_history

_answer = json.Decoder(ReserveAnswer).decode
_balance = json.Decoder(BalanceAnswer).decode
_ready = json.Decoder(ReadyAnswer).decode


@dataclass
class LedgerProcess:
    """`python -m ledger` as a child; `environment` may be changed before a restart."""

    environment: dict[str, str]
    client: Client
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ledger", env={**os.environ, **self.environment}
        )
        await eventually(self._is_ready, 20, message="ledger ready")

    async def _is_ready(self) -> bool:
        with contextlib.suppress(NatsError):
            return _ready((await self.client.request(subjects.READ_READY, b"", timeout=0.5)).data).ready
        return False

    async def fetch(self, path: str) -> str:
        """The body of an answer over HTTP; raises where it is an error."""
        url = f"http://127.0.0.1:{self.environment['SOLARIS_LEDGER_PORT']}{path}"

        def get() -> str:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(get)

    async def metric(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 where nothing has been counted under these labels yet."""
        wanted = "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}" if labels else ""
        for line in (await self.fetch("/metrics")).splitlines():
            if line.startswith(f"{name}{wanted} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 15)


@dataclass
class Conversation:
    """What a gateway does: reserve, then record how it ended."""

    client: Client
    database: asyncpg.Pool

    async def reserve(self, account_id: str, **fields: Any) -> ReserveAnswer:  # Any: fields of a request
        return await self.ask(reserve_request(account_id, **fields))

    async def ask(self, request: ReserveRequest) -> ReserveAnswer:
        subject = f"{subjects.RESERVE_PREFIX}.{subject_token(request.account_id)}"
        return _answer((await self.client.request(subject, encode(request), timeout=5)).data)

    async def record(
        self,
        account_id: str,
        reservation_id: str,
        *,
        prompt: int = 0,
        completion: int = 0,
        outcome: Outcome = Outcome.COMPLETED,
        message_id: str | None = None,
    ) -> CloudEvent[UsageRecorded]:
        usage = usage_recorded(reservation_id, prompt=prompt, completion=completion, outcome=outcome)
        event = usage_event(account_id, usage, event_id=message_id)
        await self.publish(event)
        return event

    async def publish(self, event: CloudEvent[UsageRecorded], message_id: str | None = None) -> None:
        await self.client.jetstream().publish(
            subjects.event_subject(USAGE_RECORDED, subject_token(event.subject)),
            encode(event),
            headers={"Nats-Msg-Id": message_id or event.id},
        )

    async def read_balance(self, account_id: str, asked_about: bytes = b"") -> BalanceAnswer:
        subject = f"{subjects.READ_BALANCE_PREFIX}.{subject_token(account_id)}"
        return _balance((await self.client.request(subject, asked_about, timeout=5)).data)

    async def balance(self, account_id: str) -> Balance:
        answer = await self.read_balance(account_id)
        assert answer.balance is not None, answer.error
        return answer.balance

    async def settled(self, account_id: str, used: int) -> Balance:
        """The balance once `used` tokens are charged and nothing is held."""

        async def quiet() -> Balance | None:
            balance = await self.balance(account_id)
            return balance if balance.monthly_used == used and balance.held == 0 else None

        return await eventually(quiet, 25, message=f"{account_id} settled at {used}")


@pytest_asyncio.fixture(scope="module")
async def migrated(database_url: str) -> str:
    """The address of a database with the ledger's schema, and nobody at work in it."""
    await migrate(database_url, "ledger")
    return database_url


@pytest_asyncio.fixture
async def database(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module")
async def ledger(database_url: str, nats_url: str, tmp_path_factory: object) -> AsyncIterator[LedgerProcess]:
    await migrate(database_url, "ledger")
    client = await nats.connect(nats_url)
    process = LedgerProcess(
        {
            "SOLARIS_DATABASE_URL": database_url,
            "SOLARIS_NATS_URL": nats_url,
            "SOLARIS_LEDGER_PORT": str(any_free()),
            "SOLARIS_SWEEP_SECONDS": "0.2",
        },
        client,
    )
    await process.start()
    yield process
    if process.process is not None and process.process.returncode is None:
        await process.stop()
    await client.close()


@pytest_asyncio.fixture(scope="module")
async def gateway(ledger: LedgerProcess, nats_url: str, database_url: str) -> AsyncIterator[Conversation]:
    client = await nats.connect(nats_url)
    pool = await asyncpg.create_pool(database_url, min_size=1, max_size=2)
    yield Conversation(client, pool)
    pool.terminate()
    await client.close()


@pytest_asyncio.fixture(scope="session")
async def history_template(postgres_server: Postgres) -> AsyncIterator[str]:
    """Name of a database with a small, sound history, to copy from."""
    name = "ledger_history"
    url = await postgres_server.create_database(name)
    await migrate(url, "ledger")
    await write_history(url, accounts=12, events=1_500, open_holds=5)
    yield name
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def own_ledger(postgres_server: Postgres, history_template: str) -> AsyncIterator[str]:
    """A ledger with a small history that the test may damage."""
    async with postgres_server.copied(history_template) as url:
        yield url


@pytest_asyncio.fixture
async def damaged(own_ledger: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to the test's own ledger, for damaging it."""
    connection = await asyncpg.connect(own_ledger, timeout=10)
    yield connection
    await connection.close()
