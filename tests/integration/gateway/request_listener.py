"""Hears the lines of the request log that gateways publish."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import nats
from contracts.requests import RequestEnded
from contracts.subjects import REQUESTS_ENDED
from nats.aio.msg import Msg

from tests.support.eventually import eventually

_decode = msgspec.json.Decoder(RequestEnded).decode


class RequestListener:
    """`lines` by their account, each as often as it was told."""

    def __init__(self) -> None:
        self.lines: dict[str, list[RequestEnded]] = {}

    async def hear(self, message: Msg) -> None:
        lines = [_decode(line) for line in message.data.split(b"\n")]
        assert (message.headers or {})["Nats-Msg-Id"] == lines[0].request_id
        for line in lines:
            self.lines.setdefault(line.account_id, []).append(line)

    async def of(self, account_id: str, number: int = 1) -> list[RequestEnded]:
        """All lines of an account once there are so many; fails where there are more."""
        await eventually(lambda: len(self.lines.get(account_id, ())) >= number, message=f"lines of {account_id}")
        lines = self.lines[account_id]
        assert len(lines) == number
        return lines

    async def one_of(self, account_id: str) -> RequestEnded:
        (line,) = await self.of(account_id)
        return line


@asynccontextmanager
async def listening(nats_url: str) -> AsyncIterator[RequestListener]:
    listener = RequestListener()
    client = await nats.connect(nats_url)
    try:
        await client.subscribe(REQUESTS_ENDED, cb=listener.hear)
        await client.flush()
        yield listener
    finally:
        await client.close()
