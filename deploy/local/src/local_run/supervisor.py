"""Runs the stack in the foreground until a signal."""

import asyncio
import os
import signal
import sys
import time
from typing import Final

from local_run.banner import banner
from local_run.child import follow_parent
from local_run.console import Console
from local_run.data_folder import DataFolder, DataFolderError
from local_run.leftovers import end_leftovers
from local_run.nats_server import NatsError
from local_run.ports import PortError, choose_ports
from local_run.postgres import PostgresError
from local_run.settings import LocalSettings
from local_run.stack import Stack, StackError

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(*, stop_with_parent: bool) -> int:
    """Run until stopped; returns the exit code. `stop_with_parent`: when the parent is killed, we stop too."""
    if stop_with_parent:
        follow_parent(os.getppid(), signal.SIGTERM)
    try:
        return asyncio.run(_run())
    except (DataFolderError, PortError) as error:
        reason = str(error)
    except OSError as error:
        reason = _system_reason(error)
    sys.stderr.write(f"cannot start: {reason}\n")
    return 1


async def _run() -> int:
    started_at = time.monotonic()
    settings = LocalSettings.load(os.environ)
    folder = DataFolder(settings.data_dir)
    folder.create()
    lock = folder.lock()
    try:
        end_leftovers(folder.load_processes())  # before ports are chosen: they may still hold them
        ports = choose_ports(os.environ, folder.load_ports(), settings.host)
        folder.save_ports(ports)
        console = Console()
        stack = Stack(settings, folder, ports, folder.load_secrets(), console)
        try:
            return await _supervise(settings, stack, console, started_at)
        finally:
            console.close()
    finally:
        os.close(lock)


async def _supervise(settings: LocalSettings, stack: Stack, console: Console, started_at: float) -> int:
    stop = _stop_requests()
    starting = asyncio.create_task(stack.start(), name="start")
    stopping = asyncio.create_task(stop.get(), name="stop")
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return 0
        failure = _failure(starting)
        if failure is not None:
            console.announce(f"cannot start: {failure}")
            return 1
        table = banner(settings, stack.addresses, str(settings.data_dir.absolute()))
        console.announce(f"{table}\nready in {time.monotonic() - started_at:.1f} s; stop with Ctrl-C")
        await stopping
        return 0
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)  # before stopping: it must start nothing more
        console.announce("stopping (again to stop at once)")
        await _stop(stack, stop)
        console.announce("stopped")


def _failure(starting: "asyncio.Task[None]") -> str | None:
    """Why the start failed, in one line; an error that nobody foresaw is raised."""
    error = starting.exception()
    match error:
        case None:
            return None
        case StackError() | PostgresError() | NatsError() | DataFolderError():
            return str(error)
        case OSError():
            return _system_reason(error)
        case _:
            raise error


def _system_reason(error: OSError) -> str:
    return f"{error.filename or 'the system'}: {error.strerror or error}"


async def _stop(stack: Stack, stop: "asyncio.Queue[None]") -> None:
    """Stop in order; a second request kills what still runs."""
    orderly = asyncio.create_task(stack.stop(), name="stop-stack")
    again = asyncio.create_task(stop.get(), name="stop-again")
    await asyncio.wait((orderly, again), return_when=asyncio.FIRST_COMPLETED)
    if not orderly.done():
        stack.kill()
    again.cancel()
    await orderly


def _stop_requests() -> "asyncio.Queue[None]":
    requests: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, requests.put_nowait, None)
    return requests
