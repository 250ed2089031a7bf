"""What verbs that change orders are made of, as the service has it."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from chassis.operate.database import open_engine
from chassis.operate.errors import BadInputError, RefusedError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.errors import BillingError, CurrencyNotOfferedError, UnknownPackageError
from billing.application.looking import OrderLooks
from billing.application.wiring import orders_of, stripe_of
from billing.operate.settings import load_settings
from billing.settings import BillingSettings
from billing.store.tables import SERVICE
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeError, StripeUnavailableError

PURCHASES_OFF: Final = "purchases are off: SOLARIS_STRIPE_API_KEY is not set"


@dataclass(frozen=True, kw_only=True)
class Selling:
    """`stripe` is None where purchases are off."""

    settings: BillingSettings
    engine: AsyncEngine
    stripe: StripeApi | None
    looks: OrderLooks


@contextlib.asynccontextmanager
async def open_selling() -> AsyncIterator[Selling]:
    """The database and Stripe.

    Raises:
        RefusedError: either does not do what is asked of it; the text says which, and why.
        BadInputError: nothing of the catalog is called what was typed.
    """
    settings = load_settings()
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(SERVICE))
        stripe = stripe_of(settings)
        if stripe is not None:
            await stack.enter_async_context(stripe)
        looks = orders_of(settings, engine, stripe)
        with told_in_one_line():
            yield Selling(settings=settings, engine=engine, stripe=stripe, looks=looks)


@contextlib.asynccontextmanager
async def open_stripe() -> AsyncIterator[tuple[BillingSettings, StripeApi]]:
    """Stripe alone; raises as `open_selling`, and where purchases are off."""
    settings = load_settings()
    with told_in_one_line():
        stripe = stripe_of(settings)
        if stripe is None:
            raise RefusedError(PURCHASES_OFF)
        async with stripe:
            yield settings, stripe


@contextlib.contextmanager
def told_in_one_line() -> Iterator[None]:
    """Have errors of Stripe's and of billing's be refusals of the verb."""
    try:
        yield
    except (UnknownPackageError, CurrencyNotOfferedError) as error:
        raise BadInputError(str(error)) from error
    except StripeUnavailableError as error:
        raise RefusedError(f"Stripe does not answer: {error}") from error
    except (StripeError, BillingError) as error:
        raise RefusedError(str(error)) from error
