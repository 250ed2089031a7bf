"""Whether a delivery is Stripe's, signed just now with a secret that is known: decided on its very bytes."""

import time
from collections.abc import Sequence
from typing import Final

import stripe

TOLERANCE_SECONDS: Final = 300
"""Between Stripe's clock and ours, either way; a signature outside of it is a recording, or a forgery."""


class SignatureError(Exception):
    """Not to be believed; `reason` is one word for logs and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_signature(payload: bytes, header: str | None, secrets: Sequence[str]) -> None:
    """Return where one of the secrets signed these bytes within the tolerance.

    Raises:
        SignatureError: it is unsigned, signed by somebody else or over other bytes, stale, or from the future.
    """
    if not header:
        raise SignatureError("unsigned")
    signed_at = _signed_at(header)
    if not any(_is_signed_with(secret, payload, header) for secret in secrets):
        raise SignatureError("forged")
    seconds = signed_at - time.time()
    if seconds < -TOLERANCE_SECONDS:
        raise SignatureError("stale")
    # The SDK looks at the past alone.
    if seconds > TOLERANCE_SECONDS:
        raise SignatureError("future")


def _signed_at(header: str) -> int:
    """The moment that the SDK's check covers: were it read otherwise here, a recording could name a newer one too."""
    parts = [part.split("=", 2) for part in header.split(",")]
    moments = [part[1] for part in parts if part[0] == "t" and len(part) > 1]
    if not header.isascii() or not moments or not moments[0].isdigit() or len(moments[0]) > 12:
        raise SignatureError("unreadable_signature")
    return int(moments[0])


def _is_signed_with(secret: str, payload: bytes, header: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(payload, header, secret)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True
