"""What follows when somebody pays or time passes, whichever object it is about."""

from collections.abc import Mapping
from typing import Final

from local_run.demo_stripe.objects.intents import fail_intent, succeed_intent
from local_run.demo_stripe.objects.paying import apply_code, check_code, check_payable, end_awaited, pay_once
from local_run.demo_stripe.objects.refunds import end_refund
from local_run.demo_stripe.objects.sessions import expire
from local_run.demo_stripe.objects.subscribing import end_awaited_subscription, save_card, subscribe
from local_run.demo_stripe.objects.subscription_changes import end_at_time, end_changed_period
from local_run.demo_stripe.objects.subscriptions import collect_invoice, expire_incomplete
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.timers import Deed
from local_run.demo_stripe.world.world import World


def pay_session(
    world: World, session: Object, *, method: str, outcome: str, code: str | None = None, email: str | None = None
) -> bool:
    """Do what a button of the session's page does; whether somebody went through to its end.

    Raises:
        RefusedError: the session cannot be paid so.
    """
    check_payable(session, method, outcome)
    if code:
        apply_code(world, session, code)
    check_code(world, session)
    if outcome == "expired":
        expire(world, session)
        return False
    match session["mode"]:
        case "subscription":
            return subscribe(world, session, method, outcome, email)
        case "setup":
            return save_card(world, session, outcome, email)
        case _:
            return pay_once(world, session, method, outcome, email)


def complete_payment(world: World, intent: Object, *, paid: bool) -> None:
    """What was to be paid later is paid, or lapses.

    Raises:
        RefusedError: nothing is awaited.
    """
    if intent["status"] != "requires_action":
        raise RefusedError(f"This payment is {intent['status']}: nothing is awaited.")
    session = world.get(world.notes(intent["id"]).get("session"), "checkout.session")
    if session is not None:
        end = end_awaited_subscription if session["mode"] == "subscription" else end_awaited
        end(world, session, intent, paid=paid)
        return
    method = world.find("payment_method", intent["payment_method"])
    if paid:
        succeed_intent(world, intent, method)
    else:
        fail_intent(world, intent, method, "lapsed")


def _let_lapse(world: World, intent: Object) -> None:
    complete_payment(world, intent, paid=False)


def _let_succeed(world: World, refund: Object) -> None:
    end_refund(world, refund, "succeeded")


DEEDS: Final[Mapping[str, Deed]] = {
    "cancel_at": end_at_time,
    "collect_invoice": collect_invoice,
    "end_period": end_changed_period,
    "expire_incomplete": expire_incomplete,
    "expire_session": expire,
    "fail_unpaid_intent": _let_lapse,
    "succeed_refund": _let_succeed,
}
"""What timers do, by name."""
