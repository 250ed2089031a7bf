"""Starts the benchmark's own servers as children that die with it, and stops them whatever happens."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from asyncio.subprocess import STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from local_run.supervision import process
from local_run.supervision.probe import fetch
from local_run.supervision.process import Program

from bench.progress import say

REPOSITORY: Final = Path(__file__).parents[1]
BENCH_DIRECTORY: Final = REPOSITORY / ".solaris" / "bench"
"""Git-ignored; holds the peer's environment, logs, and the stack's data while it runs."""

TEMPORARY_PREFIXES: Final = ("stack-", "ledger-", "replay-", "webhooks-")
"""Beginnings of the names of folders that live as long as a part of the run."""

_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.05
_INSTALL_SECONDS: Final = 600.0
_MODULE_SECONDS: Final = 600.0


class ProcessError(Exception):
    """A program did not start or did not end well; the text has the end of what it said."""


@contextlib.contextmanager
def bench_directory() -> Iterator[Path]:
    """The folder, for one benchmark at a time: two would measure each other. What a killed one left is removed.

    Raises:
        ProcessError: another benchmark runs.
    """
    BENCH_DIRECTORY.mkdir(parents=True, exist_ok=True)
    with (BENCH_DIRECTORY / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProcessError("another benchmark runs in this checkout") from None
        for prefix in TEMPORARY_PREFIXES:
            for left in BENCH_DIRECTORY.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
        yield BENCH_DIRECTORY


def python_program(
    name: str, *arguments: str, environment: Mapping[str, str] | None = None, checkout: Path = REPOSITORY
) -> Program:
    """A module of ours with the interpreter that runs the benchmark, or one of another checkout, from its root.

    What the caller has set for another stack does not reach it.
    """
    interpreter = sys.executable if checkout == REPOSITORY else str(checkout / ".venv" / "bin" / "python")
    kept = {variable: value for variable, value in os.environ.items() if not variable.startswith("SOLARIS_")}
    return Program(
        name=name,
        command=(interpreter, *arguments),
        environment={**kept, **(environment or {})},
        directory=checkout,
    )


@contextlib.asynccontextmanager
async def running(
    program: Program, log: Path, *, is_ready: Callable[[], Awaitable[bool]], timeout_seconds: float
) -> AsyncIterator[int]:
    """The program for the length of the block, once it is ready; gives its pid.

    Raises:
        ProcessError: it ended early or was not ready in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = await process.start(program, output=output)
    try:
        deadline = time.monotonic() + timeout_seconds
        while not await is_ready():
            if child.returncode is not None:
                raise ProcessError(f"{program.name} ended with code {child.returncode}: {last_lines(log)}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{program.name} not ready within {timeout_seconds:g} s: {last_lines(log)}")
            await asyncio.sleep(_POLL_SECONDS)
        yield child.pid
    finally:
        await process.stop(child, program, _STOP_SECONDS)


async def answers(port: int, path: str) -> bool:
    """Whether a server on loopback answers `GET path` with 200."""
    return (await fetch(port, path)).status == 200


async def run_to_end(command: tuple[str, ...], environment: Mapping[str, str] | None = None) -> None:
    """Run a command that should succeed, as an installation does.

    Raises:
        ProcessError: it failed or took too long.
    """
    say(f"{Path(command[0]).name} {' '.join(command[1:3])} …")
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=STDOUT, env=environment
    )
    try:
        async with asyncio.timeout(_INSTALL_SECONDS):
            output, _ = await child.communicate()
    except TimeoutError:
        raise ProcessError(f"{command[0]} did not end within {_INSTALL_SECONDS:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise ProcessError(f"{command[0]} failed: {output.decode(errors='replace').strip()[-400:]}")


async def run_module(module: str, *arguments: str) -> Any:  # Any: each module's own JSON
    """Run a module of ours to its end; what it wrote last on its output, as JSON. It dies with us.

    Raises:
        ProcessError: it failed or took too long.
    """
    program = python_program(module, "-m", module, *arguments)
    child = await process.start(program, output=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(_MODULE_SECONDS):
            output, _ = await child.communicate()
    except TimeoutError:
        raise ProcessError(f"{module} did not end within {_MODULE_SECONDS:g} s") from None
    finally:
        await process.stop(child, program, _STOP_SECONDS)
    lines = output.decode(errors="replace").strip().splitlines() or ["no output"]
    if child.returncode != 0:
        raise ProcessError(f"{module} failed: {' | '.join(lines[-5:])}")
    return json.loads(lines[-1])


def last_lines(log: Path, count: int = 8) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-count:]) or "it said nothing"
