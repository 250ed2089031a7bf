"""What is delivered as Stripe's is believed by its signature over its very bytes, and stored once."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import stripe
from billing.http.webhook import AT_ONCE, MAX_BYTES, SMALL_BYTES

from tests.support.billing import BillingStage, running_billing, settings_for
from tests.support.demo_stripe import WEBHOOK_SECRET
from tests.support.eventually import eventually


def _event(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "id": f"evt_{time.time_ns()}",
        "object": "event",
        "type": "checkout.session.completed",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": {"id": "cs_unknown", "object": "checkout.session", "client_reference_id": "ord_unknown"}},
    }
    return known | changes


def _signed(payload: str, *, secret: str = WEBHOOK_SECRET, age_seconds: int = 0) -> str:
    header: str = stripe.WebhookSignature.generate_signature_header(payload, secret, int(time.time()) - age_seconds)
    return header


async def _deliver(stage: BillingStage, payload: str | bytes, signature: str | None) -> httpx.Response:
    headers = {"content-type": "application/json"} | ({} if signature is None else {"stripe-signature": signature})
    return await stage.http.post(f"{stage.url}/billing/webhook/stripe", content=payload, headers=headers)


async def _stored(stage: BillingStage, event_id: str) -> list[dict[str, Any]]:
    return await stage.rows("SELECT * FROM billing.webhook_events WHERE id = $1", event_id)


async def test_a_signed_event_is_stored_as_it_was_signed(stage: BillingStage) -> None:
    event = _event()
    payload = json.dumps(event, indent=3, ensure_ascii=False)
    answer = await _deliver(stage, payload, _signed(payload))
    assert answer.status_code == 200
    (row,) = await _stored(stage, event["id"])
    assert (bytes(row["payload"]), row["type"]) == (payload.encode(), "checkout.session.completed")


async def test_any_of_several_secrets_may_have_signed(stage: BillingStage) -> None:
    payload = json.dumps(_event())
    assert (await _deliver(stage, payload, _signed(payload, secret="whsec_of_before_0123456789"))).status_code == 200


def _reserialised(payload: str) -> tuple[str, str | None]:
    return json.dumps(json.loads(payload), separators=(",", ":")), _signed(payload)


REFUSED: dict[str, Callable[[str], tuple[str | bytes, str | None]]] = {
    "unsigned": lambda payload: (payload, None),
    "empty": lambda payload: (payload, ""),
    "forged": lambda payload: (payload, _signed(payload, secret="whsec_of_somebody")),
    "no secret at all": lambda payload: (payload, _signed(payload, secret="")),
    "re-serialised": _reserialised,
    "changed": lambda payload: (payload.replace("ord_unknown", "ord_another"), _signed(payload)),
    "stale": lambda payload: (payload, _signed(payload, age_seconds=301)),
    "future": lambda payload: (payload, _signed(payload, age_seconds=-310)),
    # A recording whose header names a newer moment beside the one that was signed.
    "recorded, blank": lambda payload: (payload, f"x=1, t={int(time.time())},{_signed(payload, age_seconds=4_000)}"),
    "recorded, behind": lambda payload: (payload, f"{_signed(payload, age_seconds=4_000)},t={int(time.time())}"),
    "nonsense": lambda payload: (payload, "t=now,v1=yes"),
    "not ASCII": lambda payload: (payload, _signed(payload).replace("v1=", "v1=\u00e9")),
    "many moments": lambda payload: (payload, "t=" + "9" * 5_000 + ",v1=0"),
    "not UTF-8": lambda payload: (b"\xff\xfe" + payload.encode(), _signed(payload)),
    "not JSON": lambda payload: (payload[:-1], _signed(payload[:-1])),
    "no event": lambda _: ("[]", _signed("[]")),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_stripe_did_not_sign_so_and_now_is_refused(stage: BillingStage, kind: str) -> None:
    event = _event()
    payload, signature = REFUSED[kind](json.dumps(event))
    headers = [(b"stripe-signature", (signature or "").encode("latin-1"))] if signature is not None else []
    answer = await stage.http.post(f"{stage.url}/billing/webhook/stripe", content=payload, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == "webhook_refused"
    assert await _stored(stage, event["id"]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"livemode": True},
        {"id": "evt_\u0000"},
        {"id": ""},
        {"id": "x" * 300},
        {"type": "A B"},
        {"created": -1},
        {"created": 10**18},
        {"data": {}},
        {"data": {"object": "cs_1"}},
    ],
)
async def test_a_signed_event_of_another_mode_or_shape_is_refused(stage: BillingStage, changes: dict[str, Any]) -> None:
    event = _event(**changes)
    payload = json.dumps(event)
    assert (await _deliver(stage, payload, _signed(payload))).status_code == 400
    assert await stage.rows("SELECT id FROM billing.webhook_events WHERE payload = $1", payload.encode()) == []


async def test_an_oversized_body_is_refused_before_it_is_read(stage: BillingStage) -> None:
    payload = json.dumps(_event(more="x" * 2_000_000))
    assert (await _deliver(stage, payload, _signed(payload))).status_code == 400


async def _held_open(stage: BillingStage, held: AsyncExitStack, sent: bytes, announced: int) -> asyncio.StreamReader:
    """A delivery that nobody signed, and of which no more comes than `sent`."""
    port = httpx.URL(stage.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    held.callback(writer.close)
    head = f"POST /billing/webhook/stripe HTTP/1.1\r\nHost: localhost\r\nContent-Length: {announced}\r\n\r\n"
    writer.write(head.encode() + sent)
    await writer.drain()
    return reader


@pytest.mark.parametrize("sent", [1, SMALL_BYTES + 1])
async def test_whoever_sends_slowly_takes_no_place_from_stripe(stage: BillingStage, sent: int) -> None:
    payload = json.dumps(_event())
    async with AsyncExitStack() as held:
        for _ in range(2 * AT_ONCE):
            await _held_open(stage, held, b" " * sent, SMALL_BYTES * 2)
        answer = await _deliver(stage, payload, _signed(payload))
    assert answer.status_code == 200


async def test_large_bodies_that_nobody_signed_keep_no_large_one_of_stripes_out(stage: BillingStage) -> None:
    event = _event()
    payload = json.dumps(event | {"padding": "x" * (2 * SMALL_BYTES)})
    async with AsyncExitStack() as held:
        for _ in range(AT_ONCE):
            await _held_open(stage, held, b" " * (SMALL_BYTES + 1), MAX_BYTES)
        answer = await _deliver(stage, payload, _signed(payload))
    assert answer.status_code == 200


async def test_large_bodies_in_memory_are_bounded(stage: BillingStage) -> None:
    async with AsyncExitStack() as held:
        readers = [await _held_open(stage, held, b" " * (SMALL_BYTES + 1), MAX_BYTES) for _ in range(AT_ONCE + 1)]
        first, _ = await asyncio.wait(
            [asyncio.create_task(reader.readline()) for reader in readers], return_when=asyncio.FIRST_COMPLETED
        )
        assert {task.result().split()[1] for task in first} == {b"503"}


async def test_the_same_event_many_times_at_once_is_stored_once(stage: BillingStage) -> None:
    event = _event()
    payload = json.dumps(event)
    answers = await asyncio.gather(*(_deliver(stage, payload, _signed(payload)) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await _stored(stage, event["id"])) == 1


@pytest.mark.parametrize("event_type", ["checkout.session.completed", "customer.tax_id.created", "a.type_of.tomorrow"])
async def test_what_is_not_about_us_is_kept_and_ignored(stage: BillingStage, event_type: str) -> None:
    event = _event(type=event_type)
    payload = json.dumps(event)
    await _deliver(stage, payload, _signed(payload))

    async def ignored() -> bool:
        (row,) = await _stored(stage, event["id"])
        return bool(row["status"] == "ignored")

    await eventually(ignored, 15.0)


async def test_without_a_secret_everything_is_refused(migrated_url: str, nats_url: str, stage: BillingStage) -> None:
    unguarded = settings_for(migrated_url, nats_url, stage.stripe.url, stripe_webhook_secrets="")
    payload = json.dumps(_event())
    async with running_billing(unguarded):
        url = f"http://127.0.0.1:{unguarded.billing_port}/billing/webhook/stripe"
        for signature in (_signed(payload, secret=""), _signed(payload)):
            answer = await stage.http.post(url, content=payload, headers={"stripe-signature": signature})
            assert answer.status_code == 503


async def test_a_body_that_never_ends_is_let_go_of(stage: BillingStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.http.webhook.BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.settings.billing_port)
    writer.write(b"POST /billing/webhook/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
