"""Subscriptions on the stage of billing: bought, renewed and changed as people and time do it."""

from collections.abc import Sequence
from typing import Any, Final

from tests.support.billing import SERVICE_KEY, BillingStage, published
from tests.support.eventually import eventually

DAY: Final = 86_400
HOUR: Final = 3_600
MONTH: Final = 31 * DAY


async def subscribe(stage: BillingStage, account_id: str, plan_id: str = "basic", **more: Any) -> dict[str, Any]:
    """`POST /billing/subscribe` by a service; the answer."""
    body = {"plan_id": plan_id, "account_id": account_id, **more}
    headers = {"authorization": f"Bearer {SERVICE_KEY}"}
    answer = await stage.http.post(f"{stage.url}/billing/subscribe", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def subscribed(stage: BillingStage, account_id: str, plan_id: str = "basic") -> str:
    """A subscription that is paid and told; its id."""
    begun = await subscribe(stage, account_id, plan_id)
    paid = await stage.stripe.pay(begun["checkout_url"])
    await says(stage, account_id, [f"started {plan_id}"])
    return str(paid["subscription"])


async def said(stage: BillingStage, account_id: str) -> Sequence[str]:
    """What billing said of the account's plan by now, in short: `started basic`, `reminder 1`, `ended unpaid`."""
    return [_in_short(each) for each in await published(stage.settings.nats_url, account_id)]


async def says(stage: BillingStage, account_id: str, expected: Sequence[str], timeout_seconds: float = 30.0) -> None:
    """Wait until exactly this was said."""

    async def as_expected() -> bool:
        assert list(await said(stage, account_id)) == list(expected)
        return True

    await eventually(as_expected, timeout_seconds, message=f"said of {account_id}")


async def change_plan(stage: BillingStage, subscription_id: str, plan_id: str, **options: Any) -> None:
    """What the portal does when another plan is chosen: another price of the same product's kind."""
    subscription = await stage.stripe.client.v1.subscriptions.retrieve_async(subscription_id)
    (item,) = subscription["items"].data
    amounts = {"basic": 12_490, "pro": 18_490, "premium": 24_990, "enterprise": 49_990}
    product = f"solaris-plan-{plan_id}"
    if not [each for each in (await stage.stripe.client.v1.products.list_async()).data if each.id == product]:
        await stage.stripe.client.v1.products.create_async({"id": product, "name": plan_id})
    price = await stage.stripe.client.v1.prices.create_async(
        {"currency": "brl", "unit_amount": amounts[plan_id], "recurring": {"interval": "month"}, "product": product}
    )
    wanted: Any = {"items": [{"id": item.id, "price": price.id}], **options}  # Any: the options are the test's
    await stage.stripe.client.v1.subscriptions.update_async(subscription_id, wanted)


async def state_at_stripe(stage: BillingStage, subscription_id: str) -> tuple[str, list[str]]:
    """How it stands there, and its invoices, the newest first: a refunded one as such."""
    client = stage.stripe.client.v1
    invoices = await client.invoices.list_async({"subscription": subscription_id, "expand": ["data.payments"]})
    told = []
    for invoice in invoices.data:
        payments = invoice.payments.data if invoice.payments is not None else []
        intents = [str(each.payment.payment_intent) for each in payments]
        refunds = [
            each for intent in intents for each in (await client.refunds.list_async({"payment_intent": intent})).data
        ]
        told.append("refunded" if refunds else str(invoice.status))
    return (await client.subscriptions.retrieve_async(subscription_id)).status, told


def _in_short(event: dict[str, Any]) -> str:
    data = event["data"]
    match str(event["type"]).split(".")[2]:
        case "plan_subscribed":
            return f"{data['change']} {data['plan']}"
        case "plan_ended":
            return f"ended {data['cause']}"
        case "renewal_failed":
            return f"reminder {data['reminder']}"
        case other:
            return other
