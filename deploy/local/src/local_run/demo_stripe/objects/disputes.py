"""Disputes: early warnings, money withdrawn, won, lost."""

from typing import Any, Final

from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, understood
from local_run.demo_stripe.world.world import World

OPENING: Final = ("warning_needs_response", "needs_response")
NEXT: Final = {
    "warning_needs_response": ("warning_under_review", "warning_closed", "needs_response"),
    "warning_under_review": ("warning_closed", "needs_response"),
    "needs_response": ("under_review", "won", "lost"),
    "under_review": ("won", "lost"),
    # What a bank decided can be decided again.
    "won": ("lost",),
    "lost": ("won",),
}
_RESPONSE_SECONDS: Final = 9 * 86_400
_EVIDENCE: Final = (
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *(
        "cancellation_rebuttal",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "product_description",
    ),
    *("refund_policy", "service_date", "uncategorized_text"),
)


def open_dispute(world: World, charge: Object, *, status: str, amount: int | None, reason: str) -> Object:
    """What a cardholder's bank does.

    Raises:
        RefusedError: such a payment cannot be disputed, or is already.
    """
    if charge["payment_method_details"]["type"] == "boleto":
        raise RefusedError("Boleto payments cannot be disputed.")
    if not charge["paid"] or charge["disputed"]:
        raise RefusedError("This charge cannot be disputed, or is already.")
    disputed = charge["amount"] - charge["amount_refunded"] if amount is None else amount
    if not 0 < disputed <= charge["amount"]:
        raise invalid_parameter("amount", "The amount must be above 0 and at most that of the charge.")
    due_by = world.now() + _RESPONSE_SECONDS
    details = {"due_by": due_by, "enhanced_eligibility": {}, "has_evidence": False, "past_due": False}
    dispute = world.create(
        "dispute",
        "du",
        amount=disputed,
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence={"enhanced_evidence": {}},
        evidence_details={**details, "submission_count": 0, "submission_method": "not_submitted"},
        is_charge_refundable=status.startswith("warning"),
        metadata={},
        payment_intent=charge["payment_intent"],
        reason=reason,
        status=status,
    )
    world.change(charge, disputed=True)
    world.emit("charge.dispute.created", dispute)
    if status == "needs_response":
        _withdraw(world, dispute)
    return dispute


def move_dispute(world: World, dispute: Object, status: str) -> Object:
    """To the next state; `won` and `lost` can still be turned.

    Raises:
        RefusedError: that state does not follow.
    """
    if status not in NEXT.get(dispute["status"], ()):
        raise RefusedError(f"A dispute that is {dispute['status']} does not become {status}.", param="status")
    before = world.change(dispute, status=status)
    if status in ("won", "lost", "warning_closed"):
        world.change(dispute, is_charge_refundable=status != "lost")
        world.emit("charge.dispute.closed", dispute)
    else:
        world.emit("charge.dispute.updated", dispute, before)
    if status == "needs_response":
        world.change(dispute, is_charge_refundable=False)
        _withdraw(world, dispute)
    elif status == "won":
        _movement(world, dispute, dispute["amount"])
        world.emit("charge.dispute.funds_reinstated", dispute)
    elif status == "lost" and before["status"] == "won":
        _withdraw(world, dispute)
    return dispute


def _withdraw(world: World, dispute: Object) -> None:
    _movement(world, dispute, -dispute["amount"])
    world.emit("charge.dispute.funds_withdrawn", dispute)


def _movement(world: World, dispute: Object, amount: int) -> None:
    """The movement of money that a dispute lists; its sum is what is with us of the disputed amount."""
    fee = 0
    movement = {
        "id": world.new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": world.now(),
        "balance_type": "payments",
        "created": world.now(),
        "currency": dispute["currency"],
        "description": f"Chargeback {'withdrawal' if amount < 0 else 'reversal'} for {dispute['charge']}",
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [],
        "net": amount - fee,
        "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }
    world.change(dispute, balance_transactions=[*dispute["balance_transactions"], movement])


# --- what programs ask ---


def update_dispute(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    """Evidence is taken; handed in, it is under review."""
    understood(parameters, "evidence", "submit")
    dispute = world.find("dispute", ids[0])
    understood(parameters.get("evidence", {}), *_EVIDENCE)
    details = {**dispute["evidence_details"], "has_evidence": True}
    changes: Object = {
        "evidence": {**dispute["evidence"], **parameters.get("evidence", {})},
        "evidence_details": details,
    }
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(dispute["metadata"], parameters["metadata"])
    before = world.change(dispute, **changes)
    if parameters.get("submit") and dispute["status"] in ("needs_response", "warning_needs_response"):
        warning = dispute["status"] == "warning_needs_response"
        return move_dispute(world, dispute, "warning_under_review" if warning else "under_review")
    world.emit("charge.dispute.updated", dispute, before)
    return dispute


def close_dispute(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    """Giving in: it is lost."""
    return move_dispute(world, world.find("dispute", ids[0]), "lost")


def retrieve_dispute(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("dispute", ids[0])


def list_disputes(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "charge", "payment_intent")
    return page_of(world.all_of("dispute"), "/v1/disputes", parameters, same(parameters, "charge", "payment_intent"))


# --- early fraud warnings ---


def warn_of_fraud(world: World, charge: Object) -> Object:
    """What a card network tells before the cardholder disputes anything."""
    warning = world.create(
        "radar.early_fraud_warning",
        "issfr",
        actionable=True,
        charge=charge["id"],
        fraud_type="made_with_stolen_card",
        payment_intent=charge["payment_intent"],
    )
    world.emit("radar.early_fraud_warning.created", warning)
    return warning


def retrieve_warning(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("radar.early_fraud_warning", ids[0])


def list_warnings(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "charge", "payment_intent")
    known = world.all_of("radar.early_fraud_warning")
    return page_of(known, "/v1/radar/early_fraud_warnings", parameters, same(parameters, "charge", "payment_intent"))
