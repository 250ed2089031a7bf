"""A small S3-compatible server as a process of its own, which keeps its objects in a folder."""

import asyncio
import contextlib
import http.client
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from local_run.ports import any_free

from tests.support.eventually import eventually


@dataclass(frozen=True)
class Bucket:
    """An empty bucket."""

    url: str
    place: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What names it to the ledger."""
        return {
            "SOLARIS_CHECKPOINTS": self.place,
            "SOLARIS_CHECKPOINTS_S3_URL": self.url,
            "SOLARIS_CHECKPOINTS_S3_KEY_ID": "ana",
            "SOLARIS_CHECKPOINTS_S3_SECRET": "of-ana",
        }


@contextlib.asynccontextmanager
async def running_bucket(folder: Path) -> AsyncIterator[Bucket]:
    """It runs for the length of the block."""
    port = any_free()
    (folder / "solaris").mkdir(parents=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localbucket", str(folder), "--port", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: _answers(port), 20, message="the S3 server answers")
        yield Bucket(f"http://127.0.0.1:{port}", "s3://solaris/ledger/a", folder / "solaris" / "ledger" / "a")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
