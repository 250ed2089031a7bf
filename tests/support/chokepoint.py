"""Stands between a program and a server, and does something at a step of theirs: where its bytes pass."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from local_run.ports import any_free

CHUNK: Final = 256 * 1024


@dataclass
class Chokepoint:
    """`arm` has `act` called once, when the client has sent what is in `steps`, one after the other.

    The server takes the last of them and answers, and the answer never comes. While it is `cut`, nobody gets through.
    `reached` is set when the last step was.
    """

    port: int
    server_host: str
    server_port: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _steps: list[bytes] = field(default_factory=list)
    _act: Callable[[], None] | None = None
    _is_cut: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def arm(self, *steps: bytes, act: Callable[[], None]) -> None:
        self.reached.clear()
        self._steps, self._act = list(steps), act

    def cut(self) -> None:
        """End every connection, and let none through until `restore`."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def restore(self) -> None:
        self._is_cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._is_cut:
                return
            upstream_reader, upstream = await asyncio.open_connection(self.server_host, self.server_port)
        except OSError:
            return
        else:
            await _Connection(self).forward_both(reader, writer, upstream_reader, upstream)
        finally:
            writer.transport.abort()

    def is_last_step(self, chunk: bytes) -> bool:
        if not self._steps or self._steps[0] not in chunk:
            return False
        self._steps.pop(0)
        return not self._steps

    def take_step(self) -> None:
        act, self._act = self._act, None
        assert act is not None
        act()
        self.reached.set()


class _Connection:
    """One of the client's, with its own to the server."""

    def __init__(self, point: Chokepoint) -> None:
        self._point = point
        self._is_mute = False

    async def forward_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> None:
        self._point._writers |= {writer, upstream}
        try:
            await asyncio.gather(self._there(reader, upstream), self._back(upstream_reader, writer))
        finally:
            self._point._writers -= {writer, upstream}
            upstream.transport.abort()

    async def _there(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                self._is_mute = self._is_mute or self._point.is_last_step(chunk)
                upstream.write(chunk)
                await upstream.drain()
        with contextlib.suppress(OSError, RuntimeError):
            upstream.write_eof()

    async def _back(self, upstream_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await upstream_reader.read(CHUNK):
                if self._is_mute:
                    self._point.take_step()
                    return
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()


@contextlib.asynccontextmanager
async def chokepoint(server_host: str, server_port: int) -> AsyncIterator[Chokepoint]:
    """One for the block, on a free port of this machine."""
    point = Chokepoint(port=any_free(), server_host=server_host, server_port=server_port)
    server = await asyncio.start_server(point.serve, "127.0.0.1", point.port)
    try:
        yield point
    finally:
        point.cut()
        server.close()
