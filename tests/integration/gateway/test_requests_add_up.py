"""Refused, served and failed is what was asked: any mix of requests at once, through gateway, stream and database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import asyncpg
import pytest_asyncio
from chassis.migrations import migrate
from chassis.provisioning import provision
from contracts.errors import RefusalCode
from contracts.reservations import Refused, ReserveAnswer, ReserveRequest
from contracts.topology import CONSUMERS, STREAMS

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import Connection, Reply, ask, chat
from tests.integration.gateway.scripted_ledger import FIGURES, ScriptedLedger, grant
from tests.integration.gateway.scripted_upstream import Request, Responder, ScriptedUpstream, polite
from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats
from tests.support.request_lines import storing

CODES: Final = ("insufficient_tokens", "account_suspended", "model_not_allowed", "rate_limited", "reservation_closed")
PATH: Final = "/v1/chat/completions"
REQUESTS: Final = 400
SEED: Final = 20_261_126
_COUNTED: Final = """
SELECT ending, coalesce(code, ''), count(*) FROM requests.log WHERE account_id = $1 GROUP BY 1, 2
"""
_REFUSED: Final = "SELECT code, sum(refusals)::bigint FROM requests.refusals WHERE account_id = $1 GROUP BY 1"


def by_model(reserve: ReserveRequest) -> ReserveAnswer | None:
    """A model's name says what becomes of its calls."""
    if reserve.model in CODES:
        refused = Refused(reservation_id=reserve.reservation_id, code=RefusalCode(reserve.model), figures=FIGURES)
        return ReserveAnswer(refused=refused)
    return grant(reserve)


async def upstream_by_model(request: Request, responder: Responder) -> None:
    match request.json["model"]:
        case "broken":
            await responder.reply(500, {"error": {"message": "no"}})
        case "cut":
            responder.writer.transport.abort()
        case _:
            await polite(request, responder)


async def leave(port: int, account: str) -> None:
    """Before the body is there."""
    connection = await Connection.open(port)
    await connection.send(b"{", {"x-user-id": account, "content-length": "999"}, path=PATH)
    connection.leave()


type Asking = Callable[[int, str], Awaitable[Reply | None]]


def asking(body: Any, **headers: str) -> Asking:
    return lambda port, account: ask(port, body, {"x-user-id": account, **headers})


ENDS: Final[dict[tuple[str, str], Asking]] = {
    ("served", ""): asking(chat()),
    ("served", " streamed"): asking(chat(stream=True)),
    ("refused", "invalid_request"): asking(b"{"),
    ("refused", "invalid_request too large"): asking(b"x" * (2**20 + 1)),
    ("refused", "invalid_request field"): asking(chat(fallbacks=["x"])),
    ("failed", "upstream_error"): asking(chat(model="broken")),
    ("failed", "upstream_unreachable"): asking(chat(model="cut")),
    ("failed", "client_left"): leave,
    **{("refused", code): asking(chat(model=code)) for code in CODES[:-1]},
    **{
        ("refused", f"{code} in the chat"): asking(chat(model=code, stream=True), **{"x-solaris-notices": "chat"})
        for code in CODES[:-1]
    },
    ("refused", "ledger_unavailable"): asking(chat(model="reservation_closed")),
    ("none", "nobody"): lambda port, _: ask(port, chat(), {"x-user-id": None}),
    ("none", "no key"): lambda port, account: ask(port, chat(), {"x-user-id": account, "authorization": None}),
}
"""How a request ends in the log, and how it is asked; what stands behind a blank tells two of one end apart."""


@pytest_asyncio.fixture
async def gateway(
    tmp_path: Path, nats_url: str, module_ledger: ScriptedLedger, module_upstream: ScriptedUpstream
) -> AsyncIterator[GatewayProcess]:
    module_ledger.decide, module_upstream.handle = by_model, upstream_by_model
    async with running_gateway(tmp_path, nats_url, module_upstream.url, max_body_bytes=str(2**20)) as process:
        yield process


async def test_refused_and_served_and_failed_is_what_was_asked(
    gateway: GatewayProcess, nats_url: str, database_url: str
) -> None:
    await migrate(database_url, "ledger")
    random = Random(SEED)
    drawn = [random.choice(list(ENDS)) for _ in range(REQUESTS)]
    accounts = [f"person-{random.randrange(9)}" for _ in drawn]
    connection = await asyncpg.connect(database_url)
    try:
        async with core_nats(nats_url) as core, storing(database_url, core), storing(database_url, core):
            await provision(core, STREAMS, CONSUMERS)
            gate = asyncio.Semaphore(16)

            async def make(end: tuple[str, str], account: str) -> None:
                async with gate:
                    await ENDS[end](gateway.port, account)

            await asyncio.gather(*(make(end, account) for end, account in zip(drawn, accounts, strict=True)))
            expected = {account: Counter[tuple[str, str]]() for account in accounts}
            for (ending, code), account in zip(drawn, accounts, strict=True):
                if ending != "none":
                    expected[account][ending, code.partition(" ")[0]] += 1

            async def all_told() -> None:
                for account, counts in expected.items():
                    rows = await connection.fetch(_COUNTED, account)
                    assert {(row[0], row[1]): row[2] for row in rows} == counts

            async def are_told() -> bool:
                await all_told()
                return True

            await eventually(are_told, 20, message="each request is one line")
            # A gateway that is stopped, and all that is told a second time, add nothing.
            gateway.terminate()
            await asyncio.wait_for(gateway.process.wait(), 15)
        await all_told()
        for account, counts in expected.items():
            refused = {code: number for (ending, code), number in counts.items() if ending == "refused"}
            assert {row[0]: row[1] for row in await connection.fetch(_REFUSED, account)} == refused
    finally:
        await connection.close()
