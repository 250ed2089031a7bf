"""A database that version 0.1 left, holds open, is upgraded and used on; what was true of it stays true.

`upgrade/version_0_1.tar.gz` is what COPY wrote of every table, with the balances that 0.1's own command told then:
grants, thresholds, a debt, a suspension, three open streams, and a supervisor killed in the middle of it.
"""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from chassis.migrations import migrate

from tests.support.ledger_operate import operate_on

DUMP = Path(__file__).parent / "upgrade" / "version_0_1.tar.gz"
REVISIONS_OF_0_1 = {"ledger": ("0001", "0002"), "notifier": ("0001",)}
SERVICES = Path(__file__).parents[3] / "services"


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dump")
    with tarfile.open(DUMP) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def tables(dump: Path) -> list[Path]:
    return sorted(dump.glob("*.copy"))


@pytest.fixture(scope="module")
def told_by_0_1(dump: Path) -> dict[str, Any]:
    balances: dict[str, Any] = json.loads((dump / "balances.json").read_bytes())
    return balances


@pytest_asyncio.fixture(scope="module")
async def old_url(database_url: str, tables: list[Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database as 0.1 left it."""
    for service, revisions in REVISIONS_OF_0_1.items():
        migrations = tmp_path_factory.mktemp("migrations")
        (migrations / "versions").mkdir()
        for revision in revisions:
            (found,) = (SERVICES / service / "src" / service / "migrations" / "versions").glob(f"{revision}_*.py")
            shutil.copy(found, migrations / "versions")
        await migrate(database_url, service, folder=migrations)
    connection = await asyncpg.connect(database_url)
    try:
        for path in tables:
            schema, table, _ = path.name.split(".")
            await connection.execute(f"TRUNCATE {schema}.{table}")
            await connection.copy_to_table(table, schema_name=schema, source=path)
        for table, column in (("ledger.events", "position"), ("notifier.messages", "id")):
            last = f"SELECT max({column}) FROM {table}"
            await connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), ({last}))")
    finally:
        await connection.close()
    return database_url


@pytest_asyncio.fixture(scope="module")
async def upgraded_url(old_url: str) -> str:
    assert await migrate(old_url, "ledger")
    assert await migrate(old_url, "notifier")
    assert await migrate(old_url, "ledger") == []
    return old_url


async def test_the_upgraded_log_verifies_and_replays_without_a_difference(upgraded_url: str) -> None:
    operate = operate_on(upgraded_url)
    verified = await operate("verify")
    assert verified.code == 0, verified
    replayed = await operate("replay")
    assert replayed.code == 0, replayed
    assert replayed.json["difference_count"] == 0
    assert replayed.json["repaired"] == 0


async def test_every_balance_is_what_0_1_told(upgraded_url: str, told_by_0_1: dict[str, Any]) -> None:
    connection = await asyncpg.connect(upgraded_url)
    last = await connection.fetchval("SELECT max(recorded_at) FROM ledger.events")
    await connection.close()
    operate = operate_on(upgraded_url)
    for account, told in told_by_0_1.items():
        balance = (await operate("balance", account=account, at=last.isoformat())).json
        assert {name: balance[name] for name in told} == told, account


async def test_the_same_key_is_the_same_command_across_the_upgrade(upgraded_url: str) -> None:
    operate = operate_on(upgraded_url)
    same = {"account": "ana", "tokens": 5000, "reason": 'promo "x" ção', "key": "k-1"}
    repeated = await operate("credit", **same)
    assert repeated.code == 0, repeated
    assert repeated.json["credits"] == 5000  # the first answer again
    assert (await operate("balance", account="ana")).json["credits"] == 5300
    (await operate("credit", **same | {"tokens": 4000})).assert_refused(1)
    granted = await operate("credit", account="rui", tokens=1000, reason="after the upgrade")
    assert granted.json["debt"] == 0
    assert granted.json["credits"] == 270
    assert (await operate("verify")).code == 0


@pytest.mark.parametrize("function", ["open_batch", "append_batch", "append_if_current"])
async def test_a_process_of_0_1_finds_nothing_to_write_with(upgraded_url: str, function: str) -> None:
    connection = await asyncpg.connect(upgraded_url)
    try:
        named = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace AND proname = $1"
        assert await connection.fetchval(named, function) == 0
    finally:
        await connection.close()
