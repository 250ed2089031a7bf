"""A short endurance run: `python -m tests.chaos.endurance` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.endurance import Endurance

SECONDS = 40.0


@pytest.mark.timeout(300)
async def test_two_ledgers_and_two_gateways_count_every_token_whatever_dies_or_freezes(tmp_path: Path) -> None:
    run = Endurance(tmp_path / "data", seconds=SECONDS, seed=1)
    assert await run.run() == []
    assert len(run.tally.served) > 200
    assert {fault.split()[0] for fault in run.tally.faults} >= {"kill", "freeze"}
