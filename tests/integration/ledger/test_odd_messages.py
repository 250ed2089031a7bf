"""Messages that no gateway sends, and any client with its rights could: none stands in the way of the next."""

import json

import pytest
from contracts.codec import encode
from contracts.profiles import Profile
from msgspec.structs import replace
from nats.aio.msg import Msg

from tests.integration.ledger.conftest import Conversation
from tests.support.eventually import eventually


@pytest.mark.parametrize(
    ("token", "message_id", "payload"),
    [
        ("zero\0byte", "odd-1", b"{}"),
        ("plain", "zero\0byte", b"{}"),
        ("plain", "odd-2", b""),
        ("plain", "odd-3", b"\0"),
        ("plain", "i" * 4_000, b"\xff"),
        ("plain", "odd-4", b'{"id":"\xff"}'),
        ("plain", "odd-5", b'{"data":' + b"[" * 100_000),
    ],
)
async def test_an_odd_message_is_kept_and_the_next_is_settled(
    gateway: Conversation, token: str, message_id: str, payload: bytes
) -> None:
    before = await gateway.database.fetchval("SELECT count(*) FROM ledger.dead_letters")
    account_id = f"after-{before}"
    await gateway.client.jetstream().publish(
        f"solaris.usage.recorded.{token}", payload, headers={"Nats-Msg-Id": message_id}
    )
    await gateway.reserve(account_id, reservation_id=f"r-{account_id}")
    await gateway.record(account_id, f"r-{account_id}", prompt=7, completion=0)
    await gateway.settled(account_id, 7)

    async def kept() -> bool:
        return bool(await gateway.database.fetchval("SELECT count(*) FROM ledger.dead_letters") == before + 1)

    await eventually(kept)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b'{"model":"\xff"}', b'{"profile":' + b"[" * 100_000])
async def test_a_reserve_that_is_none_is_refused(gateway: Conversation, payload: bytes) -> None:
    answered = await gateway.client.request("solaris.rpc.ledger.reserve.odd", payload, timeout=5)
    assert json.loads(answered.data)["refused"]["code"] == "invalid_request"


async def test_a_reserve_whose_deadline_could_be_any_of_a_day_s_is_answered(gateway: Conversation) -> None:
    request = {
        "reservation_id": "r-naive",
        "account_id": "naive",
        "model": "gpt-4o",
        "endpoint": "/v1/chat/completions",
        "prompt_tokens": 1,
        "deadline": "2099-01-01T00:00:00",
    }
    answered = await gateway.client.request("solaris.rpc.ledger.reserve.naive", json.dumps(request).encode(), timeout=5)
    assert json.loads(answered.data)["refused"]["code"] == "invalid_request"


async def test_usage_that_began_at_no_certain_time_is_kept_as_a_dead_letter(gateway: Conversation) -> None:
    event = await gateway.record("began", "r-began", prompt=1)
    payload = encode(replace(event, id="naive-start"))
    naive = json.loads(payload)
    naive["data"]["started_at"] = "2026-03-10T12:00:00"
    await gateway.client.jetstream().publish(
        "solaris.usage.recorded.began", json.dumps(naive).encode(), headers={"Nats-Msg-Id": "naive-start"}
    )

    async def kept() -> bool:
        reason = await gateway.database.fetchval(
            "SELECT reason FROM ledger.dead_letters WHERE message_id = 'naive-start'"
        )
        return reason is not None and "started_at" in reason

    await eventually(kept)


async def test_a_name_that_postgres_can_t_keep_does_not_stand_in_the_way_of_the_next(gateway: Conversation) -> None:
    await gateway.reserve("zero", reservation_id="r-zero", profile=Profile(name="a\0b"))
    await gateway.reserve("next", reservation_id="r-next", profile=Profile(name="Ana"))

    async def stored() -> bool:
        name = await gateway.database.fetchval("SELECT name FROM ledger.profiles WHERE account_id = 'next'")
        return bool(name == "Ana")

    await eventually(stored)


async def test_an_event_of_a_newer_version_in_the_log_is_published_and_stops_nothing(gateway: Conversation) -> None:
    """As a rolling upgrade, or a rollback after one, leaves it there."""
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data.decode())

    await gateway.client.subscribe("solaris.ledger.usage_settled.newer", cb=hear)
    await gateway.database.execute(
        """
        INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash)
        VALUES ('newer', 1, gen_random_uuid(), 'solaris.ledger.usage_settled.v2', now(), '{"newer": true}', '')
        """
    )
    await eventually(lambda: heard == ['{"newer": true}'])
    await gateway.reserve("behind-it", reservation_id="r-behind")
    await gateway.record("behind-it", "r-behind", prompt=7)
    await gateway.settled("behind-it", 7)
