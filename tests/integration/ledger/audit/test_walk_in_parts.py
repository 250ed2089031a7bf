"""However the log is divided, among processes or into pages, the same is found, and nobody waits for the walk."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from ledger.audit import partition, survey
from ledger.audit.folding import Folded
from ledger.audit.verify import Broken, Verified, verify
from ledger.audit.walk import Walk
from ledger.store import log

from tests.support.tampering import tamper


async def _damage_one(database: asyncpg.Connection) -> int:
    """Change one event; returns its position."""
    position: int = await database.fetchval(
        "SELECT position FROM ledger.events WHERE account_id = 'account-00003' AND version = 6"
    )
    await tamper(database, "UPDATE ledger.events SET data = data || ' ' WHERE position = $1", position)
    return position


@pytest.fixture
def in_shares(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes even this small log worth several processes."""

    def split() -> None:
        monkeypatch.setattr(survey, "EVENTS_WORTH_A_PROCESS", 100)
        monkeypatch.setattr(survey, "_usable_cores", lambda: 3)

    return split


async def test_a_walk_over_several_processes_finds_the_same(
    own_ledger: str, damaged: asyncpg.Connection, in_shares: Callable[[], None]
) -> None:
    alone = await verify(own_ledger)
    in_shares()
    shared = await verify(own_ledger)
    assert isinstance(alone, Verified)
    assert isinstance(shared, Verified)
    assert (shared.events, shared.accounts) == (alone.events, alone.accounts)
    assert len(shared.checkpoint.borders) == 2
    for checkpoint in (alone.checkpoint, shared.checkpoint):
        assert isinstance(await verify(own_ledger, checkpoint), Verified)
    position = await _damage_one(damaged)
    result = await verify(own_ledger)
    assert isinstance(result, Broken)
    assert (result.position, result.problems) == (position, 1)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes even this small log many pages."""

    def cut(size: int) -> None:
        for module in (log, partition):
            monkeypatch.setattr(module, "PAGE_EVENTS", size)

    return cut


@pytest.mark.parametrize("size", [1, 2, 7, 125, 10_000])
async def test_pages_of_any_size_find_the_same(
    own_ledger: str, damaged: asyncpg.Connection, small_pages: Callable[[int], None], size: int
) -> None:
    whole = await verify(own_ledger)
    assert isinstance(whole, Verified)
    small_pages(size)
    paged = await verify(own_ledger)
    assert isinstance(paged, Verified)
    assert (paged.events, paged.accounts, paged.checkpoint) == (whole.events, whole.accounts, whole.checkpoint)
    assert isinstance(await verify(own_ledger, whole.checkpoint), Verified)
    position = await _damage_one(damaged)
    await damaged.execute("DELETE FROM ledger.accounts WHERE account_id = 'account-00009'")
    await damaged.execute("INSERT INTO ledger.accounts (account_id, version, state) VALUES ('b', 1, '{}')")
    result = await verify(own_ledger)
    assert isinstance(result, Broken)
    assert (result.position, result.problems) == (position, 3)


async def test_what_is_kept_of_accounts_is_one_page_however_many_there_are(
    own_ledger: str, small_pages: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    take_before = Walk.take_before

    def counting(walk: Walk, account_id: str) -> dict[str, Folded]:
        nonlocal most
        most = max(most, len(walk.accounts))
        return take_before(walk, account_id)

    monkeypatch.setattr(Walk, "take_before", counting)
    small_pages(60)
    result = await verify(own_ledger)
    assert isinstance(result, Verified)
    assert result.accounts == 12
    assert most == 2


async def test_no_snapshot_lives_longer_than_a_page_and_nothing_is_locked(
    own_ledger: str, damaged: asyncpg.Connection, small_pages: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another session sees it, each time a page has been folded."""
    snapshots: set[object] = set()
    pages = locks = 0
    rows_of_accounts = log.rows_of_accounts

    async def looking(*arguments: Any) -> Any:
        nonlocal pages, locks
        rows = await rows_of_accounts(*arguments)
        pages += 1
        activity = "pg_stat_activity WHERE application_name = 'ledger-log' AND datname = current_database()"
        snapshots.update(await damaged.fetch(f"SELECT pid, xact_start FROM {activity}"))
        locks += await damaged.fetchval(
            f"SELECT count(*) FROM pg_locks WHERE pid IN (SELECT pid FROM {activity})"
            " AND mode NOT IN ('AccessShareLock', 'ExclusiveLock')"
        )
        return rows

    monkeypatch.setattr(partition, "rows_of_accounts", looking)
    small_pages(200)
    assert isinstance(await verify(own_ledger), Verified)
    assert pages > 5
    assert len(snapshots) == pages
    assert locks == 0
