"""What a gateway tells of each metered request once it has ended: who asked for what, and what became of it.

A message holds many, each a line of JSON (`RequestEnded`): a message for each would cost a call more than all the rest
of its log.
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from contracts.accounts import AccountId
from contracts.limits import MAX_TEXT_LENGTH, Identifier, Moment, Tokens
from contracts.usage import TokenUsage

MAX_BODY_LENGTH: Final = 64 * 1024
"""Characters of a body that may be told; two of them, escaped at worst, fit into one message."""
NUL: Final = b"\\u0000"
"""As JSON writes what Postgres refuses: no text may hold it. Whoever reads looks for it in a line as a whole, which
costs a tenth of looking into each text."""

Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]
BodyText = Annotated[str, Meta(max_length=MAX_BODY_LENGTH)]


class RequestEnding(StrEnum):
    """`served`: something was produced, or at least charged; `refused`: it was not forwarded, by a rule or because
    nobody could say that it may be; `failed`: anything else, all of which costs nothing."""

    SERVED = "served"
    REFUSED = "refused"
    FAILED = "failed"


class Bodies(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a request and its answer began, as they came and as they were sent; told only where an operator wants it."""

    request: BodyText = ""
    answer: BodyText = ""


class RequestEnded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request that named an account and asked for a metered call: exactly one of these, however it ended.

    No event: it is personal, is told apart from them and is not kept for good. `request_id` is the reservation's, and
    what is told twice under it is one request. `at` is when it came. `status` is the HTTP status of the answer, 499
    where there was none. `code` is why it was refused or failed, `would_refuse` why it would have been (observing).
    `outcome` and `usage_source` are those of `UsageRecorded`, and absent where there was none: texts, so that an older
    reader takes a newer one's words. `client_request_id` and `client_retries` are the client's own. `upstream_attempts`
    counts how often it was sent on. `cached`: answered from the upstream's cache of answers. Times in milliseconds;
    `estimated_prompt_tokens` before any safety margin. `available_tokens` and `needed_tokens` are of a refusal.
    """

    request_id: Identifier
    account_id: AccountId
    at: Moment
    endpoint: Text
    ending: RequestEnding
    status: Annotated[int, Meta(ge=0, le=999)]
    duration_ms: Tokens
    code: Text | None = None
    would_refuse: Text | None = None
    outcome: Text | None = None
    model: Text = ""
    streamed: bool = False
    conversation_id: Text | None = None
    client_request_id: Text | None = None
    client_retries: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    key_id: Text = ""
    address: Text | None = None
    user_agent: Text | None = None
    first_token_ms: Tokens | None = None
    estimated_prompt_tokens: Tokens = 0
    held_tokens: Tokens | None = None
    granted_output_tokens: Tokens | None = None
    usage: TokenUsage | None = None
    usage_source: Text | None = None
    available_tokens: Annotated[int, Meta(ge=-(2**54), le=2**54)] | None = None
    needed_tokens: Tokens | None = None
    upstream_attempts: Annotated[int, Meta(ge=0, le=1_000)] = 0
    cached: bool = False
    bodies: Bodies | None = None
