"""What a client may do to a connection, and what becomes of the call on it."""

import asyncio
from pathlib import Path

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import Request, Responder, ScriptedUpstream, completion

PATH = "/v1/chat/completions"


async def test_a_pipelined_call_is_not_taken_for_an_idle_connection(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    """Two calls sent at once; while the second is served, more connections come than there is room for."""
    second_waits = asyncio.Event()
    go_on = asyncio.Event()

    async def handle(request: Request, responder: Responder) -> None:
        if "second" in request.body.decode():
            second_waits.set()
            await go_on.wait()
        await responder.reply(200, completion())

    upstream.handle = handle
    async with running_gateway(tmp_path / "few", nats_url, upstream.url, descriptors="256") as gateway:
        connection = await Connection.open(gateway.port)
        await connection.send(chat("first"), path=PATH)
        await connection.send(chat("second"), path=PATH)
        assert (await connection.read_reply()).status == 200
        await second_waits.wait()
        silent = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(300)]
        try:
            go_on.set()
            assert (await connection.read_reply()).status == 200
        finally:
            for _, writer in silent:
                writer.close()


async def test_a_head_beyond_the_bound_is_refused_also_where_it_comes_whole(gateway: GatewayProcess) -> None:
    large = {f"x-padding-{number}": "a" * 4_000 for number in range(20)}
    reply = await ask(gateway.port, chat(), large)
    assert reply.status == 400
    assert reply.error["code"] == "invalid_request"
    just_right = {f"x-padding-{number}": "a" * 4_000 for number in range(15)}
    assert (await ask(gateway.port, chat(), just_right)).status == 200


async def test_an_offer_to_upgrade_is_passed_over_without_a_word(gateway: GatewayProcess) -> None:
    """As Java's client offers HTTP/2 with each call, and anybody may offer a web socket."""
    before = gateway.log
    for protocol in ("h2c", "websocket"):
        reply = await ask(gateway.port, chat(), {"connection": "upgrade", "upgrade": protocol})
        assert reply.status == 200
    assert "pgrade" not in gateway.log[len(before) :]
