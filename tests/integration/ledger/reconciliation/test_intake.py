"""What LiteLLM posts to the projector is believed by its key alone, bounded, and stored once before it is answered."""

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest_asyncio
from ledger.projector.litellm_intake import MAX_BYTES, PATH

from tests.support.litellm_payloads import payload
from tests.support.projecting import ProjectorProcess, projector_process

KEY: Final = "a-key-of-litellm-alone-4711"


@pytest_asyncio.fixture(scope="module")
async def projector(ledger_url: str) -> AsyncIterator[ProjectorProcess]:
    """With the rights that it has in production."""
    environment = {"SOLARIS_LITELLM_CALLBACK_KEYS": KEY}
    async with projector_process(f"{ledger_url}?role=solaris_projector", environment=environment) as started:
        yield started


async def post(
    projector: ProjectorProcess, body: object, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"http://127.0.0.1:{projector.port}{PATH}"
    known = {"content-type": "application/json", **({"x-api-key": KEY} if headers is None else headers)}

    def send() -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, encoded, known), timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    return await asyncio.to_thread(send)


def announced(projector: ProjectorProcess, size: int) -> int:
    """The answer to a body of which only the size is told yet."""
    connection = http.client.HTTPConnection("127.0.0.1", projector.port, timeout=30)
    connection.putrequest("POST", PATH)
    connection.putheader("x-api-key", KEY)
    connection.putheader("content-length", str(size))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


async def known_calls(connection: asyncpg.Connection, prefix: str) -> list[str]:
    rows = await connection.fetch("SELECT call_id FROM reconciliation.calls WHERE call_id LIKE $1", f"{prefix}%")
    return sorted(row[0] for row in rows)


async def test_whoever_has_no_key_of_its_own_tells_nothing(
    projector: ProjectorProcess, connection: asyncpg.Connection
) -> None:
    forged = [payload("forged-1")]
    for headers in ({}, {"x-api-key": "sk-solaris-dev"}, {"authorization": f"Basic {KEY}"}, {"x-api-key": KEY + "x"}):
        assert (await post(projector, forged, headers))[0] == 401
    assert await known_calls(connection, "forged") == []
    status, _ = await post(projector, [payload("believed-1")], {"authorization": f"Bearer {KEY}"})
    assert (status, await known_calls(connection, "believed")) == (200, ["believed-1"])


async def test_calls_that_are_delivered_twice_late_and_out_of_order_count_once(
    projector: ProjectorProcess, connection: asyncpg.Connection
) -> None:
    now = datetime.now(UTC)
    batch = [payload(f"once-{number}", started_at=now - timedelta(days=number)) for number in range(5)]
    first = await post(projector, batch[2:])
    assert first == (200, {"stored": 3, "repeated": 0, "refused": 0})
    answers = await asyncio.gather(*(post(projector, batch[::step]) for step in (1, -1, 1, -1)))
    assert {status for status, _ in answers} == {200}
    assert sum(counts["stored"] for _, counts in answers) == 2
    assert await known_calls(connection, "once") == [f"once-{number}" for number in range(5)]


async def test_large_batches_that_have_calls_in_common_never_wait_for_each_other_in_a_circle(
    projector: ProjectorProcess,
) -> None:
    for turn in range(3):
        batch = [payload(f"circle-{turn}-{number}") for number in range(4_000)]
        answers = await asyncio.gather(post(projector, batch), post(projector, batch[2_000:] + batch[:2_000]))
        assert [status for status, _ in answers] == [200, 200]
        assert sum(counts["stored"] for _, counts in answers) == len(batch)


async def test_what_can_not_be_read_takes_nothing_from_the_rest_of_its_batch(
    projector: ProjectorProcess, connection: asyncpg.Connection
) -> None:
    odd = [
        payload("odd-1"),
        payload("odd-2", prompt_tokens=-5),
        payload("odd-3", response_cost=float("nan")),
        payload("odd-4", model_group="nul\x00", end_user="nul\x00"),
        None,
        payload("odd-5", startTime=1.0),
    ]
    assert await post(projector, odd) == (200, {"stored": 2, "repeated": 0, "refused": 4})
    assert await known_calls(connection, "odd") == ["odd-1", "odd-4"]


async def test_what_is_too_large_or_nothing_is_refused_and_the_projector_goes_on(projector: ProjectorProcess) -> None:
    assert await asyncio.to_thread(announced, projector, MAX_BYTES + 1) == 413
    assert (await post(projector, b""))[0] == 400
    assert (await post(projector, b"[1,"))[0] == 400
    assert (await post(projector, b"[]", {"x-api-key": KEY, "content-encoding": "gzip"}))[0] == 415
    many = [payload(f"many-{number}", prompt=9) for number in range(2_000)]
    assert await post(projector, many) == (200, {"stored": 2_000, "repeated": 0, "refused": 0})
    assert await projector.is_live()
    status, metrics = await projector.fetch("/metrics")
    assert status == 200
    assert 'solaris_reconciliation_told_calls_total{result="stored"}' in metrics
