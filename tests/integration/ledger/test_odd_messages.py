"""Messages that no gateway sends, and any client with its rights could: none stands in the way of the next."""

import pytest

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
