"""The whole stack as `make run` starts it, on a data folder and ports of its own, with our upstream."""

import asyncio
import contextlib
import json
import re
import secrets
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_run.ports import WANTED_PORTS, any_free
from local_run.services import local_base_url

from bench.processes import BENCH_DIRECTORY, REPOSITORY, python_program, running
from bench.requests import Target

_START_SECONDS: Final = 120.0
_ASK_SECONDS: Final = 20.0


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
            yield RunningStack(
                target=Target(name=name, port=ports["gateway"], headers=(("authorization", f"Bearer {key}"),)),
                pids=_product_pids(await _ask("local_run.ps", environment, checkout)),
                database_url=_exported(await _ask("local_run.env", environment, checkout))["SOLARIS_DATABASE_URL"],
                sync_interval=_sync_interval(data / "nats" / "nats.conf"),
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _ask(module: str, environment: Mapping[str, str], checkout: Path) -> list[str]:
    """What a command of the local run prints about the running stack."""
    program = python_program(module, "-m", module, environment=environment, checkout=checkout)
    child = await asyncio.create_subprocess_exec(
        *program.command, env=dict(program.environment), cwd=program.directory, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_ASK_SECONDS):
        output, _ = await child.communicate()
    return output.decode().splitlines()


def _product_pids(lines: list[str]) -> dict[str, int]:
    """Pid by service, of the processes that are part of the product (the demo's mailbox is not)."""
    listed = (json.loads(line) for line in lines)
    return {one["service"]: one["pid"] for one in listed if one["service"] not in {"mailbox", "upstream"}}


def _exported(lines: list[str]) -> dict[str, str]:
    words = (shlex.split(line)[1] for line in lines)
    return dict(word.split("=", 1) for word in words)


def _free_ports() -> dict[str, int]:
    ports: dict[str, int] = {}
    while len(set(ports.values())) < len(WANTED_PORTS):
        ports = {name: any_free() for name in WANTED_PORTS}
    return ports


def _sync_interval(configuration: Path) -> str:
    found = re.search(r"^\s*sync_interval:\s*\"?(\w+)", configuration.read_text(), re.MULTILINE)
    return found[1] if found else "default (2m)"
