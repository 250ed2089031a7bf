"""The verbs over vouchers."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from chassis.operate.database import open_engine
from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.output import write_line, write_lines
from chassis.operators import operator

from billing.application.vouchers import make_vouchers
from billing.domain.vouchers import end_of_day
from billing.operate.options import (
    Batch,
    BatchOrAll,
    Count,
    ExpiresDays,
    PerAccount,
    Reason,
    ReasonOrNone,
    TokensOrNone,
    Until,
    Uses,
)
from billing.operate.settings import load_settings
from billing.store.tables import SERVICE
from billing.store.vouchers import NewBatch, load_batches, load_uses, withdraw_batch


async def vouchers(
    *,
    tokens: TokensOrNone = None,
    count: Count = None,
    uses: Uses = None,
    per_account: PerAccount = None,
    until: Until = None,
    expires_days: ExpiresDays = None,
    reason: ReasonOrNone = None,
    batch: BatchOrAll = None,
) -> None:
    """Makes codes worth TOKENS each and prints them once; without TOKENS lists batches, or the uses of one."""
    making = (count, uses, per_account, until, expires_days, reason)
    if tokens is None:
        if any(value is not None for value in making):
            raise BadInputError("TOKENS=… is needed, and COUNT and REASON, to make vouchers")
        await _list(batch)
        return
    if count is None or reason is None:
        raise BadInputError(f"{'COUNT' if count is None else 'REASON'}=… is needed to make vouchers")
    if batch is not None:
        raise BadInputError("BATCH: a batch gets its number when it is made")
    ends_at = None
    if until is not None:
        ends_at = end_of_day(until, ZoneInfo(load_settings().time_zone))
        if ends_at <= datetime.now(UTC):
            raise BadInputError("UNTIL: that day is over")
    wanted = NewBatch(
        tokens=tokens,
        uses=uses or 1,
        per_account=per_account or 1,
        ends_at=ends_at,
        expires_days=expires_days,
        made_by=operator(),
        reason=reason,
    )
    async with open_engine(SERVICE) as engine:
        batch_id, codes = await make_vouchers(engine, wanted, count)
    write_lines([{"batch_id": batch_id, "code": code, "tokens": tokens} for code in codes])


async def vouchers_withdraw(batch: Batch, reason: Reason) -> None:
    """Lets no code of a batch be used any more; what was redeemed stays."""
    async with open_engine(SERVICE) as engine:
        if not await withdraw_batch(engine, batch, by=operator(), why=reason):
            raise RefusedError(f"no batch {batch} that is not withdrawn already")
    write_line({"batch_id": batch, "withdrawn": True})


async def _list(batch: int | None) -> None:
    async with open_engine(SERVICE) as engine:
        if batch is None:
            write_lines(await load_batches(engine))
            return
        uses = await load_uses(engine, batch)
    if uses is None:
        raise RefusedError(f"no batch {batch}")
    write_lines(uses)
