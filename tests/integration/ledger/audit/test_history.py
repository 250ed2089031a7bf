"""History never changes: not for a service, not for an operator, and not for the owner by mistake."""

import asyncpg
import pytest
from ledger.audit.verify import Broken, Verified, verify

CHANGES = (
    "UPDATE ledger.events SET data = data",
    "UPDATE ledger.events SET data = data WHERE position = -1",
    "DELETE FROM ledger.events WHERE position = 5",
    "TRUNCATE ledger.events",
    "INSERT INTO ledger.events OVERRIDING SYSTEM VALUE SELECT * FROM ledger.events LIMIT 1"
    " ON CONFLICT (position) DO UPDATE SET data = excluded.data",
)


@pytest.mark.parametrize("change", CHANGES)
async def test_the_owner_can_not_change_an_event_without_switching_the_guard_off(
    own_ledger: str, damaged: asyncpg.Connection, change: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never changed"):
        await damaged.execute(change)
    await damaged.execute("SET session_replication_role = replica")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never changed"):
        await damaged.execute(change)
    assert isinstance(await verify(own_ledger), Verified)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE ledger.events DISABLE TRIGGER history_never_changes",
        "ALTER TABLE ledger.events ENABLE TRIGGER history_never_changes",
        "DROP TRIGGER history_never_changes ON ledger.events",
    ],
)
async def test_a_guard_that_is_off_is_told(own_ledger: str, damaged: asyncpg.Connection, change: str) -> None:
    await damaged.execute(change)
    result = await verify(own_ledger)
    assert isinstance(result, Broken)
    assert "trigger" in result.reason


async def test_a_history_that_the_owner_rewrote_whole_verifies_and_verify_says_that_it_can_not_see_that(
    own_ledger: str,
) -> None:
    result = await verify(own_ledger)
    assert isinstance(result, Verified)
    assert "owner can rewrite history" in result.blind_to
    assert "checkpoint" in result.blind_to
