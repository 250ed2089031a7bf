"""Webhook endpoints, events, and the account."""

from typing import Any, Final

from local_run.demo_stripe.wire.errors import invalid_parameter
from local_run.demo_stripe.wire.lists import page_of
from local_run.demo_stripe.wire.shapes import Object, make
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.world import World

MAX_ENDPOINTS: Final = 16
"""As Stripe's."""
ACCOUNT_ID: Final = "acct_demo"
_EVENT_SECONDS: Final = 30 * 86_400


def new_endpoint(world: World, *, url: str, secret: str, events: list[str], **values: Any) -> Object:
    endpoint = world.create(
        "webhook_endpoint",
        "we",
        **{
            "enabled_events": events,
            "metadata": {},
            "status": "enabled",
            "url": url,
            **values,
        },
    )
    world.note(endpoint["id"], secret=secret)
    return endpoint


def create_endpoint(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    """Its secret is told here and never again."""
    understood(parameters, "url", "enabled_events", "description", "api_version", "connect")
    _check_url(parameters["url"])
    if world.count("webhook_endpoint") >= MAX_ENDPOINTS:
        raise invalid_parameter("url", f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    secret = world.new_id("whsec", 32)
    endpoint = new_endpoint(
        world,
        url=parameters["url"],
        secret=secret,
        events=parameters["enabled_events"],
        metadata=merged_metadata({}, parameters.get("metadata")),
        **set_or_none(parameters, "description", "api_version"),
    )
    return {**endpoint, "secret": secret}


def update_endpoint(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "url", "enabled_events", "description", "disabled")
    endpoint = world.find("webhook_endpoint", ids[0])
    changes = set_or_none(parameters, "url", "enabled_events", "description")
    if "url" in changes:
        _check_url(changes["url"])
    if "disabled" in parameters:
        changes["status"] = "disabled" if parameters["disabled"] else "enabled"
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(endpoint["metadata"], parameters["metadata"])
    world.change(endpoint, **changes)
    return endpoint


def delete_endpoint(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    endpoint = world.find("webhook_endpoint", ids[0])
    world.remove(endpoint)
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def retrieve_endpoint(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("webhook_endpoint", ids[0])


def list_endpoints(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters)
    return page_of(world.all_of("webhook_endpoint"), "/v1/webhook_endpoints", parameters)


def _check_url(url: str) -> None:
    # Only here may events go: whoever reaches the demo must not make it call the world.
    if not url.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:")):
        raise invalid_parameter("url", "Invalid URL: the demo delivers to this machine alone.", "url_invalid")


# --- events ---


def retrieve_event(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("event", ids[0])


def list_events(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    """Of the last 30 days."""
    understood(parameters, "type", "types", "delivery_success")
    wanted = parameters.get("types") or ([parameters["type"]] if "type" in parameters else None)
    since = world.now() - _EVENT_SECONDS

    def matches(event: Object) -> bool:
        if event["created"] < since or (wanted is not None and not any(_is_of(event["type"], each) for each in wanted)):
            return False
        return (
            "delivery_success" not in parameters or (event["pending_webhooks"] == 0) == parameters["delivery_success"]
        )

    return page_of(world.all_of("event"), "/v1/events", parameters, matches)


def _is_of(kind: str, pattern: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


# --- the account ---


def retrieve_account(_: World, __: list[str], ___: dict[str, Any]) -> Object:
    account = make(
        "account",
        id=ACCOUNT_ID,
        capabilities={"card_payments": "active", "boleto_payments": "active", "pix_payments": "active"},
        charges_enabled=True,
        country="BR",
        default_currency="brl",
        details_submitted=True,
        email="demo@solaris.localhost",
        payouts_enabled=True,
        type="standard",
    )
    return {name: value for name, value in account.items() if value is not None}
