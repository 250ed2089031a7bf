"""What happens when somebody pays a Checkout Session, or does not."""

from typing import Any, Final

from local_run.demo_stripe.objects.customers import attach, new_customer, new_method
from local_run.demo_stripe.objects.intents import attempt, await_payment, fail_intent, new_intent, succeed_intent
from local_run.demo_stripe.objects.invoices import Line, finalise, link_intent, mark_paid, new_invoice
from local_run.demo_stripe.objects.promotions import find_code, redeem
from local_run.demo_stripe.objects.sessions import items_of, line_items_of, reckon
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.timers import clear_timer
from local_run.demo_stripe.world.world import World

OUTCOMES: Final = ("paid", "declined", "later", "expired")
_ADDRESS: Final = {"city": None, "country": "BR", "line1": None, "line2": None, "postal_code": None, "state": None}


def check_payable(session: Object, method: str, outcome: str) -> None:
    """
    Raises:
        RefusedError: the session is not open, or cannot be paid so.
    """
    if session["status"] != "open":
        raise RefusedError(f"This session is {session['status']}: it cannot be paid any more.")
    if method not in session["payment_method_types"]:
        raise RefusedError(f"This session cannot be paid by {method}.", param="method")
    if (
        outcome not in OUTCOMES
        or (outcome == "later" and method == "card")
        or (outcome == "declined" and method != "card")
    ):
        raise RefusedError(f"A payment by {method} cannot end as '{outcome}'.", param="outcome")


def apply_code(world: World, session: Object, typed: str) -> None:
    """Take off what the promotion code is worth.

    Raises:
        RefusedError: nobody may type one here, or this one is worth nothing.
    """
    if session["status"] != "open" or not session["allow_promotion_codes"]:
        raise RefusedError("This session takes no promotion codes.", param="promotion_code")
    code = find_code(world, typed)
    if code is None or code["customer"] not in (None, session["customer"]):
        raise RefusedError("This code is invalid.", code="resource_missing", param="promotion_code")
    reckon(world, session, world.find("coupon", code["promotion"]["coupon"]), code)


def check_code(world: World, session: Object) -> None:
    """The code that was taken off may have been used up since: then the session costs its whole price again.

    Raises:
        RefusedError: so it is.
    """
    code = world.get(world.notes(session["id"])["code"], "promotion_code")
    if code is not None and find_code(world, code["code"]) is None:
        reckon(world, session, None, None)
        raise RefusedError("This code is no longer valid.", code="coupon_expired", param="promotion_code")


def pay_once(world: World, session: Object, kind: str, outcome: str, email: str | None) -> bool:
    """Pay a session of the mode `payment`; whether it is complete now. A declined card leaves it open."""
    customer = customer_of(world, session, email)
    if session["amount_total"] == 0:
        redeem_code(world, session)
        complete(world, session, "no_payment_required")
        return True
    intent = _intent_of(world, session, customer)
    method = new_method(
        world, kind, email=session["customer_details"]["email"], name=customer["name"] if customer else None
    )
    if outcome == "later":
        await_payment(world, intent, method, session["payment_method_options"] or {})
        redeem_code(world, session)
        complete(world, session, "unpaid")
        return True
    if kind == "card" and not attempt(world, intent, method, "declined" if outcome == "declined" else None):
        return False
    if kind != "card":
        succeed_intent(world, intent, method)
    if customer is not None and intent["setup_future_usage"]:
        attach(world, method, customer)
    redeem_code(world, session)
    _receipt(world, session, customer, intent)
    complete(world, session, "paid")
    return True


def end_awaited(world: World, session: Object, intent: Object, *, paid: bool) -> None:
    """A Pix code or boleto handed out by a session of the mode `payment` was paid, or lapsed."""
    method = world.find("payment_method", intent["payment_method"])
    if not paid:
        fail_intent(world, intent, method, "lapsed")
        world.emit("checkout.session.async_payment_failed", session)
        return
    succeed_intent(world, intent, method)
    _receipt(world, session, world.get(session["customer"], "customer"), intent)
    world.change(session, payment_status="paid")
    world.emit("checkout.session.async_payment_succeeded", session)


def complete(world: World, session: Object, payment_status: str) -> None:
    clear_timer(world, session, "expire_session")
    world.change(session, status="complete", payment_status=payment_status, url=None)
    world.emit("checkout.session.completed", session)


def customer_of(world: World, session: Object, email: str | None) -> Object | None:
    """Who pays: the customer of the session, or one made now where it asks for one; and what the page learnt."""
    known = world.get(session["customer"], "customer")
    address = (known["email"] if known else None) or session["customer_email"] or email or "cliente@example.com"
    if known is None and session["customer_creation"] == "always":
        known = new_customer(world, email=address)
        world.emit("customer.created", known)
        world.change(session, customer=known["id"])
    elif known is not None and known["email"] is None:
        world.emit("customer.updated", known, world.change(known, email=address))
    details: dict[str, Any] = {"address": dict(_ADDRESS), "email": address, "name": known["name"] if known else None}
    details |= {"business_name": None, "individual_name": None, "phone": None, "tax_exempt": "none", "tax_ids": []}
    world.change(session, customer_details=details)
    return known


def _intent_of(world: World, session: Object, customer: Object | None) -> Object:
    known = world.get(session["payment_intent"], "payment_intent")
    if known is not None and known["status"] == "requires_payment_method":
        world.change(known, amount=session["amount_total"])
        return known
    data = world.notes(session["id"])["data"]
    intent = new_intent(
        world,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=customer["id"] if customer else None,
        description=data.get("description"),
        metadata=data.get("metadata") or {},
        payment_method_types=session["payment_method_types"],
        receipt_email=data.get("receipt_email"),
        setup_future_usage=data.get("setup_future_usage"),
        statement_descriptor_suffix=data.get("statement_descriptor_suffix"),
    )
    world.note(intent["id"], session=session["id"])
    world.change(session, payment_intent=intent["id"])
    return intent


def redeem_code(world: World, session: Object) -> None:
    """Count the coupon and the code that made the session cheaper."""
    notes = world.notes(session["id"])
    coupon = world.get(notes["coupon"], "coupon")
    if coupon is not None:
        redeem(world, coupon, world.get(notes["code"], "promotion_code"))


def _receipt(world: World, session: Object, customer: Object | None, intent: Object) -> None:
    """The paid invoice of a session that asks for one."""
    if not session["invoice_creation"]["enabled"]:
        return
    given = world.notes(session["id"])["invoice_data"]
    now = world.now()
    lines = [
        Line(
            amount=shown["amount_subtotal"],
            description=item.name,
            period=(now, now),
            price=item.price,
            quantity=item.quantity,
            discount=shown["amount_discount"],
        )
        for item, shown in zip(items_of(world, session), line_items_of(world, session), strict=True)
    ]
    more = {
        "metadata": given.get("metadata") or {},
        "description": given.get("description"),
        "footer": given.get("footer"),
    }
    invoice = new_invoice(world, customer=customer, currency=session["currency"], lines=lines, reason="manual", **more)
    finalise(world, invoice)
    link_intent(world, invoice, intent)
    mark_paid(world, invoice)
    world.change(session, invoice=invoice["id"])
