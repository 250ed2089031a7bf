"""The gateway as a real process."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.gateway.raw_http import KEY, ask
from tests.support.eventually import eventually


class GatewayProcess:
    def __init__(self, process: asyncio.subprocess.Process, port: int, data_dir: Path, log_path: Path) -> None:
        self.process = process
        self.port = port
        self.data_dir = data_dir
        self.log_path = log_path

    @property
    def journal(self) -> Path:
        return self.data_dir / "gateway" / "journal"

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def wait_until_ready(self) -> None:
        async def ready() -> bool:
            return (await ask(self.port, path="/health/ready", method="GET")).status == 200

        await eventually(ready, message="ready gateway")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def running_gateway(
    data_dir: Path,
    nats_url: str,
    upstream_url: str,
    *,
    ready: bool = True,
    **settings: str,
) -> AsyncIterator[GatewayProcess]:
    """A gateway for the length of the block; settings by their names without `SOLARIS_`, in lower case.

    `descriptors` is none of them, but the most that the process may have open.
    """
    port = free_port()
    data_dir.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  a test may block for that
    log_path = data_dir / "gateway.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOLARIS_")}
    environment |= {
        "SOLARIS_GATEWAY_PORT": str(port),
        "SOLARIS_NATS_URL": nats_url,
        "SOLARIS_UPSTREAM_URL": upstream_url,
        "SOLARIS_UPSTREAM_API_KEY": "sk-upstream-secret",
        "SOLARIS_GATEWAY_KEYS": f"{KEY},sk-another-service-key",
        "SOLARIS_GATEWAY_SECRET": "a-secret-for-the-tests-alone",
        "SOLARIS_DATA_DIR": str(data_dir),
        "SOLARIS_SHUTDOWN_SECONDS": "3",
        "SOLARIS_STOP_NOTICE_SECONDS": "0",
        "SOLARIS_RESERVE_DEADLINE_SECONDS": "1.5",
        "SOLARIS_RESERVE_ATTEMPT_SECONDS": "0.4",
    }
    command = [sys.executable, "-m", "gateway"]
    if (descriptors := settings.pop("descriptors", None)) is not None:
        command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
    environment |= {f"SOLARIS_{name.upper()}": value for name, value in settings.items()}
    with log_path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log, cwd=data_dir)
    gateway = GatewayProcess(process, port, data_dir, log_path)
    try:
        await eventually(lambda: _listens(port, process), message="listening gateway")
        if ready:
            await gateway.wait_until_ready()
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _listens(port: int, process: asyncio.subprocess.Process) -> bool:
    if process.returncode is not None:
        raise RuntimeError(f"the gateway ended with {process.returncode}")
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
