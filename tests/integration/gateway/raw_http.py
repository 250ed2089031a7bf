"""A client that speaks HTTP by hand: it can leave, dawdle and send nonsense."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self

KEY = "sk-solaris-dev"


@dataclass
class Reply:
    """`body` without the transfer coding."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        return error

    @property
    def events(self) -> list[Any]:
        """The decoded data of each event, `[DONE]` as it is."""
        lines = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    @property
    def text(self) -> str:
        """What the chunks of a streamed answer say."""
        chunks = [event for event in self.events if event != "[DONE]" and event.get("choices")]
        return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


class Connection:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        return cls(reader, writer)

    async def send(
        self, body: bytes | dict[str, Any], headers: dict[str, str] | None = None, *, path: str, method: str = "POST"
    ) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        merged = {"authorization": f"Bearer {KEY}", "x-user-id": "ana", "content-length": str(len(payload))}
        merged |= headers or {}
        lines = [f"{method} {path} HTTP/1.1", "host: gateway"]
        lines += [f"{name}: {value}" for name, value in merged.items() if value is not None]
        self.writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + payload)
        await self.writer.drain()

    async def read_head(self) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in head[1:] if line)
        return Reply(int(head[0].split()[1]), {name.lower(): value.strip() for name, value in pairs})

    async def read_chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def read_reply(self) -> Reply:
        reply = await self.read_head()
        if reply.headers.get("transfer-encoding") == "chunked":
            while chunk := await self.read_chunk():
                reply.chunks.append(chunk)
            reply.body = b"".join(reply.chunks)
        else:
            reply.body = await self.reader.readexactly(int(reply.headers.get("content-length", "0")))
        return reply

    def leave(self) -> None:
        self.writer.transport.abort()


async def ask(
    port: int,
    body: bytes | dict[str, Any] = b"",
    headers: dict[str, Any] | None = None,
    *,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    timeout_seconds: float = 15,
) -> Reply:
    """One request on a connection of its own; a header given as None is left out."""
    async with asyncio.timeout(timeout_seconds):
        connection = await Connection.open(port)
        try:
            await connection.send(body, headers, path=path, method=method)
            return await connection.read_reply()
        finally:
            connection.leave()


def chat(text: str = "Say hello", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}
