"""Changes of a running subscription: another price now or later, and what the rest of a period is worth."""

from dataclasses import asdict
from typing import Any

from local_run.demo_stripe.objects.invoices import Line, finalise, refusal_of, settle_invoice, void
from local_run.demo_stripe.objects.periods import period_end, unused_minor
from local_run.demo_stripe.objects.subscriptions import (
    LIVING,
    bill,
    end_period,
    end_subscription,
    follow_paid_invoice,
    method_of,
    name_of,
    new_item,
    period_line,
    period_of,
    plan_of,
    update,
)
from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import understood
from local_run.demo_stripe.world.timers import clear_timer, set_timer
from local_run.demo_stripe.world.world import World


def change_items(world: World, subscription: Object, given: list[dict[str, Any]], options: dict[str, Any]) -> Object:
    """Other prices or quantities, prorated as `options` say (`proration_behavior`, `billing_cycle_anchor`, …).

    Raises:
        RefusedError: it has ended, or the difference could not be taken where that was asked for.
    """
    if subscription["status"] not in LIVING:
        raise RefusedError("A canceled subscription can only update its cancellation_details and metadata.")
    old = subscription["items"]["data"]
    at = options.get("proration_date", world.now())
    fresh = _changed_items(world, subscription, given)
    restarts = options.get("billing_cycle_anchor") == "now" or _interval(old) != _interval(fresh)
    behaviour = options.get("proration_behavior", "create_prorations")
    lines = _proration_lines(world, old, fresh, at, whole_new=restarts) if behaviour != "none" else []
    kept = {name: subscription[name] for name in ("items", "billing_cycle_anchor", "latest_invoice", "status")}
    changes: Object = {"items": {**subscription["items"], "data": fresh}}
    if restarts:
        changes["billing_cycle_anchor"] = at
        _restart(fresh, at)
    update(world, subscription, **changes)
    set_timer(world, subscription, "end_period", period_of(subscription)[1])
    if lines and (behaviour == "always_invoice" or restarts):
        _settle_now(world, subscription, lines, options, kept)
    elif lines:
        waiting = world.notes(subscription["id"]).get("waiting", [])
        world.note(subscription["id"], waiting=[*waiting, *(asdict(line) for line in lines)])
    return subscription


def _changed_items(world: World, subscription: Object, given: list[dict[str, Any]]) -> list[Object]:
    items = {item["id"]: dict(item) for item in subscription["items"]["data"]}
    period = period_of(subscription)
    for number, each in enumerate(given):
        path = f"items[{number}]"
        understood(each, "id", "price", "quantity", "deleted")
        price = world.find("price", each["price"], f"{path}[price]") if "price" in each else None
        if price is not None and (price["type"] != "recurring" or price["currency"] != subscription["currency"]):
            raise invalid_parameter(f"{path}[price]", "The price must be recurring and in the subscription's currency.")
        if "id" not in each:
            if price is None:
                raise invalid_parameter(f"{path}[price]", "A new item needs a price.")
            item = new_item(world, subscription, price, each.get("quantity", 1), period)
            items[item["id"]] = item
            continue
        if each["id"] not in items:
            raise invalid_parameter(f"{path}[id]", f"The subscription has no item {each['id']}.")
        item = items[each["id"]]
        if each.get("deleted"):
            del items[each["id"]]
        item |= {"quantity": each.get("quantity", item["quantity"])}
        if price is not None:
            item |= {"price": price, "plan": plan_of(price)}
    if not items:
        raise invalid_parameter("items", "A subscription must have at least one item.")
    return list(items.values())


def _proration_lines(world: World, old: list[Object], fresh: list[Object], at: int, *, whole_new: bool) -> list[Line]:
    """Less for what is left of the old prices, more for the new ones; a new period costs its whole price."""
    was, becomes = {item["id"]: item for item in old}, {item["id"]: item for item in fresh}
    lines = []
    for identifier in was | becomes:
        before, after = was.get(identifier), becomes.get(identifier)
        if before and after and _charged(before) == _charged(after) and not whole_new:
            continue
        if before is not None:
            lines.append(_rest_line(world, before, at, sign=-1, word="Unused time on"))
        if after is not None and not whole_new:
            lines.append(_rest_line(world, after, at, sign=1, word="Remaining time on"))
        elif after is not None:
            lines.append(period_line(world, after, (at, _end_from(after, at))))
    return lines


def _charged(item: Object) -> tuple[str, int]:
    return item["price"]["id"], item["quantity"]


def _rest_line(world: World, item: Object, at: int, *, sign: int, word: str) -> Line:
    start, end = item["current_period_start"], item["current_period_end"]
    amount = unused_minor(item["price"]["unit_amount"] * item["quantity"], start, end, at)
    return Line(
        amount=sign * amount,
        description=f"{word} {name_of(world, item)}",
        period=(at, end),
        price=item["price"],
        quantity=item["quantity"],
        subscription_item=item,
        proration=True,
    )


def _restart(items: list[Object], at: int) -> None:
    for item in items:
        item |= {"current_period_start": at, "current_period_end": _end_from(item, at)}


def _end_from(item: Object, at: int) -> int:
    recurring = item["price"]["recurring"]
    return period_end(at, at, recurring["interval"], recurring["interval_count"])


def _settle_now(world: World, subscription: Object, lines: list[Line], options: dict[str, Any], kept: Object) -> None:
    """Take the difference at once; where it does not come, as `payment_behavior` says."""
    behaviour = options.get("payment_behavior", "allow_incomplete")
    if behaviour not in ("allow_incomplete", "error_if_incomplete"):
        raise RefusedError(f"The demo Stripe does not do this: payment_behavior={behaviour}", code="demo_not_done")
    waiting = world.notes(subscription["id"]).get("waiting", [])
    invoice = bill(world, subscription, lines, "subscription_update")
    finalise(world, invoice)
    if settle_invoice(world, invoice, method_of(world, subscription)):
        follow_paid_invoice(world, subscription)
        return
    if behaviour == "allow_incomplete":
        update(world, subscription, status="past_due")
        return
    refusal = refusal_of(world, invoice)
    void(world, invoice)
    world.note(subscription["id"], waiting=waiting)
    update(world, subscription, **kept)
    set_timer(world, subscription, "end_period", period_of(subscription)[1])
    raise refusal


def change_later(world: World, subscription: Object, given: list[dict[str, Any]]) -> None:
    """Other prices from the next period on, without proration; a later call replaces an earlier one."""
    _changed_items(world, subscription, given)
    world.note(subscription["id"], from_next_period=given)


def end_changed_period(world: World, subscription: Object) -> None:
    """A period is over: what was put off until then comes first."""
    given = world.notes(subscription["id"]).get("from_next_period")
    if given and subscription["status"] in LIVING and not subscription["cancel_at_period_end"]:
        world.note(subscription["id"], from_next_period=None)
        data = _changed_items(world, subscription, given)
        update(world, subscription, items={**subscription["items"], "data": data})
    end_period(world, subscription)


def change_ending(world: World, subscription: Object, options: dict[str, Any]) -> None:
    """`cancel_at_period_end` or `cancel_at`: it runs on until then."""
    if "cancel_at_period_end" in options:
        ends = options["cancel_at_period_end"]
        update(
            world,
            subscription,
            cancel_at_period_end=ends,
            cancel_at=period_of(subscription)[1] if ends else None,
            canceled_at=world.now() if ends else None,
            cancellation_details={
                **subscription["cancellation_details"],
                "reason": "cancellation_requested" if ends else None,
            },
        )
    if "cancel_at" in options:
        at = options["cancel_at"] or None
        if at is not None and (not isinstance(at, int) or at <= world.now()):
            raise invalid_parameter("cancel_at", "cancel_at must be a timestamp in the future")
        update(world, subscription, cancel_at=at, canceled_at=world.now() if at else None)
        if at is None:
            clear_timer(world, subscription, "cancel_at")
        else:
            set_timer(world, subscription, "cancel_at", at)


def end_at_time(world: World, subscription: Object) -> None:
    """The timer of `cancel_at`."""
    if subscription["status"] in LIVING:
        end_subscription(world, subscription, "cancellation_requested")


def _interval(items: list[Object]) -> tuple[str, int]:
    recurring = items[0]["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]
