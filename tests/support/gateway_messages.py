"""What a gateway tells and asks, with all that a test does not care about filled in."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chassis.ids import new_uuid7
from contracts.envelope import CloudEvent, cloud_event_type
from contracts.events.registry import USAGE_RECORDED
from contracts.events.usage import UsageRecorded
from contracts.reservations import ReserveRequest
from contracts.usage import Outcome, TokenUsage, UsageSource
from msgspec.structs import replace

MODEL: Final = "gpt-4o"
ENDPOINT: Final = "/v1/chat/completions"


def usage_recorded(
    reservation_id: str,
    *,
    prompt: int = 0,
    completion: int = 0,
    **fields: Any,  # Any: each field has its own type
) -> UsageRecorded:
    """A call that was completed, with the provider's own figures; `fields` are set over that."""
    usage = UsageRecorded(
        reservation_id=reservation_id,
        model=MODEL,
        endpoint=ENDPOINT,
        usage=TokenUsage(prompt_tokens=prompt, completion_tokens=completion),
        usage_source=UsageSource.PROVIDER,
        outcome=Outcome.COMPLETED,
        status=200,
        started_at=datetime.now(UTC),
        duration_ms=5,
    )
    return replace(usage, **fields)


def usage_event(account_id: str, usage: UsageRecorded, *, event_id: str | None = None) -> CloudEvent[UsageRecorded]:
    return CloudEvent(
        id=event_id or new_uuid7(),
        type=cloud_event_type(USAGE_RECORDED),
        source="solaris/gateway",
        subject=account_id,
        time=usage.started_at,
        data=usage,
    )


def reserve_request(
    account_id: str,
    reservation_id: str | None = None,
    **fields: Any,  # Any: as above
) -> ReserveRequest:
    """For a call of 100 tokens in and 100 out, to be answered within three seconds; `fields` are set over that."""
    request = ReserveRequest(
        reservation_id=reservation_id or new_uuid7(),
        account_id=account_id,
        model=MODEL,
        endpoint=ENDPOINT,
        prompt_tokens=100,
        maximum_output_tokens=100,
        deadline=datetime.now(UTC) + timedelta(seconds=3),
    )
    return replace(request, **fields)
