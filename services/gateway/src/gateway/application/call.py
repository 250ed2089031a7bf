"""One metered call: what is known of it, and how that is recorded."""

import time
from datetime import UTC, datetime

from chassis.ids import new_uuid7
from contracts.codec import encode
from contracts.envelope import CloudEvent, cloud_event_type
from contracts.events.registry import USAGE_RECORDED
from contracts.events.usage import UsageRecorded
from contracts.reservations import RefusalFigures
from contracts.usage import Outcome, TokenUsage, UsageSource
from msgspec import Struct, field

ENDPOINT = "/v1/chat/completions"
SOURCE = "gateway"
_TYPE = cloud_event_type(USAGE_RECORDED)
_NOTHING = TokenUsage()


class Call(Struct, kw_only=True):
    """`reserving` from the first attempt to hold on, until `Ending` has recorded the call's end.

    `key_id` is empty until the caller's key is known. `code` is why the client was told no, or that its answer failed;
    `would_refuse`, observing, why it would have been told no. `passed`: forwarded without being looked at (observing).
    `most_output_tokens` is what the upstream was allowed to produce, over all choices, where that is known: our own
    count never exceeds it. `stream` and `wants_usage_chunk` are the form of the answer that was asked for.
    """

    id: str = field(default_factory=new_uuid7)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)
    key_id: str = ""
    account_id: str = ""
    model: str = ""
    conversation_id: str | None = None
    stream: bool = False
    wants_usage_chunk: bool = False
    estimated_prompt_tokens: int = 0
    held_tokens: int | None = None
    granted_output_tokens: int | None = None
    most_output_tokens: int | None = None
    code: str | None = None
    would_refuse: str | None = None
    refusal: RefusalFigures | None = None
    passed: bool = False
    upstream_attempts: int = 0
    cached: bool = False
    reserving: bool = False
    forwarded: bool = False
    forwarded_without_hold: bool = False
    observed: bool = False
    first_token_ms: int | None = None
    outcome: Outcome | None = None
    status: int = 0
    usage: TokenUsage = _NOTHING
    usage_source: UsageSource = UsageSource.NONE

    def elapsed_ms(self) -> int:
        return max(0, int((time.monotonic() - self.started) * 1000))

    def note_first_token(self) -> None:
        if self.first_token_ms is None:
            self.first_token_ms = self.elapsed_ms()

    def record(self) -> bytes:
        """The call's end as the event to publish."""
        assert self.outcome is not None, "a call is recorded when it has ended"
        return encode(
            CloudEvent(
                id=new_uuid7(),
                type=_TYPE,
                source=SOURCE,
                subject=self.account_id,
                time=datetime.now(UTC),
                correlationid=self.id,
                data=UsageRecorded(
                    reservation_id=self.id,
                    model=self.model,
                    endpoint=ENDPOINT,
                    usage=self.usage,
                    usage_source=self.usage_source,
                    outcome=self.outcome,
                    status=self.status,
                    started_at=self.started_at,
                    duration_ms=self.elapsed_ms(),
                    first_token_ms=self.first_token_ms,
                    estimated_prompt_tokens=self.estimated_prompt_tokens,
                    conversation_id=self.conversation_id,
                    forwarded_without_hold=self.forwarded_without_hold,
                    observed=self.observed,
                ),
            )
        )
