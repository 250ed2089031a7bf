"""Bodies of requests, read up to a bound."""

from typing import Final

from starlette.requests import ClientDisconnect, Request

from local_run.demo_stripe.wire.errors import RefusedError

MAX_BYTES: Final = 256 * 1024


async def read_body(request: Request) -> bytes:
    """
    Raises:
        RefusedError: it is larger than any of Stripe's requests, or breaks off.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BYTES:
                raise RefusedError("The body is too large.", status=413)
            parts.append(part)
    except ClientDisconnect as error:
        raise RefusedError("The body broke off.") from error
    return b"".join(parts)
