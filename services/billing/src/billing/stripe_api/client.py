"""The official SDK, bounded in time, its errors translated, its objects read as structs of ours."""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import Final, Self

import stripe
import structlog
from msgspec import Struct, ValidationError, convert

from billing.stripe_api.clock import StripeClock
from billing.stripe_api.errors import StripeUnavailableError, StripeUnreadableError, translated

MAX_RETRIES: Final = 2
"""The SDK asks again after no answer, 409 and 5xx, each time with the same idempotency key."""
RETRY_PAUSES_SECONDS: Final = 3.0
PAGE: Final = 100
MAX_LISTED: Final = 1_000
"""Objects of one payment's: nobody refunds an order in more parts."""

log = structlog.get_logger()


def longest_call_seconds(attempt_seconds: float) -> float:
    """After so long a call has ended, with all its attempts of so long each."""
    return attempt_seconds * (MAX_RETRIES + 1) + RETRY_PAUSES_SECONDS


class StripeApi:
    """A connection to Stripe, used by the modules of this room; a part of the service, which closes it at its end.

    `seconds` bound one attempt. All attempts of a call together are bounded too, however slowly an answer drips.
    """

    def __init__(self, api_key: str, *, base: str | None, seconds: float) -> None:
        stripe.enable_telemetry = False
        self._http = stripe.HTTPXClient(timeout=seconds)
        self._call_seconds = longest_call_seconds(seconds)
        client = stripe.StripeClient(
            api_key,
            max_network_retries=MAX_RETRIES,
            http_client=self._http,
            base_addresses={"api": base} if base is not None else None,
        )
        self.v1: Final = client.v1
        self.clock: Final = StripeClock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):  # we are leaving anyway
            await self._http.close_async()  # type: ignore[no-untyped-call]  # it has no hints

    async def call[Wire: Struct](self, request: Awaitable[stripe.StripeObject], wire: type[Wire]) -> Wire:
        """What Stripe answers, read as `wire`.

        Raises:
            StripeError: it does not answer, or not with this; see there.
        """
        answer = await self._bounded(request)
        self.clock.hear(answer)
        return read(answer.to_dict(), wire)

    async def call_list[Wire: Struct, Listed: stripe.StripeObject](
        self, request: Awaitable[stripe.ListObject[Listed]], wire: type[Wire]
    ) -> Sequence[Wire]:
        """All pages of a list, up to `MAX_LISTED` objects; raises as `call`, and where there are more."""
        answer = await self._bounded(request)
        found: list[Wire] = []
        while True:
            found += [read(each.to_dict(), wire) for each in answer.data]
            if not answer.has_more:
                return found
            if len(found) >= MAX_LISTED:
                raise StripeUnreadableError(f"a list of more than {MAX_LISTED}")
            if not answer.data:
                raise StripeUnreadableError("a page of nothing that says there is more")
            answer = await self._bounded(answer.next_page_async())

    async def _bounded[Answer](self, request: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._call_seconds):
                return await request
        except stripe.StripeError as error:
            raise translated(error) from error
        except TimeoutError as error:
            raise StripeUnavailableError(f"no answer within {self._call_seconds:g} s") from error


def read[Wire: Struct](answer: object, wire: type[Wire]) -> Wire:
    """An object of Stripe's as far as we use it.

    Raises:
        StripeUnreadableError: it is not what its name says; nothing is decided on it.
    """
    try:
        return convert(answer, wire, strict=True)
    except ValidationError as error:
        raise StripeUnreadableError(f"an answer that can't be read: {error}") from error
