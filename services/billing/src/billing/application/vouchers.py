"""Makes vouchers in batches: their codes are told once, and stand nowhere."""

import secrets

from contracts.errors import InvalidError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.voucher_codes import RANDOM_BITS, code_of, digest_of
from billing.store.vouchers import NewBatch, insert_batch


async def make_vouchers(engine: AsyncEngine, batch: NewBatch, count: int) -> tuple[int, list[str]]:
    """Make `count` codes; returns the batch's id and the codes, which nobody can be told again.

    Raises:
        InvalidError: one account may have more uses than a code has.
    """
    if batch.per_account > batch.uses:
        raise InvalidError(f"PER_ACCOUNT: a code has {batch.uses} uses, of which one account can't have more")
    codes = [code_of(secrets.randbits(RANDOM_BITS)) for _ in range(count)]
    return await insert_batch(engine, batch, [digest_of(code) for code in codes]), codes
