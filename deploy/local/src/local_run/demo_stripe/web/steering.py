"""`/demo/…`: what steers the demo, for tests and for whoever tries things out."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_run.demo_stripe.objects.disputes import OPENING, move_dispute, open_dispute, warn_of_fraud
from local_run.demo_stripe.objects.refunds import end_refund
from local_run.demo_stripe.objects.settlement import DEEDS, complete_payment
from local_run.demo_stripe.objects.steering import CARDS, MAX_TIMES, REFUNDS, steer, steered
from local_run.demo_stripe.web import deliveries, faults
from local_run.demo_stripe.web.bodies import read_body
from local_run.demo_stripe.web.deliveries import Deliverer
from local_run.demo_stripe.web.faults import Faults
from local_run.demo_stripe.web.fields import Told, number, one_of, read_json, whole
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.timers import run_due
from local_run.demo_stripe.world.world import World

MAX_SECONDS = 400 * 86_400
_MOST_AHEAD_SECONDS = 20 * MAX_SECONDS
_MAX_WAIT_SECONDS = 3_600

type Deed = Callable[[Request, Told], Object]


class Steering:
    """Each path does one thing and answers with what stands now."""

    def __init__(self, world: World, deliverer: Deliverer, faults_to_come: Faults) -> None:
        self._world = world
        self._deliverer = deliverer
        self._faults = faults_to_come

    def routes(self) -> list[Route]:
        deeds: dict[str, Deed] = {
            "/demo/cards": self._cards,
            "/demo/refunds": self._refunds,
            "/demo/clock": self._clock,
            "/demo/deliveries": self._deliveries,
            "/demo/faults": self._faults_told,
            "/demo/payments/{id}/complete": self._complete_payment,
            "/demo/refunds/{id}/complete": self._complete_refund,
            "/demo/disputes": self._open_dispute,
            "/demo/disputes/{id}": self._move_dispute,
            "/demo/fraud_warnings": self._warn,
            "/demo/events/{id}/send": self._send_again,
        }
        return [Route(path, self._answering(deed), methods=["POST"]) for path, deed in deeds.items()]

    def _answering(self, deed: Deed) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                if not request.headers.get("content-type", "").startswith("application/json"):
                    # A page of others can post a form here unasked, but no JSON.
                    raise RefusedError("The demo is told things as application/json.", status=415)  # noqa: TRY301
                told = read_json(await read_body(request))
                done = deed(request, told)
            except RefusedError as refusal:
                return JSONResponse(refusal.body(), refusal.status)
            finally:
                self._world.commit()
            return JSONResponse(done)

        return answer

    def _cards(self, _: Request, told: Told) -> Object:
        steer(self._world, "card", one_of(told, "next", CARDS), whole(told, "times", 1, MAX_TIMES))
        return steered(self._world)

    def _refunds(self, _: Request, told: Told) -> Object:
        steer(self._world, "refund", one_of(told, "next", REFUNDS), whole(told, "times", 1, MAX_TIMES))
        return steered(self._world)

    def _clock(self, _: Request, told: Told) -> Object:
        seconds = whole(told, "advance_seconds", 0, MAX_SECONDS)
        if self._world.ahead_seconds + seconds > _MOST_AHEAD_SECONDS:
            raise RefusedError("The demo's clock goes no further ahead.", param="advance_seconds")
        self._world.move_ahead(seconds)
        done = run_due(self._world, DEEDS)
        return {"now": self._world.now(), "ahead_seconds": self._world.ahead_seconds, "done": done}

    def _deliveries(self, _: Request, told: Told) -> Object:
        seconds = number(told, "seconds", deliveries.DEFAULT_DELAY_SECONDS, _MAX_WAIT_SECONDS)
        self._deliverer.tell(one_of(told, "mode", deliveries.MODES), seconds)
        return {"mode": self._deliverer.mode, "seconds": seconds}

    def _faults_told(self, _: Request, told: Told) -> Object:
        only = one_of(told, "only", ("GET", "POST", "DELETE")) if told.get("only") else None
        mode = one_of(told, "mode", faults.MODES)
        seconds = number(told, "seconds", 1.0, faults.MAX_SECONDS)
        self._faults.tell(mode, times=whole(told, "times", 1, MAX_TIMES), seconds=seconds, only=only)
        return {"mode": mode, "times": self._faults.times, "seconds": seconds, "only": only}

    def _complete_payment(self, request: Request, told: Told) -> Object:
        intent = self._world.find("payment_intent", request.path_params["id"])
        complete_payment(self._world, intent, paid=one_of(told, "outcome", ("paid", "failed")) == "paid")
        return intent

    def _complete_refund(self, request: Request, told: Told) -> Object:
        refund = self._world.find("refund", request.path_params["id"])
        return end_refund(self._world, refund, one_of(told, "outcome", ("succeeded", "failed")))

    def _open_dispute(self, _: Request, told: Told) -> Object:
        amount = whole(told, "amount", 1, 10**12) if told.get("amount") else None
        status = one_of({"status": "needs_response", **told}, "status", OPENING)
        reason = one_of({"reason": "fraudulent", **told}, "reason", ("fraudulent", "product_not_received", "general"))
        return open_dispute(self._world, self._charge_of(told), status=status, amount=amount, reason=reason)

    def _move_dispute(self, request: Request, told: Told) -> Object:
        dispute = self._world.find("dispute", request.path_params["id"])
        return move_dispute(self._world, dispute, str(told.get("status")))

    def _warn(self, _: Request, told: Told) -> Object:
        return warn_of_fraud(self._world, self._charge_of(told))

    def _send_again(self, request: Request, _: Told) -> Object:
        event = self._world.find("event", request.path_params["id"])
        return {"event": event["id"], "endpoints": self._deliverer.send_again(event)}

    def _charge_of(self, told: Told) -> Object:
        if "charge" in told:
            return self._world.find("charge", str(told["charge"]), "charge")
        intent = self._world.find("payment_intent", str(told.get("payment_intent")), "payment_intent")
        if intent["latest_charge"] is None:
            raise RefusedError("This payment has no charge.", param="payment_intent")
        return self._world.find("charge", intent["latest_charge"])
