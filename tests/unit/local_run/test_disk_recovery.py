"""NATS is restarted after a full disk: once, and not before there is room."""

import asyncio
from pathlib import Path

from local_run.servers.disk_recovery import ENOUGH_FREE_BYTES, DiskRecovery

from tests.support.eventually import eventually

FULL = b"[7] [ERR] JetStream failed to store a msg on stream '$G > USAGE': write /x: no space left on device"


async def test_nats_is_restarted_once_when_there_is_room_again(tmp_path: Path) -> None:
    free, looked, restarts = [0], [0], [0]

    def free_bytes(_: Path) -> int:
        looked[0] += 1
        return free[0]

    def restart() -> None:
        restarts[0] += 1

    recovery = DiskRecovery(tmp_path, restart, free_bytes=free_bytes, check_seconds=0.001)
    running = asyncio.create_task(recovery.run())
    try:
        recovery.see(b"[7] [INF] Server is ready")
        recovery.see(FULL)
        await eventually(lambda: looked[0] >= 3)
        assert restarts[0] == 0
        free[0] = ENOUGH_FREE_BYTES
        await eventually(lambda: restarts[0] == 1)
        free[0], seen = 0, looked[0]
        recovery.see(FULL)
        await eventually(lambda: looked[0] >= seen + 3)
        assert restarts[0] == 1
    finally:
        running.cancel()
