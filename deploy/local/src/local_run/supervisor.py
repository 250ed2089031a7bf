"""Runs the stack in the foreground until a signal."""

import asyncio
import os
import select
import signal
import sys
import time
from typing import Final

from chassis.settings import SettingsError

from local_run.banner import banner
from local_run.data_folder import DataFolder, DataFolderError
from local_run.environments import misspelt_settings
from local_run.ports import PortClaims, PortError, PortLostError, check_host, choose_ports
from local_run.settings import LocalSettings
from local_run.stack import Stack
from local_run.supervision.child import follow_parent
from local_run.supervision.console import Console
from local_run.supervision.leftovers import end_leftovers
from local_run.supervision.process import ProgramError

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MAX_LOST_PORTS: Final = 10
_TERMINAL_POLL_SECONDS: Final = 0.5


def run(*, stop_with_parent: bool) -> int:
    """Run until stopped; returns the exit code. `stop_with_parent`: when the parent is killed, we stop too."""
    if stop_with_parent:
        follow_parent(os.getppid(), signal.SIGTERM)
    try:
        return asyncio.run(_run())
    except (DataFolderError, PortError, SettingsError) as error:
        reason = str(error)
    except OSError as error:
        reason = _system_reason(error)
    sys.stderr.write(f"cannot start: {reason}\n")
    return 1


async def _run() -> int:
    started_at = time.monotonic()
    stop = _stop_requests()
    settings = LocalSettings.load(os.environ)
    check_host(settings.host)
    folder = DataFolder(settings.data_dir)
    folder.create()
    try:
        lock = folder.lock()
    except OSError as error:
        raise DataFolderError(f"cannot use the data folder {folder.path}: {error.strerror}") from error
    try:
        end_leftovers(folder.load_processes())  # before ports are chosen: they may still hold them
        with PortClaims(settings.host) as claims:
            return await _run_on(settings, folder, claims, stop, started_at)
    finally:
        os.close(lock)


async def _run_on(
    settings: LocalSettings, folder: DataFolder, claims: PortClaims, stop: "asyncio.Queue[None]", started_at: float
) -> int:
    """Run on ports that are chosen anew where another program took one between its choice and its use."""
    lost: list[int] = []
    console: Console | None = None
    try:
        while True:
            ports = choose_ports(os.environ, folder.load_ports(), claims, lost)
            folder.save_ports(ports)
            stack = Stack(settings, folder, ports, folder.load_secrets(), console := console or Console())
            stack.environments.check()
            for line in misspelt_settings(os.environ) if not lost else ():
                console.announce(line)
            try:
                return await _supervise(settings, stack, console, stop, started_at)
            except PortLostError as error:
                lost.append(error.port)
                if len(lost) > _MAX_LOST_PORTS:
                    raise PortError(f"{error}, as others before it") from None
                console.announce(f"{error}: choosing again")
                for port in ports.values():
                    claims.release(port)
    finally:
        if console is not None:
            console.close()


async def _supervise(
    settings: LocalSettings, stack: Stack, console: Console, stop: "asyncio.Queue[None]", started_at: float
) -> int:
    starting = asyncio.create_task(stack.start(), name="start")
    stopping = asyncio.create_task(stop.get(), name="stop")
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return 0
        failure = _failure(starting)  # raises PortLostError
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
        is_asked = stopping.done() and not stopping.cancelled()
        if is_asked:
            console.announce("stopping (again to stop at once)")
        await _stop(stack, stop)
        if is_asked:
            console.announce("stopped")


def _failure(starting: "asyncio.Task[None]") -> str | None:
    """Why the start failed, in one line; an error that nobody foresaw is raised."""
    error = starting.exception()
    match error:
        case None:
            return None
        case ProgramError() | DataFolderError():
            return str(error)
        case OSError():
            return _system_reason(error)
        case _:
            raise error


def _system_reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


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
    """Each signal that asks for a stop, and the end of the terminal; `nohup` has SIGHUP ignored, and stays right."""
    requests: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    survives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in _SIGNALS:
        if number is not signal.SIGHUP or not survives_terminal:
            loop.add_signal_handler(number, requests.put_nowait, None)
    # A terminal that closes tells the leader of its session. That is `make` where a terminal was opened for it alone,
    # which then waits for us and passes nothing on.
    if not survives_terminal and os.isatty(0) and os.getsid(0) == os.getppid():
        loop.call_later(_TERMINAL_POLL_SECONDS, _look_at_terminal, loop, requests)
    return requests


def _look_at_terminal(loop: asyncio.AbstractEventLoop, requests: "asyncio.Queue[None]") -> None:
    terminal = select.poll()
    terminal.register(0, 0)  # no event is asked for: a hang-up is told all the same
    if terminal.poll(0):
        requests.put_nowait(None)
    else:
        loop.call_later(_TERMINAL_POLL_SECONDS, _look_at_terminal, loop, requests)
