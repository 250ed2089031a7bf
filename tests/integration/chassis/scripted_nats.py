"""A server that misbehaves as a test tells it, where a real one can't be made to."""

import asyncio
import contextlib
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from local_run.ports import LOOPBACK

INFO = {"server_name": "scripted", "max_payload": 1_048_576, "headers": True}


@dataclass
class Visit:
    """One connection of a client; `heard` is every line it sent."""

    reader: StreamReader
    writer: StreamWriter
    heard: list[bytes] = field(default_factory=list)

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self, beginning: bytes) -> bytes:
        """Read on to a line that begins so.

        Raises:
            ConnectionError: the client has gone.
        """
        while True:
            line = await self.reader.readline()
            if not line:
                raise ConnectionResetError
            self.heard.append(line)
            if line.startswith(beginning):
                return line

    async def greet(self, **info: object) -> None:
        """What any client meets until it is logged in."""
        self.say(b"INFO %b\r\n" % json.dumps(INFO | info).encode())
        await self.hear(b"CONNECT ")
        await self.hear(b"PING")
        self.say(b"PONG\r\n")

    async def answer_pings(self) -> None:
        """Hear the client out, and answer nothing but its pings."""
        while True:
            await self.hear(b"PING")
            self.say(b"PONG\r\n")


@dataclass
class ScriptedNats:
    """`visits` in the order they came, with the event loop's time of each."""

    port: int = 0
    visits: list[Visit] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"nats://scripted:password@{LOOPBACK}:{self.port}"


@contextlib.asynccontextmanager
async def scripted_nats(talk: Callable[[int, Visit], Awaitable[None]]) -> AsyncIterator[ScriptedNats]:
    """Each connection is `talk`'s, who gets its number, from 0, and is closed when `talk` returns."""
    scripted = ScriptedNats()
    talks: set[asyncio.Task[object]] = set()

    async def visit(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "start_server makes a task of each"
        talks.add(task)
        scripted.visits.append(made := Visit(reader, writer))
        scripted.times.append(asyncio.get_running_loop().time())
        try:
            with contextlib.suppress(ConnectionError):
                await talk(len(scripted.visits) - 1, made)
        finally:
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(visit, LOOPBACK, 0)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
