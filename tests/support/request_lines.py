"""Lines of the request log, with all that a test does not care about filled in, and who stores them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
from chassis.core_nats.client import CoreNats
from chassis.ids import new_uuid7
from chassis.postgres import create_pool, opened
from contracts.requests import RequestEnded, RequestEnding
from contracts.usage import Outcome, TokenUsage, UsageSource
from ledger.projector.request_days import RequestDays
from ledger.projector.request_log import RequestLog
from ledger.store.requests.days import Retention
from msgspec.structs import replace

from tests.support.gateway_messages import ENDPOINT, MODEL

RETENTION: Final = Retention(log_days=90, body_days=7, refusal_days=730)


def served(account_id: str, **fields: Any) -> RequestEnded:  # Any: each field has its own type
    """A call that was answered whole; `fields` are set over that."""
    line = RequestEnded(
        request_id=new_uuid7(),
        account_id=account_id,
        at=datetime.now(UTC),
        endpoint=ENDPOINT,
        ending=RequestEnding.SERVED,
        status=200,
        duration_ms=1_234,
        outcome=Outcome.COMPLETED,
        model=MODEL,
        estimated_prompt_tokens=100,
        held_tokens=4_196,
        granted_output_tokens=4_096,
        usage=TokenUsage(prompt_tokens=110, completion_tokens=20),
        usage_source=UsageSource.PROVIDER,
        upstream_attempts=1,
    )
    return replace(line, **fields)


def refused(account_id: str, code: str = "insufficient_tokens", **fields: Any) -> RequestEnded:  # Any: as above
    return replace(
        RequestEnded(
            request_id=new_uuid7(),
            account_id=account_id,
            at=datetime.now(UTC),
            endpoint=ENDPOINT,
            ending=RequestEnding.REFUSED,
            status=402,
            duration_ms=3,
            code=code,
            model=MODEL,
        ),
        **fields,
    )


@contextlib.asynccontextmanager
async def storing(database_url: str, client: CoreNats) -> AsyncIterator[RequestLog]:
    """What the projector does with the request log, in this process, for the length of the block."""
    pool: asyncpg.Pool = create_pool(database_url, max_size=2, service="test-requests")
    async with opened(pool):
        log = RequestLog(client, pool, RequestDays(pool, RETENTION))
        reading = asyncio.create_task(log.run())
        try:
            yield log
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
