"""What the process that makes checkpoints answers is a success only where it tells of one."""

import asyncio
import sys

import pytest
from ledger.audit import hourly
from ledger.audit.hourly import HourlyCheckpoints

from tests.support.eventually import eventually

MADE = '{"statement":{"number":3,"made_at":"2026-03-02T12:00:00Z"}}'


async def outcome(monkeypatch: pytest.MonkeyPatch, answer: str, code: int = 0) -> str | None:
    """Why the ledger says that there is no checkpoint, where its process answers this."""
    program = f"import sys; sys.stdout.write({answer!r}); sys.exit({code})"
    monkeypatch.setattr(hourly, "COMMAND", (sys.executable, "-S", "-c", program))
    made: list[float] = []
    checkpoints = HourlyCheckpoints(0.01)
    make = checkpoints._make  # of which run() does nothing else

    async def counted() -> float:
        made.append(await make())
        return 60.0

    monkeypatch.setattr(checkpoints, "_make", counted)
    running = asyncio.create_task(checkpoints.run())
    try:
        await eventually(lambda: bool(made), 30)
        return await checkpoints.check()
    finally:
        running.cancel()


@pytest.mark.parametrize("answer", ["", "{", "made", '{"statement":{"number":"three"}}', "{}", "null"])
async def test_an_answer_that_tells_of_no_checkpoint_is_a_failure(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    assert "answer" in (await outcome(monkeypatch, answer) or "")


async def test_one_that_was_made_or_is_not_due_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await outcome(monkeypatch, MADE) is None
    assert await outcome(monkeypatch, '{"due_in_seconds":9}') is None
    assert "no room" in (await outcome(monkeypatch, "no room", code=1) or "")
