"""What a call used: token classes, where the figures come from, how the call ended."""

from enum import StrEnum

from msgspec import Struct

from contracts.limits import Tokens


class UsageSource(StrEnum):
    """`provider`: the provider's own figures; `provider_repaired`: the same, read out of an unusual or damaged form;
    `estimated`: ours, in part at least, for lack of those; `none`: nothing was used."""

    PROVIDER = "provider"
    PROVIDER_REPAIRED = "provider_repaired"
    ESTIMATED = "estimated"
    NONE = "none"


class Outcome(StrEnum):
    """How a reservation ended, seen from the gateway."""

    COMPLETED = "completed"
    CLIENT_DISCONNECTED = "client_disconnected"
    UPSTREAM_ERROR = "upstream_error"
    INTERRUPTED = "interrupted"
    NOT_FORWARDED = "not_forwarded"


class TokenUsage(Struct, frozen=True, kw_only=True):
    """Provider tokens of one call.

    `cached_prompt_tokens` and `cache_write_tokens` are parts of `prompt_tokens`; `reasoning_tokens` is a part of
    `completion_tokens` (OpenAI's convention; other providers' figures are brought to it at the edge).
    """

    prompt_tokens: Tokens = 0
    cached_prompt_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    completion_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0
