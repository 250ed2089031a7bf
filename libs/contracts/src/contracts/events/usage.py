"""What gateways publish: the end of every reservation."""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.limits import Identifier, Moment, Text, Tokens
from contracts.usage import Outcome, TokenUsage, UsageSource


class UsageRecorded(Struct, frozen=True, kw_only=True):
    """The one end of a reservation, told by the gateway. No prompt, no address, no name.

    `forwarded_without_hold`: the gateway forwarded the call though no hold was granted (LEDGER_FAILURE=open or
    ENFORCEMENT=observe). `observed`: what was granted did not bound it (ENFORCEMENT=observe). Times in milliseconds;
    `estimated_prompt_tokens` before any safety margin.
    """

    reservation_id: Identifier
    model: Text
    endpoint: Text
    usage: TokenUsage
    usage_source: UsageSource
    outcome: Outcome
    status: Annotated[int, Meta(ge=0, le=999)]
    started_at: Moment
    duration_ms: Tokens
    first_token_ms: Tokens | None = None
    estimated_prompt_tokens: Tokens = 0
    conversation_id: Text | None = None
    forwarded_without_hold: bool = False
    observed: bool = False
