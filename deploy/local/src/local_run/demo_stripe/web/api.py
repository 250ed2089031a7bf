"""Answers Stripe's API: who asks, what is asked, once per key."""

import asyncio
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from stripe import api_version

from local_run.demo_stripe.objects.clocks import clock_of
from local_run.demo_stripe.objects.intent_requests import refunds_of
from local_run.demo_stripe.objects.invoices import payments_of
from local_run.demo_stripe.objects.sessions import line_items_of
from local_run.demo_stripe.web.bodies import read_body
from local_run.demo_stripe.web.faults import Faults
from local_run.demo_stripe.web.idempotency import Answer, Idempotency, fingerprint_of
from local_run.demo_stripe.web.routes import Route, route_of
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.expansion import expand
from local_run.demo_stripe.wire.lists import list_of
from local_run.demo_stripe.wire.parameters import decode_form, read_parameters
from local_run.demo_stripe.wire.shapes import Object, problems_of
from local_run.demo_stripe.world.world import World

_KEY_HEADER: Final = "idempotency-key"


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that the demo understands."""

    route: Route
    ids: list[str]
    parameters: dict[str, Any]  # Any: of many types
    key: str | None
    fingerprint: str


class Api:
    """`/v1/…` for whoever has the key."""

    def __init__(self, world: World, api_key: str, faults: Faults) -> None:
        self._world = world
        self._api_key = api_key
        self._faults = faults
        self._idempotency = Idempotency(world)

    async def answer(self, request: Request) -> Response:
        request_id = self._world.new_id("req", 14)
        headers = {"Request-Id": request_id, "Stripe-Version": request.headers.get("stripe-version", "")}
        try:
            call = self._understand(request, await read_body(request))
            fault = self._faults.next_of(request.method)
            answer, is_replay = await self._carry_out(call, fault.wait_seconds)
            if fault.lost:
                # It is done, and nobody hears of it.
                answer, is_replay = (
                    Answer(500, {"error": {"message": "The demo was told to lose this answer.", "type": "api_error"}}),
                    False,
                )
            if is_replay:
                headers["Idempotent-Replayed"] = "true"
            return _json(answer, headers)
        except RefusedError as refusal:
            return _json(Answer(refusal.status, refusal.body()), headers)

    def _understand(self, request: Request, body: bytes) -> _Call:
        self._check_key(request.headers.get("authorization", ""))
        if (version := request.headers.get("stripe-version", api_version)) != api_version:
            raise RefusedError(f"The demo Stripe speaks {api_version} alone, and not {version[:50]}.")
        found = route_of(request.method, request.url.path)
        if found is None:
            asked = f"{request.method}: {request.url.path[:200]}"
            message = f"Unrecognized request URL ({asked}). The demo Stripe does not have it."
            raise RefusedError(message, status=404)
        route, ids = found
        # The SDK sends parameters of GET and DELETE in the URL.
        form = decode_form(body if request.method == "POST" else request.url.query.encode())
        parameters = read_parameters(route.parameters, form)
        key = request.headers.get(_KEY_HEADER) if request.method == "POST" else None
        return _Call(route, ids, parameters, key, fingerprint_of(request.url.path, parameters))

    def _check_key(self, authorization: str) -> None:
        given = authorization.removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise RefusedError("Invalid API Key provided.", status=401)

    async def _carry_out(self, call: _Call, wait_seconds: float) -> tuple[Answer, bool]:
        if call.key is None:
            await asyncio.sleep(wait_seconds)
            return self._do(call), False
        earlier = self._idempotency.begin(call.key, call.fingerprint)
        if earlier is not None:
            return earlier, True
        try:
            await asyncio.sleep(wait_seconds)
            return self._do(call), False
        finally:
            self._idempotency.end(call.key)

    def _do(self, call: _Call) -> Answer:
        """Carry it out and keep all that came of it, at once: nothing else happens meanwhile."""
        self._world.idempotency_key = call.key
        try:
            answer = Answer(200, self._shown(call))
        except RefusedError as refusal:
            answer = Answer(refusal.status, refusal.body())
        finally:
            self._world.idempotency_key = None
        if call.key is not None:
            self._idempotency.keep(call.key, call.fingerprint, answer)
        self._world.commit()
        return answer

    def _shown(self, call: _Call) -> Object:
        found = call.route.handler(self._world, call.ids, call.parameters)
        if problems := problems_of(found):
            raise RefusedError(
                f"The demo Stripe made a wrong object: {'; '.join(problems[:5])}", status=500, kind="api_error"
            )
        return expand(found, call.parameters.get("expand", []), self._world.get, self._on_demand)

    @property
    def _on_demand(self) -> dict[tuple[str, str], Any]:
        world = self._world

        def lines_of(session: Object) -> Object:
            return list_of(line_items_of(world, session), f"/v1/checkout/sessions/{session['id']}/line_items")

        return {
            ("checkout.session", "line_items"): lines_of,
            ("charge", "refunds"): lambda charge: refunds_of(world, charge),
            ("invoice", "payments"): lambda invoice: payments_of(world, invoice),
            ("subscription", "test_clock"): lambda _: clock_of(world),
        }


def _json(answer: Answer, headers: dict[str, str]) -> Response:
    body = json.dumps(answer.body, indent=2, default=str).encode()
    return Response(body, status_code=answer.status, media_type="application/json", headers=headers)
