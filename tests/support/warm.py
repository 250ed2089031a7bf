"""Real processes of the services that start at once: forks of one that has imported all (see `warm_server`)."""

import asyncio
import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.eventually import eventually_blocking

_IMPORTED: Final = ("ledger.operate", "notifier.operate", "billing.operate", "billing.main")
_STARTING_SECONDS: Final = 60.0
REPOSITORY: Final = Path(__file__).parents[2]


@dataclass
class WarmProcess:
    """A running one; what it prints is appended to files."""

    pid: int
    returncode: int | None = field(default=None, init=False)
    _heard: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def wait(self) -> int:
        """Its exit code, negative for a signal, as `subprocess` has it."""
        if self.returncode is None:
            self.returncode = int(await self._heard.readline())
            self._writer.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing where it was seen to end; its parent keeps the pid until then."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def start_warm(
    module: str, *arguments: str, environment: Mapping[str, str], stdout: Path, stderr: Path
) -> WarmProcess:
    """`python -m MODULE ARGUMENT…` with this environment and nothing more of ours."""
    reader, writer = await asyncio.open_unix_connection(_server())
    request = {
        "module": module,
        "arguments": arguments,
        "environment": dict(environment),
        "directory": str(Path.cwd()),
        "stdout": str(stdout),
        "stderr": str(stderr),
    }
    writer.write(json.dumps(request).encode() + b"\n")
    return WarmProcess(int(await asyncio.wait_for(reader.readline(), 10)), _heard=reader, _writer=writer)


@functools.cache
def _server() -> Path:
    """Where the one of this test run listens; it ends with this process, whose pipe it reads."""
    directory = Path(tempfile.mkdtemp(prefix="solaris-warm-"))
    path = directory / "socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_server", str(path), *_IMPORTED],
        stdin=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    atexit.register(shutil.rmtree, directory, ignore_errors=True)

    def listens() -> bool:
        assert process.poll() is None, "the warm server ended"
        return path.exists()

    eventually_blocking(listens, _STARTING_SECONDS, message="the warm server listens")
    return path
