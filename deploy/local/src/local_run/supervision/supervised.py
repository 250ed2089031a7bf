"""Keeps one program running: starts it again when it dies, with a bounded wait, for ever."""

import asyncio
import os
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Final

from chassis.backoff import Backoff

from local_run.supervision import process
from local_run.supervision.process import Program

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 5.0
STEADY_AFTER_SECONDS: Final = 10.0
_MAX_LINE_BYTES: Final = 256 * 1024


class Supervised:
    """One program and its present process.

    `on_line` gets each line of output without its end, `on_change` is called when the pid changes; neither can fail.
    `prepare` runs before every start and may raise OSError: then the start is tried again.
    """

    def __init__(
        self,
        program: Program,
        *,
        on_line: Callable[[str, bytes], None],
        on_change: Callable[[], None],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.program = program
        self._on_line = on_line
        self._on_change = on_change
        self._prepare = prepare
        self._process: Process | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Pid of the process that runs now."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> Process:
        """Start the program and keep it running from now on; returns its first process."""
        first = await self._start_once()
        self._task = asyncio.create_task(self._keep_running(first), name=f"keep-{self.program.name}")
        return first

    def let_go(self) -> None:
        """Don't start it again from now on."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self, timeout_seconds: float) -> None:
        """End the program and don't start it again; it is killed when it takes longer."""
        self.let_go()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)  # however it ended, the process must end too
        if self._process is not None:
            await process.stop(self._process, self.program, timeout_seconds)
        self._on_change()
        for reader in tuple(self._readers):
            reader.cancel()

    async def _keep_running(self, running: Process) -> None:
        backoff = Backoff(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)
        while True:
            started_at = time.monotonic()
            code = await running.wait()
            self._on_change()
            if time.monotonic() - started_at >= STEADY_AFTER_SECONDS:
                backoff.reset()
            self._say(f"ended with code {code}, starts again in {backoff.seconds:g} s")
            await backoff.pause()
            running = await self._start_again()

    async def _start_again(self) -> Process:
        while True:
            try:
                return await self._start_once()
            except OSError as error:  # no memory, no descriptors, a full disk: the machine may recover
                self._say(f"cannot be started ({error.strerror}), tried again in {LONGEST_WAIT_SECONDS:g} s")
                await asyncio.sleep(LONGEST_WAIT_SECONDS)

    async def _start_once(self) -> Process:
        if self._prepare is not None:
            self._prepare()
        # A pipe of our own, not asyncio's: with that one, wait() may last until the last heir of the pipe is gone.
        read_end, write_end = os.pipe()
        try:
            with os.fdopen(write_end, "wb") as output:
                self._process = await process.start(self.program, output=output)
        except OSError:
            os.close(read_end)
            raise
        reader = asyncio.create_task(self._read_lines(read_end), name=f"read-{self.program.name}")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        self._on_change()
        return self._process

    async def _read_lines(self, descriptor: int) -> None:
        stream = asyncio.StreamReader()
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )
        waiting = b""
        try:
            while chunk := await stream.read(65536):
                *lines, waiting = (waiting + chunk).split(b"\n")
                for line in lines:
                    self._on_line(self.program.name, line)
                if len(waiting) > _MAX_LINE_BYTES:
                    self._on_line(self.program.name, waiting)
                    waiting = b""
        finally:
            if waiting:
                self._on_line(self.program.name, waiting)
            transport.close()

    def _say(self, text: str) -> None:
        self._on_line(self.program.name, text.encode())
