"""Refunds: whole or in parts, at once or later, and those that fail in the end."""

from typing import Any, Final

from local_run.demo_stripe.objects.currencies import check_step
from local_run.demo_stripe.objects.steering import next_of
from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, understood
from local_run.demo_stripe.world.timers import clear_timer, set_timer
from local_run.demo_stripe.world.world import World

PENDING_SECONDS: Final = 2 * 86_400
PIX_REFUND_SECONDS: Final = 90 * 86_400


def create_refund(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "charge", "payment_intent", "amount", "reason")
    charge = _charge_of(world, parameters)
    amount = _checked_amount(world, charge, parameters.get("amount"))
    status = next_of(world, "refund", "succeeded")
    refund = world.create(
        "refund",
        "re",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details=_destination(charge),
        metadata=merged_metadata({}, parameters.get("metadata")),
        payment_intent=charge["payment_intent"],
        reason=parameters.get("reason"),
        # One that fails is pending first: a bank says so days later.
        status="succeeded" if status == "succeeded" else "pending",
        **({} if status == "succeeded" else {"pending_reason": "processing"}),
    )
    _count(world, charge, amount)
    world.emit("refund.created", refund)
    world.emit("charge.refunded", charge)
    if status == "failed":
        end_refund(world, refund, "failed")
    elif status == "pending":
        set_timer(world, refund, "succeed_refund", world.now() + PENDING_SECONDS)
    return refund


def end_refund(world: World, refund: Object, outcome: str) -> Object:
    """Let it succeed, or fail: the money is back with us then, even after it seemed to have gone.

    Raises:
        RefusedError: it ended already.
    """
    if refund["status"] not in ("pending", "requires_action") and (refund["status"], outcome) != (
        "succeeded",
        "failed",
    ):
        raise RefusedError(f"This refund is {refund['status']}.")
    clear_timer(world, refund, "succeed_refund")
    if outcome == "succeeded":
        before = world.change(refund, status="succeeded", pending_reason=None)
        refund.pop("pending_reason")
    else:
        charge = world.find("charge", refund["charge"])
        _count(world, charge, -refund["amount"])
        changes = {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        before = world.change(refund, **changes)
        refund.pop("pending_reason", None)
        world.emit("refund.failed", refund)
    world.emit("refund.updated", refund, before)
    world.emit("charge.refund.updated", refund, before)
    return refund


def cancel_refund(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    refund = world.find("refund", ids[0])
    if refund["status"] not in ("pending", "requires_action"):
        raise RefusedError(f"You cannot cancel a refund that is {refund['status']}.")
    clear_timer(world, refund, "succeed_refund")
    _count(world, world.find("charge", refund["charge"]), -refund["amount"])
    before = world.change(refund, status="canceled")
    refund.pop("pending_reason", None)
    world.emit("refund.updated", refund, before)
    world.emit("charge.refund.updated", refund, before)
    return refund


def update_refund(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    refund = world.find("refund", ids[0])
    before = world.change(refund, metadata=merged_metadata(refund["metadata"], parameters.get("metadata")))
    world.emit("refund.updated", refund, before)
    return refund


def retrieve_refund(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("refund", ids[0])


def list_refunds(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "charge", "payment_intent")
    return page_of(world.all_of("refund"), "/v1/refunds", parameters, same(parameters, "charge", "payment_intent"))


def _charge_of(world: World, parameters: dict[str, Any]) -> Object:
    if "charge" in parameters:
        return world.find("charge", parameters["charge"], "charge")
    if "payment_intent" not in parameters:
        raise missing_parameter("payment_intent")
    intent = world.find("payment_intent", parameters["payment_intent"], "payment_intent")
    charge = world.get(intent["latest_charge"], "charge")
    if charge is None or intent["status"] != "succeeded":
        raise RefusedError("This PaymentIntent does not have a successful charge to refund.", param="payment_intent")
    return charge


def _checked_amount(world: World, charge: Object, wanted: int | None) -> int:
    kind = charge["payment_method_details"]["type"]
    if not charge["paid"] or kind == "boleto":
        message = "Boleto payments cannot be refunded." if charge["paid"] else f"Charge {charge['id']} is not paid."
        raise RefusedError(message, code="charge_not_refundable")
    if kind == "pix" and world.now() > charge["created"] + PIX_REFUND_SECONDS:
        raise RefusedError("Pix payments can be refunded within 90 days.", code="charge_not_refundable")
    remaining = charge["amount"] - charge["amount_refunded"]
    if remaining == 0:
        raise RefusedError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if any(each["charge"] == charge["id"] and not each["is_charge_refundable"] for each in world.all_of("dispute")):
        raise RefusedError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    amount = remaining if wanted is None else wanted
    if amount < 1:
        raise invalid_parameter("amount", "This value must be greater than or equal to 1.", "parameter_invalid_integer")
    if amount > remaining:
        told = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({remaining})"
        raise invalid_parameter("amount", told)
    check_step(amount, charge["currency"], "amount")
    return amount


def _count(world: World, charge: Object, amount: int) -> None:
    refunded = charge["amount_refunded"] + amount
    world.change(charge, amount_refunded=refunded, refunded=refunded == charge["amount"])


def _destination(charge: Object) -> Object:
    kind = charge["payment_method_details"]["type"]
    if kind == "card":
        return {
            "type": "card",
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
        }
    return {"type": kind, kind: {}}
