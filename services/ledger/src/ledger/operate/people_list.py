"""The verb that lists people."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Final

from chassis.operate.options import option, text
from msgspec import Struct

from ledger.application.people import LEAST_PART
from ledger.operate.database import open_ledger
from ledger.operate.reports import FormatOrFitting, Report, Row, look, write_report
from ledger.store.projected.people_list import PeopleSort, PeopleWanted, PersonLine, load_people

MAX_PART_LENGTH: Final = 320
_REPORT: Final = Report(
    columns=PersonLine.__struct_fields__, summed={"monthly_used", "monthly_limit", "credits", "debt"}, narrower="WHO="
)


class _Sort(Struct, frozen=True):
    by: PeopleSort
    descending: bool


_BY_ID: Final = _Sort(PeopleSort.ACCOUNT, descending=False)


def _part(typed: str) -> str:
    part = text(MAX_PART_LENGTH)(typed.strip())
    if len(part) < LEAST_PART:
        raise ValueError(f"at least {LEAST_PART} letters")
    return part


def _sort(typed: str) -> _Sort:
    by = typed.removeprefix("-")
    if by not in list(PeopleSort):
        raise ValueError(f"one of {', '.join(PeopleSort)}, the largest or last first with - before it")
    return _Sort(PeopleSort(by), typed.startswith("-"))


async def people(
    *,
    who: Annotated[str | None, option("--who", parse=_part, help="part of a name, an e-mail or an id")] = None,
    sort: Annotated[_Sort, option("--sort", parse=_sort, help="a column, the largest first with - before it")] = _BY_ID,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> None:
    """People with plan, status, tokens and last call, as their last events left them."""
    wanted = PeopleWanted(sort=sort.by, descending=sort.descending, part=who)
    async with open_ledger() as connection:
        await look(connection, "statement", view="people")
        async with contextlib.aclosing(load_people(connection, wanted)) as lines:
            await write_report(format, _REPORT, _rows(lines))


async def _rows(lines: AsyncIterator[PersonLine]) -> AsyncIterator[Row]:
    async for line in lines:
        yield [getattr(line, name) for name in _REPORT.columns]
