"""Lists of Stripe's end, also where it says for ever that there is more."""

import asyncio

import pytest
import stripe
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeUnreadableError
from billing.stripe_api.wire import Reference


class Endless(stripe.ListObject[stripe.Customer]):
    """Whatever page is asked for: nothing, and more to come."""

    async def next_page_async(self, **_: object) -> "Endless":
        return endless()


def endless() -> Endless:
    return Endless.construct_from({"object": "list", "data": [], "has_more": True, "url": "/v1/customers"}, "key")


async def test_a_list_that_never_ends_and_holds_nothing_is_not_believed() -> None:
    async def first() -> Endless:
        return endless()

    api = StripeApi("sk_test_lists", base=None, seconds=1)
    async with asyncio.timeout(5):
        with pytest.raises(StripeUnreadableError, match="says there is more"):
            await api.call_list(first(), Reference)
