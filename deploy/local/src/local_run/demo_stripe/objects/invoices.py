"""Invoices: made, finalised, paid, voided."""

from dataclasses import dataclass
from typing import Any, Final

from local_run.demo_stripe.objects.intents import attempt, cancel_intent, card_error, new_intent
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.lists import list_of
from local_run.demo_stripe.wire.shapes import Object, make
from local_run.demo_stripe.world.world import World

_USUAL: Final[Object] = {
    "account_country": "BR",
    "account_name": "Solaris (demo)",
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_paid_off_stripe": 0,
    "amount_shipping": 0,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "collection_method": "charge_automatically",
    "customer_tax_exempt": "none",
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "starting_balance": 0,
    "status": "draft",
}
"""Of every draft."""
_LISTS: Final = ("customer_tax_ids", "default_tax_rates", "discounts", "total_discount_amounts", "total_taxes")
_SETTINGS: Final = ("default_mandate", "payment_method_options", "payment_method_types")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What an invoice charges for, in minor units, before and after discounts; `period` in Unix seconds."""

    amount: int
    description: str
    period: tuple[int, int]
    price: Object | None = None
    quantity: int = 1
    discount: int = 0
    subscription_item: Object | None = None
    proration: bool = False
    invoice_item: str | None = None


def new_invoice(
    world: World, *, customer: Object | None, currency: str, lines: list[Line], reason: str, **values: Any
) -> Object:
    """A draft. `values` are further fields of the invoice: `parent`, `description`, `metadata`."""
    subtotal = sum(line.amount for line in lines)
    total = subtotal - sum(line.discount for line in lines)
    due = max(total, 0)
    invoice = world.create(
        "invoice",
        "in",
        **{
            **_USUAL,
            "amount_due": due,
            "amount_remaining": due,
            "automatic_tax": {"enabled": False},
            "billing_reason": reason,
            "currency": currency,
            "customer": customer["id"] if customer else None,
            "customer_email": customer["email"] if customer else None,
            "customer_name": customer["name"] if customer else None,
            "issuer": {"type": "self"},
            "lines": list_of([], ""),
            "metadata": {},
            "payment_settings": dict.fromkeys(_SETTINGS),
            "period_end": world.now(),
            "period_start": world.now(),
            "status_transitions": {},
            "subtotal": subtotal,
            "subtotal_excluding_tax": subtotal,
            "total": total,
            "total_excluding_tax": total,
            **{name: [] for name in _LISTS},
            **values,
        },
    )
    url = f"/v1/invoices/{invoice['id']}/lines"
    world.change(invoice, lines=list_of([_line_of(world, invoice, line) for line in lines], url))
    world.emit("invoice.created", invoice)
    return invoice


def _line_of(world: World, invoice: Object, line: Line) -> Object:
    pricing = None
    if line.price is not None:
        names = {"price": line.price["id"], "product": line.price["product"]}
        pricing = {
            "price_details": names,
            "type": "price_details",
            "unit_amount_decimal": str(line.price["unit_amount"]),
        }
    return make(
        "line_item",
        id=world.new_id("il"),
        amount=line.amount - line.discount,
        currency=invoice["currency"],
        description=line.description,
        discount_amounts=[],
        discountable=not line.proration,
        discounts=[],
        invoice=invoice["id"],
        livemode=False,
        metadata={},
        parent=_line_parent(invoice, line),
        period={"start": line.period[0], "end": line.period[1]},
        pretax_credit_amounts=[],
        pricing=pricing,
        quantity=line.quantity,
        subscription=line.subscription_item["subscription"] if line.subscription_item else None,
        subtotal=line.amount,
        taxes=[],
    )


def _line_parent(invoice: Object, line: Line) -> Object:
    if line.subscription_item is None:
        details = {"invoice_item": line.invoice_item or f"ii_of_{invoice['id']}", "proration": line.proration}
        return {"type": "invoice_item_details", "invoice_item_details": details}
    names = {"subscription": line.subscription_item["subscription"], "subscription_item": line.subscription_item["id"]}
    return {"type": "subscription_item_details", "subscription_item_details": {"proration": line.proration, **names}}


def finalise(world: World, invoice: Object) -> None:
    """Fix it: it has its number, its page, and a payment intent where something is to be paid."""
    if invoice["status"] != "draft":
        raise RefusedError("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    page = f"{world.base_url}/i/{invoice['id']}"
    _use_balance(world, invoice)
    world.change(
        invoice,
        status="open",
        effective_at=world.now(),
        hosted_invoice_url=page,
        invoice_pdf=f"{page}/pdf",
        number=_next_number(world, invoice),
        status_transitions={**invoice["status_transitions"], "finalized_at": world.now()},
    )
    world.emit("invoice.finalized", invoice)


def _use_balance(world: World, invoice: Object) -> None:
    """What the customer has to its credit pays first; what an invoice gives back is credit for the next ones."""
    customer = world.get(invoice["customer"], "customer")
    if customer is None:
        return
    before = customer["balance"]  # below zero: a credit, as Stripe counts
    used = min(-before, invoice["total"]) if before < 0 < invoice["total"] else min(invoice["total"], 0)
    if used == 0:
        return
    due = max(invoice["total"] - used, 0) if invoice["total"] > 0 else 0
    world.change(customer, balance=before + used)
    world.change(
        invoice,
        amount_due=due,
        amount_remaining=due,
        starting_balance=before,
        ending_balance=before + used,
    )
    world.emit("customer.updated", customer, {"balance": before})


def _next_number(world: World, invoice: Object) -> str:
    customer = world.get(invoice["customer"], "customer")
    if customer is None:
        return f"DEMO-{world.count('invoice'):04d}"
    number = customer["next_invoice_sequence"]
    world.change(customer, next_invoice_sequence=number + 1)
    return f"{customer['invoice_prefix']}-{number:04d}"


def settle_invoice(world: World, invoice: Object, method: Object | None, outcome: str | None = None) -> bool:
    """Take what is due, where something is; whether the invoice is paid now.

    Raises:
        RefusedError: it is not open.
    """
    check_payable(invoice)
    if invoice["amount_remaining"] == 0:
        mark_paid(world, invoice)
        return True
    return method is not None and _charge(world, invoice, method, outcome)


def refusal_of(world: World, invoice: Object) -> RefusedError:
    """Why it is not paid."""
    intent = intent_of(world, invoice)
    if intent["last_payment_error"] is None:
        return RefusedError(
            "There is no payment method: name one, or set the customer's default.", param="payment_method"
        )
    return card_error(intent)


def _charge(world: World, invoice: Object, method: Object, outcome: str | None) -> bool:
    intent = intent_of(world, invoice)
    world.change(invoice, attempted=True, attempt_count=invoice["attempt_count"] + 1)
    if not attempt(world, intent, method, outcome):
        world.emit("invoice.payment_failed", invoice)
        return False
    mark_paid(world, invoice)
    return True


def check_payable(invoice: Object) -> None:
    if invoice["status"] == "paid":
        raise RefusedError("Invoice is already paid")
    if invoice["status"] != "open":
        raise RefusedError(f"Invoice cannot be paid: it is {invoice['status']}.")


def intent_of(world: World, invoice: Object) -> Object:
    """The payment intent that pays it; made when first asked for."""
    payment = next((each for each in world.all_of("invoice_payment") if each["invoice"] == invoice["id"]), None)
    if payment is not None:
        return world.find("payment_intent", payment["payment"]["payment_intent"])
    intent = new_intent(
        world,
        amount=invoice["amount_remaining"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        description=invoice["description"] or f"Invoice {invoice['number']}",
        setup_future_usage="off_session" if invoice["parent"] else None,
    )
    link_intent(world, invoice, intent)
    return intent


def link_intent(world: World, invoice: Object, intent: Object) -> Object:
    """Write down that this intent pays that invoice."""
    world.note(intent["id"], invoice=invoice["id"])
    return world.create(
        "invoice_payment",
        "inpay",
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status="open",
        status_transitions={},
    )


def mark_paid(world: World, invoice: Object) -> None:
    """Whatever paid it did so."""
    for payment in world.all_of("invoice_payment"):
        if payment["invoice"] == invoice["id"] and payment["status"] == "open":
            times = {**payment["status_transitions"], "paid_at": world.now()}
            world.change(payment, status="paid", amount_paid=payment["amount_requested"], status_transitions=times)
            world.emit("invoice_payment.paid", payment)
    world.change(
        invoice,
        status="paid",
        attempted=True,
        auto_advance=False,
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        ending_balance=invoice["ending_balance"] or 0,
        next_payment_attempt=None,
        status_transitions={**invoice["status_transitions"], "paid_at": world.now()},
    )
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)


def void(world: World, invoice: Object) -> None:
    if invoice["status"] not in ("open", "uncollectible"):
        raise RefusedError(f"You can only pass in open invoices. This invoice is {invoice['status']}.")
    for payment in world.all_of("invoice_payment"):
        if payment["invoice"] == invoice["id"] and payment["status"] == "open":
            times = {**payment["status_transitions"], "canceled_at": world.now()}
            world.change(payment, status="canceled", status_transitions=times)
            intent = world.find("payment_intent", payment["payment"]["payment_intent"])
            if intent["status"] != "canceled":
                cancel_intent(world, intent, "void_invoice")
    customer = world.get(invoice["customer"], "customer")
    if customer is not None and invoice["ending_balance"] is not None:  # what it took of a credit, or gave as one
        world.change(customer, balance=customer["balance"] + invoice["starting_balance"] - invoice["ending_balance"])
    times = {**invoice["status_transitions"], "voided_at": world.now()}
    world.change(invoice, status="void", auto_advance=False, next_payment_attempt=None, status_transitions=times)
    world.emit("invoice.voided", invoice)


def payments_of(world: World, invoice: Object) -> Object:
    """The list that an invoice shows when it is expanded."""
    found = [each for each in world.all_of("invoice_payment") if each["invoice"] == invoice["id"]]
    return list_of(found, f"/v1/invoice_payments?invoice={invoice['id']}")
