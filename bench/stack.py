"""The whole stack as `make run` starts it, on a data folder and ports of its own, with our upstream."""

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_run.data_folder import DataFolder
from local_run.ports import WANTED_PORTS, any_free
from local_run.services import DEVELOPMENT_KEY, local_base_url

from bench.processes import BENCH_DIRECTORY, answers, python_program, running
from bench.requests import Target

_START_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """Addresses and processes of the stack; `sync_interval` is JetStream's, as its server was told."""

    target: Target
    folder: DataFolder
    database_url: str
    sync_interval: str
    started_in_seconds: float

    def pids(self) -> dict[str, int]:
        """Pid by service, of the processes that are part of the product (the mailbox is not)."""
        found = self.folder.load_processes()
        return {name: pid for name, pid in found.items() if name not in {"mailbox", "upstream"}}


@contextlib.asynccontextmanager
async def running_stack(upstream_port: int) -> AsyncIterator[RunningStack]:
    """The stack for the length of the block; its data is removed afterwards.

    Raises:
        ProcessError: it does not start.
    """
    BENCH_DIRECTORY.mkdir(parents=True, exist_ok=True)
    directory = tempfile.mkdtemp(prefix="stack-", dir=BENCH_DIRECTORY)
    folder = DataFolder(Path(directory) / "data")
    ports = _free_ports()
    started = time.monotonic()
    program = python_program("local_run", "-m", "local_run", environment=_environment(folder, ports, upstream_port))

    async def is_ready() -> bool:
        return (folder.path / "operator.json").exists() and await answers(ports["gateway"], "/health/ready")

    log = BENCH_DIRECTORY / "stack.log"
    try:
        async with running(program, log, is_ready=is_ready, timeout_seconds=_START_SECONDS):
            key = ("authorization", f"Bearer {DEVELOPMENT_KEY}")
            yield RunningStack(
                target=Target(name="solaris", port=ports["gateway"], headers=(key,)),
                folder=folder,
                database_url=folder.load_operator_environment()["SOLARIS_DATABASE_URL"],
                sync_interval=_sync_interval(folder.path / "nats" / "nats.conf"),
                started_in_seconds=time.monotonic() - started,
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _free_ports() -> dict[str, int]:
    ports: dict[str, int] = {}
    while len(set(ports.values())) < len(WANTED_PORTS):
        ports = {name: any_free() for name in WANTED_PORTS}
    return ports


def _environment(folder: DataFolder, ports: Mapping[str, int], upstream_port: int) -> dict[str, str]:
    return {
        **{f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in ports.items()},
        "SOLARIS_DATA_DIR": str(folder.path),
        "SOLARIS_UPSTREAM_URL": local_base_url(upstream_port),
        "SOLARIS_ENFORCEMENT": "enforce",
    }


def _sync_interval(configuration: Path) -> str:
    found = re.search(r"^\s*sync_interval:\s*\"?(\w+)", configuration.read_text(), re.MULTILINE)
    return found[1] if found else "default (2m)"
