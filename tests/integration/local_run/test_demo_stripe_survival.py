"""The demo Stripe over restarts, with targets that are down, under faults that somebody told it, and as a process."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import stripe
from chassis.server import serve
from local_run.demo_stripe.world.keeping import Keeping, KeepingError
from local_run.demo_stripe.world.world import MAX_OF_A_KIND, World
from local_run.ports import any_free
from local_run.supervision import process
from local_run.supervision.probe import fetch
from local_run.supervision.process import Program
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.demo_stripe import WEBHOOK_SECRET, StripeStage, start_demo_stripe
from tests.support.eventually import eventually

DAY = 86_400


@contextlib.asynccontextmanager
async def listening(port: int) -> AsyncIterator[list[str]]:
    """A webhook on that port; the ids of the events that came."""
    came: list[str] = []

    async def take(request: Request) -> Response:
        event = stripe.Webhook.construct_event(
            await request.body(), request.headers["stripe-signature"], WEBHOOK_SECRET
        )
        came.append(event.id)
        return Response()

    async with serve(Starlette(routes=[Route("/hook", take, methods=["POST"])]), "127.0.0.1", port):
        yield came


async def test_what_was_is_there_after_a_restart(tmp_path: Path) -> None:
    file, hook_port = tmp_path / "stripe" / "stripe.sqlite", any_free()
    hook = f"http://127.0.0.1:{hook_port}/hook"
    async with start_demo_stripe(path=file, webhook_url=hook) as stage:
        first = await stage.client.v1.customers.create_async({"email": "ana@example.com"}, {"idempotency_key": "one"})
        await stage.advance(DAY)
        await stage.cards("declined", times=2)
        await eventually(lambda: next(stage.demo.world.all_of("demo.delivery"))["attempts"] > 0)
    assert file.stat().st_mode & 0o077 == 0
    async with listening(hook_port) as came, start_demo_stripe(path=file, webhook_url=hook) as stage:
        again = await stage.client.v1.customers.create_async({"email": "ana@example.com"}, {"idempotency_key": "one"})
        assert again.id == first.id
        state = await stage.state()
        assert state["ahead_seconds"] == DAY
        assert state["steered"]["card"] == {"next": "declined", "times": 2}
        (event,) = (await stage.client.v1.events.list_async()).data
        await eventually(lambda: came == [event.id], message="what nobody took before came now")
        await eventually(lambda: next(stage.demo.world.all_of("demo.delivery"))["state"] == "delivered")


@pytest.mark.parametrize("content", [b"nonsense" * 1_000, b"SQLite format 3\x00" + b"\xff" * 4_000])
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "stripe.sqlite"
    file.write_bytes(content)
    with pytest.raises(KeepingError, match="without it the demo starts anew") as raised:
        list(Keeping(file).load())
    assert "\n" not in str(raised.value)


def test_a_file_with_other_content_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "stripe.sqlite"
    Keeping(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO objects VALUES ('x', 1, '[]')")
    with pytest.raises(KeepingError):
        list(Keeping(file).load())


async def test_the_program_ends_with_that_line(tmp_path: Path) -> None:
    file = tmp_path / "stripe.sqlite"
    file.write_bytes(b"nonsense" * 1_000)
    program = _program(file, any_free())
    code, output = await process.run_to_end(program, 30)
    assert code != 0
    assert output.strip().splitlines()[-1].startswith(f"cannot read the demo Stripe's file {file}")


async def test_a_killed_program_forgets_nothing_that_it_answered(tmp_path: Path) -> None:
    port = any_free()
    program = _program(tmp_path / "stripe.sqlite", port)
    client = stripe.StripeClient(
        "sk_test_x", base_addresses={"api": f"http://127.0.0.1:{port}"}, http_client=stripe.HTTPXClient(timeout=10)
    )
    answered: list[str] = []
    for _ in range(2):
        child = await process.start(program)
        await eventually(lambda: _is_live(port), 30)
        kept = [each.id async for each in (await client.v1.customers.list_async({"limit": 100})).auto_paging_iter()]
        assert sorted(kept) == sorted(answered)
        answered += [(await client.v1.customers.create_async({"email": "a@b.c"})).id for _ in range(20)]
        child.send_signal(signal.SIGKILL)
        await child.wait()


async def test_an_answer_that_is_lost_was_carried_out_and_its_key_knows_it() -> None:
    async with start_demo_stripe() as stage:
        await stage.faults("lost", only="POST")
        create = stage.client.v1.customers.create_async
        with pytest.raises(stripe.APIError):
            await create({"email": "ana@example.com"}, {"idempotency_key": "one"})
        found = await create({"email": "ana@example.com"}, {"idempotency_key": "one"})
        assert [each.id for each in (await stage.client.v1.customers.list_async()).data] == [found.id]


async def test_while_it_is_down_nothing_is_done_and_its_key_stays_free() -> None:
    async with start_demo_stripe() as stage:
        await stage.faults("down", times=2)
        create = stage.client.v1.customers.create_async
        for _ in range(2):
            with pytest.raises(stripe.APIError) as raised:
                await create({"email": "ana@example.com"}, {"idempotency_key": "one"})
            assert raised.value.http_status == 503
        assert stage.demo.world.count("customer") == 0
        await create({"email": "ana@example.com"}, {"idempotency_key": "one"})
        assert stage.demo.world.count("customer") == 1


async def test_a_wrong_key_and_an_unknown_path_are_refused(tmp_path: Path) -> None:
    async with start_demo_stripe() as stage:
        stranger = stripe.StripeClient(
            "sk_test_stranger", base_addresses={"api": stage.url}, http_client=stripe.HTTPXClient()
        )
        with pytest.raises(stripe.AuthenticationError):
            await stranger.v1.customers.list_async()
        with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
            await stage.client.v1.payouts.list_async()


async def test_events_go_to_the_endpoints_that_want_them_and_nowhere_else() -> None:
    hook_port = any_free()
    async with listening(hook_port) as came, start_demo_stripe() as stage:
        endpoints = stage.client.v1.webhook_endpoints
        with pytest.raises(stripe.InvalidRequestError) as raised:
            await endpoints.create_async({"url": "http://169.254.169.254/", "enabled_events": ["*"]})
        assert raised.value.code == "url_invalid"
        made = await endpoints.create_async(
            {"url": f"http://127.0.0.1:{hook_port}/hook", "enabled_events": ["product.created"]}
        )
        assert str(made.secret).startswith("whsec_")
        stage.demo.world.note(made.id, secret=WEBHOOK_SECRET)
        await stage.client.v1.customers.create_async({"email": "ana@example.com"})
        await stage.client.v1.products.create_async({"name": "Básico"})
        (wanted,) = (await stage.client.v1.events.list_async({"type": "product.created"})).data
        await eventually(lambda: came == [wanted.id])
        assert "secret" not in (await endpoints.retrieve_async(made.id)).to_dict()
        await endpoints.delete_async(made.id)
        await stage.client.v1.products.create_async({"name": "Pro"})
        assert stage.demo.world.count("demo.delivery") == 1


def test_what_it_keeps_is_bounded_and_the_oldest_history_goes_first() -> None:
    world = World(Keeping(None), "http://127.0.0.1")
    for number in range(MAX_OF_A_KIND + 5):
        world.add({"id": f"evt_{number}", "object": "event"})
    assert world.count("event") == MAX_OF_A_KIND
    assert world.get("evt_4") is None
    assert world.get("evt_5") is not None


async def test_a_burst_of_requests_is_answered_without_loss(tmp_path: Path) -> None:
    async with start_demo_stripe(path=tmp_path / "stripe.sqlite") as stage:
        made = await asyncio.gather(*(_customer(stage, number) for number in range(100)))
        listed = await stage.client.v1.customers.list_async({"limit": 100})
        assert {each.id for each in listed.data} == set(made)


async def _customer(stage: StripeStage, number: int) -> str:
    return (await stage.client.v1.customers.create_async({"email": f"{number}@example.com"})).id


def _program(file: Path, port: int) -> Program:
    options = ("--port", str(port), "--file", str(file), "--webhook-url", "http://127.0.0.1:9/none")
    told = {"SOLARIS_STRIPE_API_KEY": "sk_test_x", "SOLARIS_STRIPE_WEBHOOK_SECRETS": "whsec_9d41ce27f05ba863"}
    command = (sys.executable, "-m", "local_run.demo_stripe", *options)
    return Program(name="stripe", command=command, environment={**os.environ, **told})


async def _is_live(port: int) -> bool:
    return (await fetch(port, "/health/live")).status == 200


def test_what_a_checkout_made_for_itself_goes_before_what_is_sold() -> None:
    world = World(Keeping(None), "http://127.0.0.1")
    world.add({"id": "price_sold", "object": "price", "active": True})
    for number in range(MAX_OF_A_KIND + 5):
        world.add({"id": f"price_{number}", "object": "price", "active": False})
        world.note(f"price_{number}", kept=True)
    assert world.get("price_sold") is not None
    assert world.get("price_0") is None
    assert world.notes("price_0") == {}
    assert (world.count("price"), world.count("demo.notes")) == (MAX_OF_A_KIND, MAX_OF_A_KIND - 1)


async def test_a_page_follows_a_cursor_that_matches_no_longer() -> None:
    async with start_demo_stripe() as stage:
        products = stage.client.v1.products
        made = [(await products.create_async({"name": str(number)})).id for number in range(4)]
        page = await products.list_async({"active": True, "limit": 2})
        await products.update_async(page.data[-1].id, {"active": False})
        following = await products.list_async({"active": True, "limit": 2, "starting_after": page.data[-1].id})
        assert [each.id for each in following.data] == made[1::-1]


async def test_a_customer_s_subscriptions_end_with_it() -> None:
    async with start_demo_stripe() as stage:
        client = stage.client.v1
        customer = (await client.customers.create_async({"email": "ana@example.com"})).id
        card = await client.payment_methods.attach_async("pm_card_visa", {"customer": customer})
        price = await client.prices.create_async(
            {"currency": "brl", "unit_amount": 900, "recurring": {"interval": "month"}, "product_data": {"name": "x"}}
        )
        begun = await client.subscriptions.create_async(
            {"customer": customer, "items": [{"price": price.id}], "default_payment_method": card.id}
        )
        await client.customers.delete_async(customer)
        assert (await client.subscriptions.retrieve_async(begun.id)).status == "canceled"
        assert (await client.customers.retrieve_async(customer)).deleted is True
        with pytest.raises(stripe.InvalidRequestError) as raised:
            await client.subscriptions.create_async({"customer": customer, "items": [{"price": price.id}]})
        assert (raised.value.code, raised.value.param) == ("resource_missing", "customer")
