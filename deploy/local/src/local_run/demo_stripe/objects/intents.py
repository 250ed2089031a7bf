"""Payment intents and their charges: what is wanted, and each attempt to take it."""

from typing import Any, Final

from local_run.demo_stripe.objects.steering import next_of
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.timers import clear_timer, set_timer
from local_run.demo_stripe.world.world import World

DAY_SECONDS: Final = 86_400
LEAST_MINOR: Final = 50
PIX_SECONDS: Final = 4 * 3_600
BOLETO_DAYS: Final = 3
_REASONS: Final = {
    "declined": ("card_declined", "generic_decline", "Your card was declined."),
    "authentication_required": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}


def check_amount(amount: int, param: str = "amount") -> None:
    """
    Raises:
        RefusedError: it is less than Stripe takes, in any of the demo's currencies.
    """
    if amount < LEAST_MINOR:
        message = f"Amount must be no less than {LEAST_MINOR} of the currency's smallest unit."
        raise RefusedError(message, code="amount_too_small", param=param)


def new_intent(world: World, *, amount: int, currency: str, **values: Any) -> Object:
    intent = world.create(
        "payment_intent",
        "pi",
        **{
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "capture_method": "automatic_async",
            "confirmation_method": "automatic",
            "currency": currency,
            "metadata": {},
            "payment_method_types": ["card"],
            "payment_method_options": {},
            "status": "requires_payment_method",
            **values,
        },
    )
    world.change(intent, client_secret=f"{intent['id']}_secret_{world.new_id('x', 24)[2:]}")
    world.emit("payment_intent.created", intent)
    return intent


def attempt(world: World, intent: Object, method: Object, outcome: str | None = None) -> bool:
    """Take the money by that method, as `outcome` or the demo's steering says; whether it came."""
    if method["type"] == "card":
        behaves = world.notes(method["id"]).get("behaves")
        outcome = outcome or (behaves if behaves in _REASONS else None) or next_of(world, "card", "ok")
    if outcome in _REASONS:
        fail_intent(world, intent, method, outcome)
        return False
    succeed_intent(world, intent, method)
    return True


def succeed_intent(world: World, intent: Object, method: Object) -> Object:
    """The money came: a charge, and both events."""
    clear_timer(world, intent, "fail_unpaid_intent")
    charge = _new_charge(world, intent, method, paid=True)
    world.change(
        intent,
        amount_received=intent["amount"],
        last_payment_error=None,
        latest_charge=charge["id"],
        next_action=None,
        payment_method=method["id"],
        status="succeeded",
    )
    world.emit("charge.succeeded", charge)
    world.emit("payment_intent.succeeded", intent)
    return charge


def fail_intent(world: World, intent: Object, method: Object, outcome: str) -> None:
    """The money did not come; the intent can be tried again."""
    clear_timer(world, intent, "fail_unpaid_intent")
    error: Object
    if method["type"] == "card":
        code, decline_code, message = _REASONS[outcome]
        charge = _new_charge(world, intent, method, paid=False, failure=(code, decline_code, message))
        world.change(intent, latest_charge=charge["id"])
        world.emit("charge.failed", charge)
        error = {
            "charge": charge["id"],
            "code": code,
            "decline_code": decline_code,
            "message": message,
            "type": "card_error",
        }
    else:
        code = (
            "payment_intent_payment_attempt_expired"
            if method["type"] == "pix"
            else "payment_intent_payment_attempt_failed"
        )
        error = {"code": code, "message": "The payment was not made in time.", "type": "invalid_request_error"}
    error |= {"payment_method": dict(method)}
    world.change(
        intent, last_payment_error=error, next_action=None, payment_method=None, status="requires_payment_method"
    )
    world.emit("payment_intent.payment_failed", intent)


def await_payment(world: World, intent: Object, method: Object, options: Object) -> None:
    """A Pix code or a boleto is handed out: somebody will pay it elsewhere, or let it lapse.

    `options` are a session's `payment_method_options`, which may say for how long it counts.
    """
    is_pix = method["type"] == "pix"
    given = options.get(method["type"]) or {}
    pix_seconds = given.get("expires_after_seconds") or PIX_SECONDS
    boleto_seconds = (given.get("expires_after_days") or BOLETO_DAYS) * DAY_SECONDS
    expires_at = world.now() + (pix_seconds if is_pix else boleto_seconds)
    page = f"{world.base_url}/c/voucher/{intent['id']}"
    if is_pix:
        image = {"image_url_png": f"{page}.png", "image_url_svg": f"{page}.svg"}
        data = f"00020101021226DEMO{intent['id']}"
        shown = {"data": data, "expires_at": expires_at, "hosted_instructions_url": page, **image}
        action = {"type": "pix_display_qr_code", "pix_display_qr_code": shown}
    else:
        number = "00190000090123456789012345678901100000000000000"
        shown = {"expires_at": expires_at, "hosted_voucher_url": page, "number": number, "pdf": f"{page}.pdf"}
        action = {"type": "boleto_display_details", "boleto_display_details": shown}
    world.change(intent, next_action=action, payment_method=method["id"], status="requires_action")
    set_timer(world, intent, "fail_unpaid_intent", expires_at)
    world.emit("payment_intent.requires_action", intent)


def cancel_intent(world: World, intent: Object, reason: str | None) -> Object:
    if intent["status"] in ("succeeded", "canceled"):
        raise unexpected_state(intent, "cancel")
    clear_timer(world, intent, "fail_unpaid_intent")
    world.change(intent, canceled_at=world.now(), cancellation_reason=reason, next_action=None, status="canceled")
    world.emit("payment_intent.canceled", intent)
    return intent


def card_error(intent: Object) -> RefusedError:
    """The answer to a request whose payment failed; the intent is in it."""
    error = intent["last_payment_error"]
    more = {"charge": error.get("charge"), "decline_code": error.get("decline_code"), "payment_intent": intent}
    return RefusedError(error["message"], status=402, kind="card_error", code=error["code"], more=more)


def unexpected_state(intent: Object, verb: str) -> RefusedError:
    message = f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
    return RefusedError(message, code="payment_intent_unexpected_state", more={"payment_intent": intent})


def _new_charge(
    world: World, intent: Object, method: Object, *, paid: bool, failure: tuple[str, str, str] | None = None
) -> Object:
    kind = method["type"]
    outcome = {
        "network_status": "approved_by_network" if paid else "declined_by_network",
        "reason": failure[1] if failure else None,
        "risk_level": "normal",
        "seller_message": "Payment complete." if paid else "The bank did not return any further details.",
        "type": "authorized" if paid else "issuer_declined",
    }
    charge = world.create(
        "charge",
        "ch",
        amount=intent["amount"],
        amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="SOLARIS DEMO",
        captured=paid,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_code=failure[0] if failure else None,
        failure_message=failure[2] if failure else None,
        fraud_details={},
        metadata=dict(intent["metadata"]),
        outcome=outcome,
        paid=paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"type": kind, kind: _details(method)},
        receipt_email=intent["receipt_email"],
        refunded=False,
        status="succeeded" if paid else "failed",
    )
    if paid:
        world.change(charge, receipt_url=f"{world.base_url}/receipts/{charge['id']}")
    return charge


def _details(method: Object) -> Object:
    if method["type"] == "pix":
        return {"bank_transaction_id": f"E{method['id'][-20:]}"}
    if method["type"] == "boleto":
        return {"tax_id": method["boleto"]["tax_id"]}
    card = method["card"]
    return {
        name: card[name] for name in ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    } | {
        "checks": card["checks"],
        "network": "visa",
    }
