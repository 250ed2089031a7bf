"""What programs, and people on an invoice's page, ask of invoices."""

from typing import Any

from local_run.demo_stripe.objects.invoices import (
    Line,
    check_payable,
    finalise,
    mark_paid,
    new_invoice,
    refusal_of,
    settle_invoice,
    void,
)
from local_run.demo_stripe.objects.subscriptions import follow_paid_invoice, method_of, subscription_id_of
from local_run.demo_stripe.wire.errors import RefusedError, missing_parameter
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.timers import clear_timer
from local_run.demo_stripe.world.world import World


def create_item(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    """What the next invoice of the customer shall charge, or the draft that is named."""
    understood(parameters, "customer", "amount", "currency", "description", "invoice")
    customer = world.find("customer", parameters.get("customer", ""), "customer")
    for name in ("amount", "currency"):
        if name not in parameters:
            raise missing_parameter(name)
    now = world.now()
    item = world.create(
        "invoiceitem",
        "ii",
        amount=parameters["amount"],
        currency=parameters["currency"],
        customer=customer["id"],
        date=now,
        description=parameters.get("description"),
        discountable=True,
        discounts=[],
        invoice=None,
        metadata=merged_metadata({}, parameters.get("metadata")),
        period={"start": now, "end": now},
        proration=False,
        quantity=1,
        quantity_decimal="1",
        tax_rates=[],
    )
    if "invoice" in parameters:
        raise RefusedError("The demo Stripe does not do this: invoice", code="demo_not_done", param="invoice")
    return item


def create_invoice(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    """A draft with the customer's waiting items."""
    understood(
        parameters,
        *("customer", "currency", "description", "auto_advance", "collection_method", "default_payment_method"),
        "pending_invoice_items_behavior",
    )
    customer = world.find("customer", parameters.get("customer", ""), "customer")
    takes = parameters.get("pending_invoice_items_behavior", "exclude") == "include"
    items = [
        each
        for each in [*world.all_of("invoiceitem")][::-1]
        if takes and each["customer"] == customer["id"] and each["invoice"] is None
    ]
    lines = [
        Line(
            amount=each["amount"],
            description=each["description"] or "",
            period=(each["period"]["start"], each["period"]["end"]),
            invoice_item=each["id"],
        )
        for each in items
    ]
    currency = items[0]["currency"] if items else parameters.get("currency", "brl")
    given = set_or_none(parameters, "description", "auto_advance", "default_payment_method", "collection_method")
    metadata = merged_metadata({}, parameters.get("metadata"))
    invoice = new_invoice(
        world, customer=customer, currency=currency, lines=lines, reason="manual", metadata=metadata, **given
    )
    for each in items:
        world.change(each, invoice=invoice["id"])
    return invoice


def finalise_invoice(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "auto_advance")
    invoice = world.find("invoice", ids[0])
    finalise(world, invoice)
    return invoice


def pay_invoice(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    """By the method that is named, or the default one.

    Raises:
        RefusedError: it is paid already, not open, or the money did not come.
    """
    understood(parameters, "payment_method", "off_session", "paid_out_of_band")
    invoice = world.find("invoice", ids[0])
    if invoice["status"] == "draft":
        finalise(world, invoice)
    check_payable(invoice)
    if parameters.get("paid_out_of_band"):
        mark_paid(world, invoice)
        follow_invoice(world, invoice)
        return invoice
    named = parameters.get("payment_method")
    method = world.find("payment_method", named, "payment_method") if named else _default_method(world, invoice)
    pay_with(world, invoice, method)
    return invoice


def pay_with(world: World, invoice: Object, method: Object | None, outcome: str | None = None) -> None:
    """
    Raises:
        RefusedError: the money did not come.
    """
    if not settle_invoice(world, invoice, method, outcome):
        raise refusal_of(world, invoice)
    follow_invoice(world, invoice)


def follow_invoice(world: World, invoice: Object) -> None:
    """It is paid: what hangs on it goes on."""
    clear_timer(world, invoice, "collect_invoice")
    subscription = world.get(subscription_id_of(invoice), "subscription")
    if subscription is not None:
        follow_paid_invoice(world, subscription)


def _default_method(world: World, invoice: Object) -> Object | None:
    subscription = world.get(subscription_id_of(invoice), "subscription")
    if subscription is not None:
        return method_of(world, subscription)
    customer = world.get(invoice["customer"], "customer")
    default = customer["invoice_settings"]["default_payment_method"] if customer else None
    return world.get(invoice["default_payment_method"] or default, "payment_method")


def void_invoice(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    invoice = world.find("invoice", ids[0])
    void(world, invoice)
    clear_timer(world, invoice, "collect_invoice")
    return invoice


def delete_invoice(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    invoice = world.find("invoice", ids[0])
    if invoice["status"] != "draft" or invoice["parent"] is not None:
        raise RefusedError("You can only delete draft invoices that do not belong to a subscription.")
    world.remove(invoice)
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


def retrieve_invoice(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("invoice", ids[0])


def list_invoices(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "customer", "status", "subscription", "collection_method")
    wanted = same(parameters, "customer", "status", "collection_method")

    def matches(invoice: Object) -> bool:
        of = subscription_id_of(invoice)
        return wanted(invoice) and parameters.get("subscription", of) == of

    return page_of(world.all_of("invoice"), "/v1/invoices", parameters, matches)


def list_payments(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "invoice", "status", "payment")
    payment = {name: value for name, value in parameters.get("payment", {}).items() if name != "type"}
    wanted = same(parameters, "invoice", "status")

    def matches(each: Object) -> bool:
        return wanted(each) and all(each["payment"].get(name) == value for name, value in payment.items())

    return page_of(world.all_of("invoice_payment"), "/v1/invoice_payments", parameters, matches)


def retrieve_payment(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("invoice_payment", ids[0])
