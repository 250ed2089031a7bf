"""What happens when somebody subscribes by a Checkout Session, or saves a card there."""

from local_run.demo_stripe.objects.customers import attach, new_method
from local_run.demo_stripe.objects.intents import await_payment, fail_intent, succeed_intent
from local_run.demo_stripe.objects.invoices import intent_of, mark_paid, settle_invoice
from local_run.demo_stripe.objects.paying import complete, customer_of, redeem_code
from local_run.demo_stripe.objects.sessions import items_of
from local_run.demo_stripe.objects.steering import next_of
from local_run.demo_stripe.objects.subscriptions import begin_subscription, expire_incomplete, follow_paid_invoice
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.timers import clear_timer
from local_run.demo_stripe.world.world import World


def subscribe(world: World, session: Object, kind: str, outcome: str, email: str | None) -> bool:
    """Begin the subscription that the session sells; whether it is complete now. A declined card leaves it open."""
    customer = customer_of(world, session, email)
    if customer is None:
        raise RefusedError("A subscription needs a customer.")
    free = session["amount_total"] == 0
    if kind == "card" and not free and _is_declined(world, outcome):
        return False
    notes = world.notes(session["id"])
    method = new_method(world, kind, email=customer["email"], name=customer["name"])
    attach(world, method, customer)
    subscription = begin_subscription(
        world,
        customer=customer,
        items=[(item.price, item.quantity) for item in items_of(world, session)],
        coupon=world.get(notes["coupon"], "coupon"),
        default_payment_method=method["id"],
        description=notes["data"].get("description"),
        metadata=notes["data"].get("metadata") or {},
    )
    invoice = world.find("invoice", subscription["latest_invoice"])
    world.change(session, subscription=subscription["id"], invoice=invoice["id"])
    redeem_code(world, session)
    if outcome == "later" and not free:
        intent = intent_of(world, invoice)
        world.note(intent["id"], session=session["id"])
        clear_timer(world, subscription, "expire_incomplete")  # the boleto says until when
        await_payment(world, intent, method, session["payment_method_options"] or {})
        complete(world, session, "unpaid")
        return True
    settle_invoice(world, invoice, method, "ok")
    follow_paid_invoice(world, subscription)
    complete(world, session, "no_payment_required" if free else "paid")
    return True


def _is_declined(world: World, outcome: str) -> bool:
    return outcome == "declined" or next_of(world, "card", "ok") != "ok"


def end_awaited_subscription(world: World, session: Object, intent: Object, *, paid: bool) -> None:
    """The boleto of a subscription's first invoice was paid, or lapsed."""
    subscription = world.find("subscription", session["subscription"])
    method = world.find("payment_method", intent["payment_method"])
    if not paid:
        fail_intent(world, intent, method, "lapsed")
        expire_incomplete(world, subscription)
        world.emit("checkout.session.async_payment_failed", session)
        return
    succeed_intent(world, intent, method)
    mark_paid(world, world.find("invoice", session["invoice"]))
    follow_paid_invoice(world, subscription)
    world.change(session, payment_status="paid")
    world.emit("checkout.session.async_payment_succeeded", session)


def save_card(world: World, session: Object, outcome: str, email: str | None) -> bool:
    """Save a card for later payments; whether it was taken."""
    customer = customer_of(world, session, email)
    if _is_declined(world, outcome):
        return False
    method = new_method(world, "card", email=session["customer_details"]["email"])
    if customer is not None:
        attach(world, method, customer)
    data = world.notes(session["id"])["data"]
    intent = world.create(
        "setup_intent",
        "seti",
        customer=customer["id"] if customer else None,
        description=data.get("description"),
        flow_directions=None,
        metadata=data.get("metadata") or {},
        payment_method=method["id"],
        payment_method_options={},
        payment_method_types=["card"],
        status="succeeded",
        usage="off_session",
    )
    world.emit("setup_intent.created", intent)
    world.emit("setup_intent.succeeded", intent)
    world.change(session, setup_intent=intent["id"])
    complete(world, session, "no_payment_required")
    return True


def retrieve_setup_intent(world: World, ids: list[str], _: object) -> Object:
    return world.find("setup_intent", ids[0])
