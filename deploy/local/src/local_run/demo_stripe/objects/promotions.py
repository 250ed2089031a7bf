"""Coupons, and the codes that people type for them."""

import re
from typing import Any

from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter
from local_run.demo_stripe.wire.lists import page_of
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, understood
from local_run.demo_stripe.world.world import World


def create_coupon(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(
        parameters,
        *("id", "percent_off", "amount_off", "currency", "duration", "duration_in_months", "name"),
        *("max_redemptions", "redeem_by"),
    )
    if ("percent_off" in parameters) == ("amount_off" in parameters):
        raise missing_parameter("percent_off")
    percent = float(parameters["percent_off"]) if "percent_off" in parameters else None
    if percent is not None and not 0 < percent <= 100:
        raise invalid_parameter("percent_off", "Invalid percent: must be above 0 and at most 100")
    if world.get(parameters.get("id"), "coupon") is not None:
        raise RefusedError("Coupon already exists.", code="resource_already_exists", param="id")
    coupon = world.create(
        "coupon",
        "cpn",
        **({"id": parameters["id"]} if "id" in parameters else {}),
        amount_off=parameters.get("amount_off"),
        currency=parameters.get("currency"),
        duration=parameters.get("duration", "once"),
        duration_in_months=parameters.get("duration_in_months"),
        max_redemptions=parameters.get("max_redemptions"),
        metadata=merged_metadata({}, parameters.get("metadata")),
        name=parameters.get("name"),
        percent_off=percent,
        redeem_by=parameters.get("redeem_by"),
        times_redeemed=0,
        valid=True,
    )
    world.emit("coupon.created", coupon)
    return coupon


def retrieve_coupon(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("coupon", ids[0])


def delete_coupon(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    coupon = world.find("coupon", ids[0])
    world.remove(coupon)
    world.emit("coupon.deleted", coupon)
    return {"id": coupon["id"], "object": "coupon", "deleted": True}


def list_coupons(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters)
    return page_of(world.all_of("coupon"), "/v1/coupons", parameters)


def create_code(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "promotion", "code", "active", "customer", "expires_at", "max_redemptions")
    coupon = world.find("coupon", parameters["promotion"].get("coupon", ""), "promotion[coupon]")
    code = parameters.get("code") or world.new_id("x", 8)[2:].upper()
    if re.fullmatch(r"[A-Za-z0-9-]{1,500}", code) is None:
        raise invalid_parameter("code", "Invalid code: letters, digits and dashes only")
    if find_code(world, code) is not None:
        raise RefusedError("An active promotion code with that code already exists.", param="code")
    promotion_code = world.create(
        "promotion_code",
        "promo",
        active=parameters.get("active", True),
        code=code,
        customer=parameters.get("customer"),
        expires_at=parameters.get("expires_at"),
        max_redemptions=parameters.get("max_redemptions"),
        metadata=merged_metadata({}, parameters.get("metadata")),
        promotion={"type": "coupon", "coupon": coupon["id"]},
        restrictions={"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        times_redeemed=0,
    )
    world.emit("promotion_code.created", promotion_code)
    return promotion_code


def update_code(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "active")
    code = world.find("promotion_code", ids[0])
    changes: Object = {"active": parameters["active"]} if "active" in parameters else {}
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(code["metadata"], parameters["metadata"])
    world.emit("promotion_code.updated", code, world.change(code, **changes))
    return code


def retrieve_code(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("promotion_code", ids[0])


def list_codes(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "active", "code", "coupon", "customer")

    def matches(each: Object) -> bool:
        known = {**each, "coupon": each["promotion"]["coupon"]}
        return all(
            known[name] == parameters[name] for name in ("active", "code", "coupon", "customer") if name in parameters
        )

    return page_of(world.all_of("promotion_code"), "/v1/promotion_codes", parameters, matches)


# --- what they are worth ---


def find_code(world: World, typed: str) -> Object | None:
    """The promotion code that somebody typed, if it can be redeemed now; case does not matter."""
    wanted = typed.strip().upper()
    return next(
        (each for each in world.all_of("promotion_code") if each["code"].upper() == wanted and _is_open(world, each)),
        None,
    )


def _is_open(world: World, code: Object) -> bool:
    coupon = world.get(code["promotion"]["coupon"], "coupon")
    return (
        code["active"]
        and coupon is not None
        and (code["expires_at"] is None or code["expires_at"] > world.now())
        and (code["max_redemptions"] is None or code["times_redeemed"] < code["max_redemptions"])
        and is_redeemable(world, coupon)
    )


def is_redeemable(world: World, coupon: Object) -> bool:
    return (coupon["redeem_by"] is None or coupon["redeem_by"] > world.now()) and (
        coupon["max_redemptions"] is None or coupon["times_redeemed"] < coupon["max_redemptions"]
    )


def discount_minor(coupon: Object, amount_minor: int, currency: str) -> int:
    """What it takes off, rounded half up to minor units, and never more than there is."""
    if coupon["percent_off"] is not None:
        off = int(amount_minor * round(coupon["percent_off"] * 100) * 2 + 10_000) // 20_000
    else:
        off = coupon["amount_off"] if coupon["currency"] == currency else 0
    return min(amount_minor, off)


def redeem(world: World, coupon: Object, code: Object | None) -> None:
    world.change(coupon, times_redeemed=coupon["times_redeemed"] + 1)
    if code is not None:
        world.change(code, times_redeemed=code["times_redeemed"] + 1)
