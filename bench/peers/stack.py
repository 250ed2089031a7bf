"""The whole stack as `make run` starts it, on a data folder and ports of its own, with our upstream."""

import contextlib
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_run.addresses import local_base_url
from local_run.commands.ps import running_processes
from local_run.data_folder import DataFolder
from local_run.ports import WANTED_PORTS, any_free
from local_run.services import HELPERS

from bench.load.requests import Target
from bench.processes import BENCH_DIRECTORY, REPOSITORY, python_program, running

_START_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """Addresses and processes of the stack; `sync_interval` is JetStream's, as its server was told."""

    target: Target
    pids: Mapping[str, int]
    database_url: str
    sync_interval: str


@contextlib.asynccontextmanager
async def running_stack(
    upstream_port: int, *, name: str = "solaris", checkout: Path = REPOSITORY
) -> AsyncIterator[RunningStack]:
    """The stack for the length of the block, of this checkout or of another one; its data is removed afterwards.

    Raises:
        ProcessError: it does not start.
    """
    directory = tempfile.mkdtemp(prefix="stack-", dir=BENCH_DIRECTORY)
    data = Path(directory) / "data"
    ports = _free_ports()
    key = f"sk-bench-{secrets.token_hex(12)}"
    environment = {
        **{f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in ports.items()},
        "SOLARIS_DATA_DIR": str(data),
        "SOLARIS_UPSTREAM_URL": local_base_url(upstream_port),
        "SOLARIS_GATEWAY_KEYS": key,
        "SOLARIS_ENFORCEMENT": "enforce",
    }
    program = python_program("local_run", "-m", "local_run", environment=environment, checkout=checkout)
    log = BENCH_DIRECTORY / f"{name}.log"

    async def is_ready() -> bool:
        return re.search(rb"^ready", log.read_bytes(), re.MULTILINE) is not None

    try:
        async with running(program, log, is_ready=is_ready, timeout_seconds=_START_SECONDS):
            folder = DataFolder(data)  # whose files are the same in every version
            yield RunningStack(
                target=Target(name=name, port=ports["gateway"], headers=(("authorization", f"Bearer {key}"),)),
                pids=_product_pids(folder),
                database_url=folder.load_operator_environment()["SOLARIS_DATABASE_URL"],
                sync_interval=_sync_interval(data / "nats" / "nats.conf"),
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _product_pids(folder: DataFolder) -> dict[str, int]:
    """Pid by name, of the processes that are part of the product (the demo's helpers are not)."""
    demo = {helper.name for helper in HELPERS}
    return {name: pid for name, pid in running_processes(folder).items() if name not in demo}


def _free_ports() -> dict[str, int]:
    ports: dict[str, int] = {}
    while len(set(ports.values())) < len(WANTED_PORTS):
        ports = {name: any_free() for name in WANTED_PORTS}
    return ports


def _sync_interval(configuration: Path) -> str:
    found = re.search(r"^\s*sync_interval:\s*\"?(\w+)", configuration.read_text(), re.MULTILINE)
    return found[1] if found else "default (2m)"
