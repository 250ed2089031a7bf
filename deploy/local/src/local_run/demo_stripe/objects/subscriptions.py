"""Subscriptions: begun, renewed when their period ends, unpaid, ended."""

from typing import Any, Final

from local_run.demo_stripe.objects.invoices import Line, finalise, new_invoice, settle_invoice, void
from local_run.demo_stripe.objects.periods import period_end
from local_run.demo_stripe.objects.promotions import discount_minor
from local_run.demo_stripe.wire.lists import list_of
from local_run.demo_stripe.wire.shapes import Object, make
from local_run.demo_stripe.world.timers import clear_timer, set_timer
from local_run.demo_stripe.world.world import World

COLLECT_AFTER_SECONDS: Final = 3_600
"""A renewal's invoice stays a draft for an hour, while the new period runs already: as Stripe does it."""
RETRY_AFTER_SECONDS: Final = (3 * 86_400, 5 * 86_400, 7 * 86_400)
"""After each failed attempt; when all have failed the subscription ends."""
INCOMPLETE_SECONDS: Final = 23 * 3_600
LIVING: Final = ("active", "past_due", "incomplete", "unpaid", "trialing")


def begin_subscription(
    world: World, *, customer: Object, items: list[tuple[Object, int]], coupon: Object | None = None, **values: Any
) -> Object:
    """An incomplete one with an open invoice, which makes it active when it is paid; `items` are (price, quantity)."""
    now = world.now()
    price = items[0][0]
    settings = {"payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off"}
    subscription = world.create(
        "subscription",
        "sub",
        **{
            "automatic_tax": {"enabled": False},
            "billing_cycle_anchor": now,
            "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
            "billing_schedules": [],
            "cancel_at_period_end": False,
            "cancellation_details": {},
            "collection_method": "charge_automatically",
            "currency": price["currency"],
            "customer": customer["id"],
            "discounts": [],
            "invoice_settings": {"issuer": {"type": "self"}},
            "items": list_of([], ""),
            "metadata": {},
            "payment_settings": settings,
            "start_date": now,
            "status": "incomplete",
            "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
            **values,
        },
    )
    end = period_end(now, now, price["recurring"]["interval"], price["recurring"]["interval_count"])
    made = [new_item(world, subscription, each, quantity, (now, end)) for each, quantity in items]
    world.change(subscription, items=list_of(made, f"/v1/subscription_items?subscription={subscription['id']}"))
    world.note(subscription["id"], coupon=coupon["id"] if coupon and coupon["duration"] != "once" else None)
    world.emit("customer.subscription.created", subscription)
    invoice = bill(world, subscription, _period_lines(world, subscription, coupon), "subscription_create")
    finalise(world, invoice)
    set_timer(world, subscription, "expire_incomplete", now + INCOMPLETE_SECONDS)
    return subscription


def new_item(world: World, subscription: Object, price: Object, quantity: int, period: tuple[int, int]) -> Object:
    return make(
        "subscription_item",
        id=world.new_id("si"),
        created=world.now(),
        current_period_end=period[1],
        current_period_start=period[0],
        discounts=[],
        metadata={},
        plan=plan_of(price),
        price=price,
        quantity=quantity,
        subscription=subscription["id"],
        tax_rates=[],
    )


def plan_of(price: Object) -> Object:
    """The price in the shape of before there were prices; items still carry it."""
    names = ("id", "active", "created", "currency", "livemode", "metadata", "nickname", "product", "billing_scheme")
    recurring = {name: price["recurring"][name] for name in ("interval", "interval_count", "usage_type")}
    amount = {"amount": price["unit_amount"], "amount_decimal": price["unit_amount_decimal"]}
    return make("plan", **{name: price[name] for name in names}, **recurring, **amount)


def bill(world: World, subscription: Object, lines: list[Line], reason: str) -> Object:
    """A draft invoice of the subscription, with what waited for the next one."""
    waiting = [Line(**each) for each in world.notes(subscription["id"]).get("waiting", [])]
    world.note(subscription["id"], waiting=[])
    customer = world.get(subscription["customer"], "customer")
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    start, end = period_of(subscription)
    billed = {"period_start": start, "period_end": end if reason == "subscription_update" else start}
    invoice = new_invoice(
        world,
        customer=customer,
        currency=subscription["currency"],
        lines=[*waiting, *lines],
        reason=reason,
        parent={"type": "subscription_details", "subscription_details": details},
        **billed,
    )
    world.change(subscription, latest_invoice=invoice["id"])
    return invoice


def _period_lines(world: World, subscription: Object, coupon: Object | None) -> list[Line]:
    lines = []
    for item in subscription["items"]["data"]:
        amount = item["price"]["unit_amount"] * item["quantity"]
        off = discount_minor(coupon, amount, subscription["currency"]) if coupon else 0
        period = (item["current_period_start"], item["current_period_end"])
        lines.append(period_line(world, item, period, off))
    return lines


def period_line(world: World, item: Object, period: tuple[int, int], discount: int = 0) -> Line:
    """What a whole period of an item costs."""
    return Line(
        amount=item["price"]["unit_amount"] * item["quantity"],
        description=name_of(world, item),
        period=period,
        price=item["price"],
        quantity=item["quantity"],
        discount=discount,
        subscription_item=item,
    )


def name_of(world: World, item: Object) -> str:
    """What people call what the item sells."""
    product = world.get(item["price"]["product"], "product")
    return str(item["price"]["nickname"] or (product["name"] if product else item["price"]["id"]))


def period_of(subscription: Object) -> tuple[int, int]:
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def method_of(world: World, subscription: Object) -> Object | None:
    """What it is paid by: its own default, else the customer's."""
    customer = world.get(subscription["customer"], "customer")
    default = customer["invoice_settings"]["default_payment_method"] if customer else None
    return world.get(subscription["default_payment_method"] or default, "payment_method")


def update(world: World, subscription: Object, **values: Any) -> None:
    """Change it, and tell where something did change."""
    before = world.change(subscription, **values)
    if before:
        world.emit("customer.subscription.updated", subscription, before)


def follow_paid_invoice(world: World, subscription: Object) -> None:
    """An invoice of it was paid: unless another one is open it is active, and its next period is waited for."""
    clear_timer(world, subscription, "expire_incomplete")
    unpaid = [each for each in invoices_of(world, subscription) if each["status"] == "open"]
    if subscription["status"] in ("incomplete", "past_due", "unpaid") and not unpaid:
        update(world, subscription, status="active")
    if subscription["status"] in LIVING:
        set_timer(world, subscription, "end_period", period_of(subscription)[1])


def invoices_of(world: World, subscription: Object) -> list[Object]:
    return [each for each in world.all_of("invoice") if subscription_id_of(each) == subscription["id"]]


def subscription_id_of(invoice: Object) -> str | None:
    details = (invoice["parent"] or {}).get("subscription_details")
    return str(details["subscription"]) if details else None


# --- with time ---


def end_period(world: World, subscription: Object) -> None:
    """A period is over: the subscription ends, or the next one begins, and its invoice waits for an hour."""
    if subscription["status"] not in ("active", "past_due", "unpaid"):
        return
    if subscription["cancel_at_period_end"] or (subscription["cancel_at"] or world.now() + 1) <= world.now():
        end_subscription(world, subscription, "cancellation_requested")
        return
    start = period_of(subscription)[1]
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    end = period_end(start, subscription["billing_cycle_anchor"], recurring["interval"], recurring["interval_count"])
    periods = {"current_period_start": start, "current_period_end": end}
    items = [{**item, **periods} for item in subscription["items"]["data"]]
    before = world.change(subscription, items={**subscription["items"], "data": items})
    coupon = world.get(world.notes(subscription["id"]).get("coupon"), "coupon")
    invoice = bill(world, subscription, _period_lines(world, subscription, coupon), "subscription_cycle")
    world.change(invoice, automatically_finalizes_at=world.now() + COLLECT_AFTER_SECONDS)
    world.emit("customer.subscription.updated", subscription, before)
    set_timer(world, invoice, "collect_invoice", world.now() + COLLECT_AFTER_SECONDS)
    set_timer(world, subscription, "end_period", end)


def collect_invoice(world: World, invoice: Object) -> None:
    """Take what a renewal costs, once more after each failure; when nothing helps the subscription ends."""
    subscription = world.get(subscription_id_of(invoice), "subscription")
    if invoice["status"] == "draft":
        finalise(world, invoice)
    if invoice["status"] != "open" or subscription is None or subscription["status"] not in LIVING:
        return
    method = method_of(world, subscription)
    if settle_invoice(world, invoice, method):
        follow_paid_invoice(world, subscription)
        return
    failures = invoice["attempt_count"] - 1
    if method is None or failures >= len(RETRY_AFTER_SECONDS):
        world.change(invoice, next_payment_attempt=None)
        end_subscription(world, subscription, "payment_failed")
        return
    again_at = world.now() + RETRY_AFTER_SECONDS[failures]
    world.change(invoice, next_payment_attempt=again_at)
    set_timer(world, invoice, "collect_invoice", again_at)
    update(world, subscription, status="past_due")


def expire_incomplete(world: World, subscription: Object) -> None:
    """The first payment never came."""
    if subscription["status"] != "incomplete":
        return
    for invoice in invoices_of(world, subscription):
        if invoice["status"] == "open":
            void(world, invoice)
    update(world, subscription, status="incomplete_expired", ended_at=world.now())


def end_subscription(world: World, subscription: Object, reason: str, details: Object | None = None) -> None:
    for deed in ("end_period", "expire_incomplete", "cancel_at"):
        clear_timer(world, subscription, deed)
    for invoice in invoices_of(world, subscription):
        clear_timer(world, invoice, "collect_invoice")
    world.change(
        subscription,
        canceled_at=subscription["canceled_at"] or world.now(),
        cancel_at_period_end=False,
        cancellation_details={**subscription["cancellation_details"], "reason": reason, **(details or {})},
        ended_at=world.now(),
        status="canceled",
    )
    world.emit("customer.subscription.deleted", subscription)
