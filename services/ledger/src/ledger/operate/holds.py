"""The verb that lists holds whose usage has not come."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Final

from chassis.operate.options import option

from ledger.operate.database import open_ledger
from ledger.operate.options import AccountOrAll, age
from ledger.operate.reports import FormatOrFitting, Report, Row, look, write_report
from ledger.store.projected.outstanding_report import HoldLine, load_outstanding

_REPORT: Final = Report(columns=HoldLine.__struct_fields__, summed={"tokens"}, narrower="ACCOUNT= or OLDER=")


async def holds(
    *,
    account: AccountOrAll = None,
    older: Annotated[
        timedelta, option("--older", parse=age, help="made at least so long ago: 90s, 15m, 6h or 30d")
    ] = timedelta(),
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> None:
    """Holds that are open, and those that were charged without usage, the oldest first."""
    async with open_ledger() as connection:
        await look(connection, "outstanding", account)
        async with contextlib.aclosing(load_outstanding(connection, account, older)) as lines:
            await write_report(format, _REPORT, _rows(lines))


async def _rows(lines: AsyncIterator[HoldLine]) -> AsyncIterator[Row]:
    async for line in lines:
        yield [getattr(line, name) for name in _REPORT.columns]
