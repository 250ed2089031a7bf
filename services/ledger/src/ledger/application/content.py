"""Digests of contents, for telling a repetition from a conflict."""

from hashlib import blake2b

from contracts.codec import encode
from contracts.events.usage import UsageRecorded
from contracts.reservations import ReserveRequest


def content_hash(content: object) -> str:
    """A digest of anything that encodes to JSON: 32 hexadecimal digits."""
    return blake2b(encode(content), digest_size=16).hexdigest()


def reserve_hash(request: ReserveRequest) -> str:
    """What a repeated reserve must repeat; deadline, key and profile may differ."""
    return content_hash(
        (
            request.model,
            request.endpoint,
            request.prompt_tokens,
            request.maximum_output_tokens,
            request.model_output_tokens,
            request.choices,
            request.output_free,
            # Left out where there is none, as of gateways and ledgers that do not know it.
            *((request.thinking_tokens,) if request.thinking_tokens else ()),
        )
    )


def usage_hash(usage: UsageRecorded) -> str:
    """What makes two ends of a reservation the same figure; times of measurement may differ."""
    return content_hash((usage.model, usage.endpoint, usage.usage, usage.usage_source, usage.outcome))
