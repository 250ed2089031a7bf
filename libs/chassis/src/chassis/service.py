"""Runs a service: settings, logs and health, then its parts in their order, until a signal or a part that ends."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
import uvloop
from starlette.types import ASGIApp

from chassis.health import Check, health_app
from chassis.logging import configure_logging
from chassis.server import serve
from chassis.settings import ServiceSettings, SettingsError

log = structlog.get_logger()

CANCELLED_SECONDS: Final = 2.0
"""What a loop has to end in once it is cancelled: a driver may hold on to it while its database is frozen."""


type Loop = Callable[[], Coroutine[Any, Any, None]]


class Work:
    """Loops that run beside the other parts and end together; where one ends unasked, the whole service stops.

    They are cancelled at the end. With a `stop` they are asked to end, and cancelled once `shutdown_seconds` are over.
    """

    def __init__(self, *loops: Loop, stop: Callable[[], None] | None = None) -> None:
        self.loops = loops
        self.stop = stop


type Part = AbstractAsyncContextManager[object] | Work


class WorkEndedError(Exception):
    """A loop that runs as long as its service has ended without a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a service is made of. Its parts are entered in their order and left in reverse.

    `checks` tell readiness and `notes` what an operator should know besides. They are answered from before the first
    part is entered until the last is left, so that a part that can't be entered is named. A service that has requests
    to serve makes an edge of the app that answers about health: it is the last part, since requests need the others.
    """

    settings: ServiceSettings
    port: int
    parts: Sequence[Part]
    checks: Mapping[str, Check]
    notes: Mapping[str, Check] = field(default_factory=dict)
    edge: Callable[[ASGIApp], Part] | None = None


def run[Settings: ServiceSettings](
    name: str, settings_class: type[Settings], assemble: Callable[[Settings], Service]
) -> None:
    """What a service's main calls: read the settings, assemble the service in the event loop, run it until a signal.

    Raises:
        SystemExit: the settings, or what they name, can't be used; the message is one line.
    """
    settings = settings_class.load()
    configure_logging(name, settings.log_level)

    async def run_until_signal() -> None:
        stop = stop_signal()
        await run_until(stop, assemble(settings))

    try:
        uvloop.run(run_until_signal())
    except SettingsError as error:
        raise SystemExit(f"cannot start: {error}") from None


async def run_until(stop: asyncio.Event, service: Service) -> None:
    """Enter the parts, wait for `stop`, leave the parts; what keeps a part from being entered for ever ends too.

    Sets `stop` itself when a part fails or a loop ends.

    Raises:
        Exception: whatever a part raised, a loop included.
        WorkEndedError: a loop ended unasked.
    """
    settings = service.settings
    health = health_app(settings, service.checks, service.notes, stopping=stop.is_set)
    if service.edge is None:
        parts = [serve(health, settings.host, service.port), *service.parts]
    else:
        parts = [*service.parts, service.edge(health)]
    crew = _Crew(stop, settings.shutdown_seconds)
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with _interrupted_by(stop):
                for part in parts:
                    await stack.enter_async_context(crew.working(part) if isinstance(part, Work) else part)
                _settle_memory()
                log.info("service_ready", port=service.port)
            await stop.wait()
        finally:
            crew.end()
            log.info("service_stopping")
    log.info("service_stopped")


def stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


class _Crew:
    """The loops of one service, each part of them ended when its turn comes."""

    def __init__(self, stop: asyncio.Event, shutdown_seconds: float) -> None:
        self._stop = stop
        self._shutdown_seconds = shutdown_seconds
        self._ends_at = 0.0

    def end(self) -> None:
        """From now on they have `shutdown_seconds`, all in all."""
        self._stop.set()
        self._ends_at = asyncio.get_running_loop().time() + self._shutdown_seconds

    @contextlib.asynccontextmanager
    async def working(self, work: Work) -> AsyncIterator[None]:
        """Run the loops beside the block."""
        tasks = [self._start(loop) for loop in work.loops]
        try:
            yield
        finally:
            unasked = [task for task in tasks if task.done()]
            await self._have_ended(tasks, work.stop)
            for task in (*unasked, *tasks):
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            if unasked:
                raise WorkEndedError(unasked[0].get_name())

    def _start(self, loop: Loop) -> asyncio.Task[None]:
        coroutine = loop()
        task = asyncio.create_task(coroutine, name=getattr(coroutine, "__qualname__", None))
        task.add_done_callback(self._notice_end)
        return task

    def _notice_end(self, task: asyncio.Task[None]) -> None:
        if not self._stop.is_set():
            log.error("work_ended", work=task.get_name())
            self._stop.set()

    async def _have_ended(self, tasks: Sequence[asyncio.Task[None]], ask: Callable[[], None] | None) -> None:
        if ask is not None:
            ask()
            left_seconds = max(0.0, self._ends_at - asyncio.get_running_loop().time())
            _, late = await asyncio.wait(tasks, timeout=left_seconds)
            for task in late:
                log.warning("work_cancelled", work=task.get_name())
        for task in tasks:
            task.cancel()
        _, held = await asyncio.wait(tasks, timeout=CANCELLED_SECONDS)
        for task in held:
            log.error("work_abandoned", work=task.get_name())


@contextlib.asynccontextmanager
async def _interrupted_by(stop: asyncio.Event) -> AsyncIterator[None]:
    """The block, or what is done of it once `stop` is set."""

    def interrupt(_: asyncio.Task[bool]) -> None:
        with contextlib.suppress(RuntimeError):  # the block has ended meanwhile
            bound.reschedule(0)

    try:
        async with asyncio.timeout(None) as bound:
            waiting = asyncio.create_task(stop.wait())
            waiting.add_done_callback(interrupt)
            try:
                yield
            finally:
                waiting.cancel()
    except TimeoutError:
        if not bound.expired():
            raise


def _settle_memory() -> None:
    """What the imports made stays for good, so collections need not walk it.

    Requests leave next to no cycles behind; a full collection every few hundred of them would only cost latency.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
