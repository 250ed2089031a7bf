"""What a person's calls leave in the request log, as a gateway would have told of each."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from random import Random
from typing import Final

from contracts.errors import RefusalCode
from contracts.requests import RequestEnded, RequestEnding
from contracts.reservations import Refused
from contracts.usage import Outcome
from msgspec.structs import replace

from company.chatting import ENDPOINT, Asked
from company.people import Person

STATUSES: Final = {RefusalCode.INSUFFICIENT_TOKENS: 402, RefusalCode.ACCOUNT_SUSPENDED: 403}
AGENT: Final = "LibreChat/0.8"


def lines_of(person: Person, asked: Sequence[Asked], since: datetime) -> list[RequestEnded]:
    """Of those that were asked since then, and of refusals before; of a call that a gateway lost it never told."""
    random = Random(f"asking:{person.seed}:{person.number}")  # noqa: S311  a demo, the same every time
    # Of a block that is for documents alone (RFC 5737).
    address = f"203.0.113.{random.randrange(1, 255)}"
    return [line for each in asked if each.at >= since or each.is_refused for line in _line(person, each, address)]


def _line(person: Person, asked: Asked, address: str) -> Iterator[RequestEnded]:
    line = RequestEnded(
        request_id=asked.answer.reservation_id,
        account_id=person.account_id,
        at=asked.at,
        endpoint=ENDPOINT,
        ending=RequestEnding.REFUSED,
        status=200,
        duration_ms=18,
        model=asked.model,
        streamed=True,
        key_id="demo",
        address=address,
        user_agent=AGENT,
        conversation_id=f"{person.account_id}-{asked.at:%Y%m%d}",
        estimated_prompt_tokens=asked.prompt_tokens,
    )
    if isinstance(asked.answer, Refused):
        code, figures = asked.answer.code, asked.answer.figures
        yield replace(
            line,
            code=code.value,
            status=STATUSES.get(code, 403),
            available_tokens=None if figures is None else figures.available,
            needed_tokens=None if figures is None else figures.needed,
        )
    elif (usage := asked.usage) is not None:
        failed = usage.outcome is Outcome.UPSTREAM_ERROR
        yield replace(
            line,
            ending=RequestEnding.FAILED if failed else RequestEnding.SERVED,
            status=usage.status,
            code=usage.outcome.value if failed else None,
            duration_ms=usage.duration_ms,
            first_token_ms=usage.first_token_ms,
            outcome=usage.outcome.value,
            usage=None if failed else usage.usage,
            usage_source=None if failed else usage.usage_source.value,
            held_tokens=asked.answer.held_tokens,
            granted_output_tokens=asked.answer.output_tokens,
            upstream_attempts=1,
        )
