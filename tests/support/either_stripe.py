"""The same tests against the demo Stripe and against Stripe's own test mode, where there is a key for it."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Final

import pytest
from billing.stripe_api.client import StripeApi

from tests.support.demo_stripe import start_demo_stripe

KEY_VARIABLE: Final = "SOLARIS_TEST_STRIPE_API_KEY"
"""A secret or restricted key of a test mode or sandbox: `sk_test_…` or `rk_test_…`, never a live one."""
DEMO: Final = "demo"
ITSELF: Final = "stripe"
_SECONDS: Final = 30.0

EITHER: Final = [
    DEMO,
    pytest.param(
        ITSELF,
        marks=[
            pytest.mark.stripe,
            pytest.mark.skipif(
                not os.environ.get(KEY_VARIABLE), reason=f"no {KEY_VARIABLE}: Stripe itself is not asked"
            ),
        ],
    ),
]


@contextlib.asynccontextmanager
async def either_stripe(which: str) -> AsyncIterator[StripeApi]:
    """Billing's own connection to one of the two.

    Raises:
        ValueError: the key is not one of a test mode.
    """
    if which == DEMO:
        async with (
            start_demo_stripe() as stage,
            StripeApi(stage.demo.api_key, base=stage.url, seconds=_SECONDS) as api,
        ):
            yield api
        return
    key = os.environ[KEY_VARIABLE]
    if not key.startswith(("sk_test_", "rk_test_")):
        raise ValueError(f"{KEY_VARIABLE} must be a key of Stripe's test mode: these tests move money")
    async with StripeApi(key, base=None, seconds=_SECONDS) as api:
        yield api
