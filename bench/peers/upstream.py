"""`python -m bench.peers.upstream --port N`: an OpenAI-compatible server so cheap that it is nobody's bottleneck.

Each chunk of a stream is a write of its own. A request's `seed`, a field that every peer forwards, is the pause between
two chunks in milliseconds; without it they follow each other as fast as the event loop turns.
"""

import argparse
import asyncio
from typing import Final, cast

import httptools
import msgspec
import uvloop

from bench.load.answers import (
    CHUNKS_PER_STREAM,
    MODEL,
    json_answer,
    stream_chunks,
    stream_head,
    stream_tail,
    whole_answer,
)

_WHOLE: Final = whole_answer()
_CHUNKS: Final = stream_chunks()
_HEAD_AND_FIRST: Final = stream_head() + _CHUNKS[0]
_TAIL: Final = stream_tail(with_usage=False)
_TAIL_WITH_USAGE: Final = stream_tail(with_usage=True)
_MODELS: Final = json_answer(200, "OK", b'{"object":"list","data":[{"id":"%b","object":"model"}]}' % MODEL.encode())
_NOT_FOUND: Final = json_answer(404, "Not Found", b'{"error":{"message":"not found"}}')


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Request(msgspec.Struct):
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    seed: int | None = None


_decode: Final = msgspec.json.Decoder(_Request).decode


class UpstreamProtocol(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._body: list[bytes] = []
        self._chunks_left = 0
        self._tail = b""
        self._pause_seconds = 0.0
        self._writable = True
        self._held_up = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # a stream server's transport always is one

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.abort()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._held_up:
            self._held_up = False
            self._loop.call_soon(self._write_chunk)

    def on_message_begin(self) -> None:
        self._url = b""
        self._body.clear()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        assert self._transport is not None
        if self._parser.get_method() == b"GET":
            self._transport.write(_MODELS if self._url.endswith(b"/models") else _NOT_FOUND)
            if not self._parser.should_keep_alive():
                self._transport.close()
            return
        request = _decode(b"".join(self._body))
        if not request.stream:
            self._transport.write(_WHOLE)
            return
        asks_for_usage = request.stream_options is not None and request.stream_options.include_usage
        self._tail = _TAIL_WITH_USAGE if asks_for_usage else _TAIL
        self._pause_seconds = (request.seed or 0) / 1_000
        self._chunks_left = CHUNKS_PER_STREAM - 1
        self._transport.write(_HEAD_AND_FIRST)
        self._schedule()

    def _schedule(self) -> None:
        if self._pause_seconds:
            self._loop.call_later(self._pause_seconds, self._write_chunk)
        elif self._writable:
            self._loop.call_soon(self._write_chunk)
        else:
            self._held_up = True

    def _write_chunk(self) -> None:
        if self._transport is None:
            return
        if self._chunks_left == 0:
            self._transport.write(self._tail)
            return
        self._chunks_left -= 1
        self._transport.write(_CHUNKS[-1 - self._chunks_left])
        self._schedule()


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(UpstreamProtocol, "127.0.0.1", port, backlog=2_048)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
