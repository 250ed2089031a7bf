"""Whatever happens to many calls at once, each granted hold gets exactly one record, and no id gets two."""

import asyncio
import json
from collections import Counter
from random import Random

from contracts.errors import RefusalCode
from contracts.reservations import ReserveAnswer, ReserveRequest

from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import Connection, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger, grant, refuse
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
    usage_chunk,
)
from tests.support.eventually import eventually

CALLS = 400


async def moody_upstream(request: Request, responder: Responder) -> None:
    """Fails, hangs up, breaks off, dawdles or answers, as the request's user says."""
    random = Random(request.json["user"])
    mood = random.choice(["error", "hang up", "break", "silent", "whole", "whole", "stream", "stream"])
    if mood == "error":
        await responder.reply(random.choice([400, 429, 500]), {"error": {"message": mood}})
    elif mood == "hang up":
        responder.writer.close()
    elif mood == "silent":
        await asyncio.wait_for(responder.closed.wait(), 5)
        responder.writer.close()
    elif mood == "whole":
        await responder.reply(200, completion())
    else:
        await responder.start_stream()
        for _ in range(random.randrange(20)):
            await responder.event(chunk("word "))
            await asyncio.sleep(random.random() / 100)
        if mood == "break":
            responder.writer.close()
            return
        await responder.event(usage_chunk())
        await responder.end_stream()


class MoodyLedger:
    """Grants, refuses, is busy or loses its answers; remembers which holds stand."""

    def __init__(self) -> None:
        self.granted: set[str] = set()
        self._random = Random(4)

    def __call__(self, reserve: ReserveRequest) -> ReserveAnswer | None:
        if reserve.reservation_id not in self.granted:
            mood = self._random.choice(["grant"] * 7 + ["refuse", "busy", "lost before"])
            if mood == "refuse":
                return refuse(RefusalCode.ACCOUNT_BLOCKED)(reserve)
            if mood == "busy":
                return refuse(RefusalCode.BUSY)(reserve)
            if mood == "lost before":
                return None
        self.granted.add(reserve.reservation_id)
        return grant(reserve) if self._random.random() < 0.9 else None


async def hasty_client(port: int, number: int) -> None:
    """Sends a call, and leaves at some moment or stays until its end."""
    random = Random(number)
    connection = await Connection.open(port)
    try:
        body = chat(f"call {number}", user=str(number), stream=random.random() < 0.7)
        async with asyncio.timeout(random.choice([0.01, 0.05, 0.1, 1, 1, 2])):
            await connection.send(body, path="/v1/chat/completions")
            await connection.read_reply()
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        connection.leave()


async def test_each_hold_of_many_troubled_calls_ends_exactly_once(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = moody_upstream
    ledger.decide = moody = MoodyLedger()
    for start in range(0, CALLS, 100):
        await asyncio.gather(*(hasty_client(gateway.port, number) for number in range(start, start + 100)))

    def recorded() -> Counter[str]:
        lines = [line for path in gateway.journal.glob("*.jsonl") for line in path.read_text().splitlines()]
        return Counter(json.loads(line)["data"]["reservation_id"] for line in lines)

    await eventually(lambda: moody.granted <= set(recorded()), 15)
    assert len(moody.granted) > CALLS / 2
    assert set(recorded().values()) == {1}
    assert set(recorded()) <= {reserve.reservation_id for reserve in ledger.reserves}
    await eventually(lambda: moody.granted <= {event.data.reservation_id for event in ledger.usage})
    ends = Counter(event.data.outcome for event in ledger.usage)
    assert len(ends) == 5
