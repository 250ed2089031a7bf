"""Cards that are saved, and payments by them while nobody sits before a screen."""

from datetime import datetime

from msgspec import Struct

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import PaymentFacts
from billing.stripe_api.client import PAGE, StripeApi
from billing.stripe_api.errors import StripeMissingError, StripeRefusedError
from billing.stripe_api.wire import PaymentIntent, stripe_locale


class SavedCard(Struct, frozen=True):
    id: str
    created: int


class CardList(Struct, frozen=True):
    data: list[SavedCard]


class CardPage(Struct, frozen=True):
    url: str


class OffSessionPayment(Struct, frozen=True, kw_only=True):
    """One purchase by a saved card. The same one under the same key is the same payment."""

    order_id: str
    account_id: str
    customer_id: str
    card_id: str
    amount_minor: int
    currency: str
    description: str
    idempotency_key: str


async def create_card_page(api: StripeApi, customer_id: str, *, return_url: str, locale: str) -> str:
    """The address of a Checkout that takes no money, and saves a card for later; raises StripeError."""
    request = api.v1.checkout.sessions.create_async(
        {
            "mode": "setup",
            "customer": customer_id,
            "allowed_payment_method_types": ["card"],
            "locale": stripe_locale(locale),
            "success_url": return_url,
            "cancel_url": return_url,
        }
    )
    return (await api.call(request, CardPage)).url


async def newest_card(api: StripeApi, customer_id: str) -> str | None:
    """The card that the customer saved last; None where there is none. Raises StripeError.

    Whoever was deleted at Stripe has none any more.
    """
    request = api.v1.customers.payment_methods.list_async(customer_id, {"type": "card", "limit": PAGE})
    try:
        cards = (await api.call(request, CardList)).data
    except StripeMissingError:
        return None
    return max(cards, key=lambda card: card.created).id if cards else None


async def charge_card(api: StripeApi, wanted: OffSessionPayment) -> PaymentFacts:
    """Have the card charged.

    Raises:
        CardProblemError: the bank said no, or wants to see the card's owner; it names the payment, which is not made.
        StripeError: see there.
    """
    request = api.v1.payment_intents.create_async(
        {
            "amount": wanted.amount_minor,
            "currency": wanted.currency,
            "customer": wanted.customer_id,
            "payment_method": wanted.card_id,
            "allowed_payment_method_types": ["card"],
            "off_session": True,
            "confirm": True,
            "description": wanted.description,
            "metadata": {ORDER_KEY: wanted.order_id, "account_id": wanted.account_id},
        },
        {"idempotency_key": wanted.idempotency_key},
    )
    return (await api.call(request, PaymentIntent)).facts()


async def find_payment(api: StripeApi, customer_id: str, order_id: str, *, since: datetime) -> str | None:
    """The payment that was made for the order, though its answer never came; raises StripeError."""
    request = api.v1.payment_intents.list_async(
        {"customer": customer_id, "created": {"gte": int(since.timestamp())}, "limit": PAGE}
    )
    payments = await api.call_list(request, PaymentIntent)
    return next((payment.id for payment in payments if payment.metadata.get(ORDER_KEY) == order_id), None)


async def cancel_payment(api: StripeApi, payment_intent_id: str) -> None:
    """Let nobody pay it any more; where it was paid this very moment, the next look finds that. Raises StripeError."""
    try:
        await api.call(api.v1.payment_intents.cancel_async(payment_intent_id), PaymentIntent)
    except StripeRefusedError:
        return
