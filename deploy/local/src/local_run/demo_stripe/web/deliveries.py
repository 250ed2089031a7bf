"""Delivers events to webhook endpoints: signed, at least once, in no promised order, and worse where told so."""

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, Final

import httpx
from stripe import WebhookSignature

from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World

MODES: Final = ("normal", "drop", "repeat", "delay", "reorder")
REPEATS: Final = 3
MAX_ATTEMPTS: Final = 60
DEFAULT_DELAY_SECONDS: Final = 5.0
_FIRST_BACKOFF_SECONDS: Final = 0.1
_LONGEST_BACKOFF_SECONDS: Final = 30.0
_TIMEOUT_SECONDS: Final = 20.0
_AT_ONCE: Final = 8
_QUIET_SECONDS: Final = 0.3
"""So long without a new event, and those that are held to be reordered go out."""


class Deliverer:
    """Takes over what the world has to deliver, and tries until it is taken, or `MAX_ATTEMPTS` times."""

    def __init__(self, world: World) -> None:
        self.mode = "normal"
        self.delay_seconds = DEFAULT_DELAY_SECONDS
        self._world = world
        self._due: dict[str, float] = {}
        """Deliveries by id, with when they are due (of the process's own clock)."""
        self._held: list[str] = []
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._take(each for each in reversed(list(world.all_of("demo.delivery"))) if each["state"] == "pending")
        world.on_deliveries = self._take

    def tell(self, mode: str, delay_seconds: float) -> None:
        """Deliver so from now on; what was held back goes out, but for what `delay` and `reorder` hold anew."""
        self.mode, self.delay_seconds = mode, delay_seconds
        self._release()
        self._due = dict.fromkeys(self._due, time.monotonic())
        self._changed.set()

    def send_again(self, event: Object) -> int:
        """Deliver an event once more to every endpoint that is enabled, whatever the mode; returns to how many."""
        endpoints = [each for each in self._world.all_of("webhook_endpoint") if each["status"] == "enabled"]
        for endpoint in endpoints:
            self._due[self._world.add_delivery(event, endpoint)["id"]] = time.monotonic()
        self._world.commit()
        self._changed.set()
        return len(endpoints)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            try:
                while True:
                    self._changed.clear()
                    self._start_due(client)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), self._next_in_seconds())
            finally:
                for task in [*self._sending.values()]:
                    task.cancel()
                await asyncio.gather(*self._sending.values(), return_exceptions=True)

    def _take(self, deliveries: Iterable[Object]) -> None:
        for each in deliveries:
            match self.mode:
                case "drop":
                    self._world.change(each, state="dropped")
                    self._world.commit()
                case "delay":
                    self._due[each["id"]] = time.monotonic() + self.delay_seconds
                case "reorder":
                    self._held.append(each["id"])
                    self._due["held"] = time.monotonic() + _QUIET_SECONDS
                case _:
                    self._due[each["id"]] = time.monotonic()
        self._changed.set()

    def _release(self) -> None:
        """The last one first."""
        self._due.pop("held", None)
        if self._held:
            self._start(self._held[0], self._send_in_turn(self._held[::-1]))
            self._held = []

    async def _send_in_turn(self, identifiers: list[str]) -> None:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            for identifier in identifiers:
                await self._send(client, identifier)

    def _start_due(self, client: httpx.AsyncClient) -> None:
        now = time.monotonic()
        for identifier in [each for each, at in self._due.items() if at <= now]:
            if identifier == "held":
                self._release()
                continue
            del self._due[identifier]
            self._start(identifier, self._send_so_often(client, identifier))

    def _start(self, name: str, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending)
        self._sending[name] = task
        task.add_done_callback(partial(self._forget, name))

    def _forget(self, identifier: str, _: asyncio.Task[None]) -> None:
        self._sending.pop(identifier, None)

    def _next_in_seconds(self) -> float | None:
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    async def _send_so_often(self, client: httpx.AsyncClient, identifier: str) -> None:
        async with self._slots:
            if self.mode == "repeat":
                await asyncio.gather(*(self._post(client, identifier) for _ in range(REPEATS - 1)))
            await self._send(client, identifier)

    async def _send(self, client: httpx.AsyncClient, identifier: str) -> None:
        said = await self._post(client, identifier)
        delivery = self._world.get(identifier)
        if delivery is None:
            return
        if said is None:  # its event or its endpoint is gone
            self._world.change(delivery, state="abandoned")
            self._world.commit()
            return
        attempts = delivery["attempts"] + 1
        taken = said.startswith("2")
        state = "delivered" if taken else "failed" if attempts >= MAX_ATTEMPTS else "pending"
        self._world.change(delivery, attempts=attempts, last=said, state=state)
        event = self._world.get(delivery["event"])
        if taken and event is not None and event["pending_webhooks"] > 0:
            self._world.change(event, pending_webhooks=event["pending_webhooks"] - 1)
        self._world.commit()
        if state == "pending":
            backoff = min(_FIRST_BACKOFF_SECONDS * 2 ** min(attempts - 1, 20), _LONGEST_BACKOFF_SECONDS)
            self._due[identifier] = time.monotonic() + backoff
            self._changed.set()

    async def _post(self, client: httpx.AsyncClient, identifier: str) -> str | None:
        """What came back: a status, or what went wrong. None where there is nothing to send or nobody to send it to."""
        delivery = self._world.get(identifier)
        event = self._world.get(delivery["event"]) if delivery else None
        endpoint = self._world.get(delivery["endpoint"], "webhook_endpoint") if delivery else None
        if event is None or endpoint is None:
            return None
        # Indented, as Stripe's: who verifies anything but these bytes is wrong.
        body = json.dumps(event, indent=2)
        secret = self._world.notes(endpoint["id"])["secret"]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": WebhookSignature.generate_signature_header(body, secret),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks) demo",
        }
        try:
            return str((await client.post(endpoint["url"], content=body, headers=headers)).status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
