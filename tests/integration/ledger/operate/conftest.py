"""The operator's commands as subprocesses, against ledgers of each test's own."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from ledger.migrate import migrate_ledger

from tests.support.infrastructure import Postgres
from tests.support.ledger_history import write_history

CATALOG = Path(__file__).parents[4] / "deploy" / "catalog.toml"
_numbers = count(1)


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # whatever shape the verb prints
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def assert_refused(self, code: int) -> None:
        """One line of error, nothing on standard output."""
        assert self.code == code, self
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1


type Operate = Callable[..., Awaitable[Ran]]


@pytest.fixture
def operate(ledger_url: str) -> Operate:
    """Run `python -m ledger.operate` on the module's ledger; keywords are options."""
    return operate_on(ledger_url)


def operate_on(database_url: str) -> Operate:
    """`environment` adds variables."""

    async def run(verb: str, environment: dict[str, str] | None = None, **options: object) -> Ran:
        words = [f"--{name.rstrip('_')}={value}" for name, value in options.items()]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ledger.operate",
            verb,
            *words,
            env={
                "PATH": os.environ["PATH"],
                "SOLARIS_DATABASE_URL": database_url,
                "SOLARIS_CATALOG": str(CATALOG),
                **(environment or {}),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    return run


@pytest_asyncio.fixture(scope="session")
async def history_template(postgres_server: Postgres) -> AsyncIterator[str]:
    """Name of a database with a small, sound history, to copy from."""
    name = "operate_history"
    url = await postgres_server.create_database(name)
    await migrate_ledger(url)
    await write_history(url, accounts=12, events=1_500, open_holds=5)
    yield name
    await postgres_server.drop_database(name)


@contextlib.asynccontextmanager
async def _copied(server: Postgres, template: str) -> AsyncIterator[str]:
    name = f"operate_{next(_numbers)}"
    admin = await asyncpg.connect(server.admin_url, timeout=10)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield server.url(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest_asyncio.fixture(scope="module")
async def ledger_url(postgres_server: Postgres, history_template: str) -> AsyncIterator[str]:
    """A ledger with a small history, of this module's own; each test takes other accounts."""
    async with _copied(postgres_server, history_template) as url:
        yield url


@pytest_asyncio.fixture
async def own_ledger(postgres_server: Postgres, history_template: str) -> AsyncIterator[str]:
    """A ledger with a small history that the test may damage."""
    async with _copied(postgres_server, history_template) as url:
        yield url


@pytest_asyncio.fixture
async def database(ledger_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to the module's ledger."""
    connection = await asyncpg.connect(ledger_url, timeout=10)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def damaged(own_ledger: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to the test's own ledger, for damaging it."""
    connection = await asyncpg.connect(own_ledger, timeout=10)
    yield connection
    await connection.close()
