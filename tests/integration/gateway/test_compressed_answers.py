"""Compressed answers are decoded as they come, and never beyond their bound."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it has no type hints
import pytest

from tests.integration.gateway.answer_case import (
    JSON,
    NONE,
    PATH,
    PROVIDER,
    STREAM,
    USAGE_30,
    Case,
    answered,
    data,
    spoken,
    tokens,
)
from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
    usage_chunk,
)


def zstandard(body: bytes) -> bytes:
    # One raw block in a frame of one segment (RFC 8878, 3.1.1), so that the test needs no library of its own.
    assert len(body) < 2**16
    size = (len(body) - 256).to_bytes(2, "little")
    return b"\x28\xb5\x2f\xfd\x60" + size + ((len(body) << 3) | 1).to_bytes(3, "little") + body


def raw_deflate(body: bytes) -> bytes:
    squeezed = zlib.compressobj(wbits=-15)
    return squeezed.compress(body) + squeezed.flush()


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw_deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_compressed_answer_is_decoded(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, encoding: str, stream: bool
) -> None:
    name, compress = ENCODINGS[encoding]
    plain = (
        spoken(usage_chunk(USAGE_30))
        if stream
        else json.dumps(completion("one two three " * 20, usage=USAGE_30)).encode()
    )
    case = Case(
        name=encoding,
        body=compress(plain),
        source=PROVIDER,
        stream=stream,
        content_type=STREAM if stream else JSON,
        headers=(f"content-encoding: {name}",),
    )
    reply = await answered(gateway, upstream, case)
    assert "content-encoding" not in reply.headers
    assert reply.text == "one two three" if stream else reply.body == plain
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage, record.usage_source) == (tokens(20, 10), PROVIDER)


async def test_compressed_stream_is_relayed_as_it_comes(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Event()

    async def waits(request: Request, responder: Responder) -> None:
        squeezed = zlib.compressobj(wbits=31)
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
        responder.writer.write(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
        await responder.raw(squeezed.compress(data(chunk("first"))) + squeezed.flush(zlib.Z_SYNC_FLUSH))
        await asyncio.wait_for(go_on.wait(), 10)
        await responder.raw(squeezed.compress(data(usage_chunk(USAGE_30)) + data("[DONE]")) + squeezed.flush())
        await responder.end_stream(done=False)

    upstream.handle = waits
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path=PATH)
    head = await connection.read_head()
    assert b"first" in await asyncio.wait_for(connection.read_chunk(), 5)
    go_on.set()
    while await asyncio.wait_for(connection.read_chunk(), 5):
        pass
    connection.leave()
    assert (await ledger.record_of(head.headers["x-solaris-request-id"])).usage == tokens(20, 10)


async def test_unfolding_bomb_is_an_error_and_not_kept(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    bomb = gzip.compress(b" " * (100 * 2**20))
    case = Case(name="", body=bomb, source=NONE, stream=False, content_type=JSON, headers=("content-encoding: gzip",))
    reply = await answered(gateway, upstream, case)
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage_source is NONE
    upstream.reset()
    assert (await ask(gateway.port, chat())).status == 200
