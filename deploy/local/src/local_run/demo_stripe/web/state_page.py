"""`GET /demo`: what stands, what was sent, and how it was delivered."""

from itertools import islice
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_run.demo_stripe.objects.steering import steered
from local_run.demo_stripe.web.deliveries import Deliverer
from local_run.demo_stripe.web.rendering import page
from local_run.demo_stripe.web.words import language_for
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World

_KINDS: Final = (
    "customer",
    "checkout.session",
    "payment_intent",
    "charge",
    "refund",
    "dispute",
    "subscription",
    "invoice",
)
_SHOWN: Final = 50


class StatePage:
    """For people as a page, for programs that accept JSON as JSON."""

    def __init__(self, world: World, deliverer: Deliverer) -> None:
        self._world = world
        self._deliverer = deliverer

    def routes(self) -> list[Route]:
        return [Route("/demo", self._show), Route("/", self._show)]

    async def _show(self, request: Request) -> Response:
        state = self._state()
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(state)
        return page("state.html.j2", language_for("en", None), state=state)

    def _state(self) -> Object:
        events = {each["id"]: each for each in islice(self._world.all_of("event"), _SHOWN)}
        deliveries = [each for each in self._world.all_of("demo.delivery") if each["event"] in events]
        return {
            "now": self._world.now(),
            "ahead_seconds": self._world.ahead_seconds,
            "deliveries_mode": self._deliverer.mode,
            "steered": steered(self._world),
            "counts": {kind: self._world.count(kind) for kind in _KINDS},
            "sessions": [self._session(each) for each in islice(self._world.all_of("checkout.session"), _SHOWN)],
            "events": [_event(each, deliveries) for each in events.values()],
            "endpoints": [
                {
                    "id": each["id"],
                    "url": each["url"],
                    "status": each["status"],
                    "enabled_events": each["enabled_events"],
                }
                for each in self._world.all_of("webhook_endpoint")
            ],
        }

    def _session(self, session: Object) -> Object:
        names = (
            "id",
            "created",
            "mode",
            "status",
            "payment_status",
            "amount_total",
            "currency",
            "payment_intent",
            "url",
        )
        return {name: session[name] for name in names}


def _event(event: Object, deliveries: list[Object]) -> Object:
    own = [
        {"state": each["state"], "attempts": each["attempts"], "last": each["last"]}
        for each in deliveries
        if each["event"] == event["id"]
    ]
    return {
        "id": event["id"],
        "created": event["created"],
        "type": event["type"],
        "object": event["data"]["object"].get("id"),
        "deliveries": own,
    }
