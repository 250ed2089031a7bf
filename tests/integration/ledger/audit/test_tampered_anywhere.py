"""Wherever and however one account is tampered with, before a checkpoint or after it, that account is named."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
import pytest_asyncio
from ledger.audit.verify import Broken, Verified, VerifiedSince

from tests.support.checkpoints import CheckpointDesk
from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import operate_on
from tests.support.tampering import cut_tail, remove_account, rewrite_history, tamper

ACCOUNTS: Final = tuple(f"account-{number:05}" for number in range(12))
WAYS: Final = ("flip", "delete", "swap", "cut", "rewrite", "remove")
SEEDS: Final = range(2 * len(WAYS))


@pytest_asyncio.fixture(scope="module")
async def grown(
    postgres_server: Postgres, history_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, str]]:
    """A database to copy, which went on for a while after its checkpoint was made, and the checkpoint's place."""
    place = str(tmp_path_factory.mktemp("grown"))
    name = "ledger_grown"
    async with postgres_server.copied(history_template) as url:
        await CheckpointDesk(url, place).made()
        operate = operate_on(url)
        for account_id in ACCOUNTS[::2]:
            for tokens in (5, 6, 7):
                await operate("credit", account=account_id, tokens=tokens, reason="r")
        connection = await asyncpg.connect(postgres_server.admin_url, timeout=10)
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{url.rpartition("/")[2]}"')
        await connection.close()
    yield name, place
    await postgres_server.drop_database(name)


async def _tamper(owner: asyncpg.Connection, url: str, way: str, dice: random.Random, account_id: str) -> None:
    """At some place of the account's history."""
    last: int = await owner.fetchval("SELECT max(version) FROM ledger.events WHERE account_id = $1", account_id)
    version = dice.randint(1, last - 1)
    match way:
        case "flip":
            place = dice.randrange(200)
            await tamper(
                owner,
                f"UPDATE ledger.events SET data = set_byte(data, {place}, get_byte(data, {place}) # $3)"
                " WHERE account_id = $1 AND version = $2",
                account_id,
                version,
                dice.randint(1, 255),
            )
        case "delete":
            await tamper(owner, "DELETE FROM ledger.events WHERE account_id = $1 AND version = $2", account_id, version)
        case "swap":
            await tamper(
                owner,
                "UPDATE ledger.events AS event SET data = other.data, type = other.type, id = other.id,"
                " recorded_at = other.recorded_at FROM ledger.events AS other"
                " WHERE event.account_id = $1 AND other.account_id = $1"
                " AND (event.version, other.version) IN (($2::bigint, $3::bigint), ($3, $2))",
                account_id,
                version,
                version + 1,
            )
        case "cut":
            await cut_tail(owner, url, account_id, dice.randint(30, last))
        case "rewrite":
            await rewrite_history(owner, url, account_id)
        case "remove":
            await remove_account(owner, account_id)


@pytest.mark.parametrize("seed", SEEDS)
async def test_it_is_named_in_full_and_what_replaced_the_past_since(
    postgres_server: Postgres, grown: tuple[str, str], seed: int
) -> None:
    template, place = grown
    dice, way = random.Random(seed), WAYS[seed % len(WAYS)]
    account_id = dice.choice(ACCOUNTS)
    async with postgres_server.copied(template) as url:
        desk = CheckpointDesk(url, place)
        assert isinstance(await desk.verify(), Verified)
        assert isinstance(await desk.verify_since(), VerifiedSince)
        owner = await asyncpg.connect(url, timeout=10)
        try:
            await _tamper(owner, url, way, dice, account_id)
        finally:
            await owner.close()
        full, since = await asyncio.gather(desk.verify(), desk.verify_since())
        assert isinstance(full, Broken), way
        assert full.account_id == account_id, (way, full)
        if way in ("cut", "rewrite", "remove"):
            assert isinstance(since, Broken), way
            assert since.account_id == account_id, (way, since)
        elif way == "delete":
            assert isinstance(since, Broken)
