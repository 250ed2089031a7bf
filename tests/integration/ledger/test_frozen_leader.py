"""A ledger frozen while it publishes: another takes over, nothing is passed over, and the thawed one does no harm."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta

from contracts import subjects
from contracts.codec import encode
from contracts.reservations import ReserveAnswer
from local_run.ports import any_free
from msgspec import json
from msgspec.structs import replace
from nats.errors import TimeoutError as NatsTimeoutError

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually
from tests.support.gateway_messages import reserve_request

_answer = json.Decoder(ReserveAnswer).decode


async def reserve_of_any(gateway: Conversation, account_id: str) -> None:
    """As a gateway does: whoever answers first."""
    request = reserve_request(account_id, prompt_tokens=1, maximum_output_tokens=1)
    for _ in range(20):
        repeated = replace(request, deadline=datetime.now(UTC) + timedelta(seconds=3))
        subject = f"{subjects.RESERVE_AGAIN_PREFIX}.{account_id}"
        try:
            reply = await gateway.client.request(subject, encode(repeated), timeout=1)
        except NatsTimeoutError:
            continue
        assert _answer(reply.data).granted is not None
        return
    raise AssertionError("nobody answered")


async def test_a_frozen_leader_is_followed_and_does_no_harm_when_it_thaws(
    gateway: Conversation, ledger: LedgerProcess
) -> None:
    second = LedgerProcess({**ledger.environment, "SOLARIS_LEDGER_PORT": str(any_free())}, ledger.client)
    assert ledger.process is not None
    jetstream = gateway.client.jetstream()

    async def caught_up() -> bool:
        stored = await gateway.database.fetch("SELECT id::text FROM ledger.events ORDER BY position")
        info = await jetstream.stream_info(subjects.LEDGER_STREAM)
        return info.state.messages >= len(stored) > 0

    await asyncio.gather(*(reserve_of_any(gateway, f"frozen-{number}") for number in range(10)))
    await eventually(caught_up, 20, message="the first leader publishes")
    # Frozen amid its work, as it may hold any of its connections in any state.
    working = [asyncio.create_task(reserve_of_any(gateway, f"frozen-{number}")) for number in range(100)]
    await second.start()
    ledger.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.gather(*working)
        await asyncio.gather(*(reserve_of_any(gateway, f"frozen-{number}") for number in range(20)))
        await eventually(caught_up, 20, message="another leads")
    finally:
        ledger.process.send_signal(signal.SIGCONT)
    await asyncio.gather(*(reserve_of_any(gateway, f"frozen-{number}") for number in range(200)))
    await eventually(caught_up, 20, message="one of both leads")

    stored = [row[0] for row in await gateway.database.fetch("SELECT id::text FROM ledger.events ORDER BY position")]
    subscription = await jetstream.pull_subscribe("solaris.ledger.>", stream=subjects.LEDGER_STREAM)
    published = [(message.headers or {})["Nats-Msg-Id"] for message in await subscription.fetch(10_000, timeout=2)]
    assert published == stored
    assert await second.stop() == 0
