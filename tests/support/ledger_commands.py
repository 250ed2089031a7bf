"""Commands of a call's life, with all that a test does not care about filled in."""

from typing import Any

from contracts.events.usage import UsageRecorded
from ledger.application.content import usage_hash
from ledger.domain.commands import ReserveTokens, SettleUsage
from msgspec.structs import replace

from tests.support.gateway_messages import ENDPOINT, MODEL


def reserve_tokens(
    account_id: str,
    reservation_id: str,
    *,
    prompt: int = 100,
    maximum: int | None = 100,
    content_hash: str = "h",
    **fields: Any,  # Any: each field has its own type
) -> ReserveTokens:
    """For a call of `prompt` tokens in and at most `maximum` out; `fields` are set over that."""
    command = ReserveTokens(
        account_id=account_id,
        reservation_id=reservation_id,
        model=MODEL,
        endpoint=ENDPOINT,
        prompt_tokens=prompt,
        maximum_output_tokens=maximum,
        content_hash=content_hash,
    )
    return replace(command, **fields)


def settle_usage(account_id: str, usage: UsageRecorded, content_hash: str | None = None) -> SettleUsage:
    return SettleUsage(account_id=account_id, usage=usage, content_hash=content_hash or usage_hash(usage))
