"""The ledger has checkpoints made by itself; an operator hears where it can't."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest_asyncio
from ledger.audit.checkpoints.folder import FolderShelf
from ledger.audit.verify import Verified

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.checkpoints import KEY, CheckpointDesk
from tests.support.eventually import eventually
from tests.support.tampering import rewrite_history


@pytest_asyncio.fixture
async def stating(ledger: LedgerProcess, tmp_path: Path) -> AsyncIterator[LedgerProcess]:
    """A ledger that makes a checkpoint every second."""
    before = dict(ledger.environment)
    if ledger.process is not None and ledger.process.returncode is None:
        await ledger.stop()
    ledger.environment |= {
        "SOLARIS_CHECKPOINT_KEY": KEY,
        "SOLARIS_CHECKPOINT_SECONDS": "1",
        "SOLARIS_CHECKPOINTS": str(tmp_path / "place" / "checkpoints"),
    }
    yield ledger
    ledger.environment = before


async def test_checkpoints_are_made_while_calls_go_on_and_hold(
    stating: LedgerProcess, gateway: Conversation, database_url: str
) -> None:
    place = stating.environment["SOLARIS_CHECKPOINTS"]
    await stating.start()
    await gateway.reserve("ana", reservation_id="r-1")
    await gateway.record("ana", "r-1", prompt=90, completion=33)
    await eventually(lambda: FolderShelf(Path(place)).numbers(), 60, message="a first checkpoint")
    await gateway.reserve("bia", reservation_id="r-2")
    await eventually(lambda: len(FolderShelf(Path(place)).numbers()) > 2, 60, message="another two")
    assert isinstance(await CheckpointDesk(database_url, place).verify("1"), Verified)
    await eventually(lambda: _metric(stating, "solaris_ledger_checkpoint_timestamp_seconds"), message="its time")
    assert await stating.stop() == 0


async def test_a_place_that_does_not_take_them_is_noted_and_nothing_else_suffers(
    stating: LedgerProcess, gateway: Conversation
) -> None:
    place = Path(stating.environment["SOLARIS_CHECKPOINTS"]).parent
    place.write_text("a file where the folder should be")
    await stating.start()
    assert (await gateway.reserve("eva", reservation_id="r-3")).granted is not None

    async def noted() -> bool:
        ready = json.loads(await stating.fetch("/health/ready"))
        return str(place) in ready.get("notes", {}).get("checkpoints", "")

    await eventually(noted, 60, message="a note")
    assert await stating.metric("solaris_ledger_checkpoint_failures_total") >= 1
    place.unlink()
    await eventually(lambda: FolderShelf(place / "checkpoints").numbers(), 60, message="a checkpoint after all")
    assert await stating.stop() == 0


async def test_a_log_that_was_rewritten_is_told_without_anybody_asking(
    stating: LedgerProcess, gateway: Conversation, database_url: str
) -> None:
    place = stating.environment["SOLARIS_CHECKPOINTS"]
    await stating.start()
    await gateway.reserve("rui", reservation_id="r-4")
    assert await stating.stop() == 0
    desk = CheckpointDesk(database_url, place)
    await desk.make(anew="so that this one is of this place")
    owner = await asyncpg.connect(database_url, timeout=10)
    await rewrite_history(owner, database_url, "rui")
    await owner.close()
    await stating.start()

    async def noted() -> bool:
        ready = json.loads(await stating.fetch("/health/ready"))
        return "rui its history up to version" in ready.get("notes", {}).get("checkpoints", "")

    await eventually(noted, 60, message="a note")
    assert await stating.stop() == 0


async def _metric(ledger: LedgerProcess, name: str) -> float:
    return await ledger.metric(name)
