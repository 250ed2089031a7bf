"""The stored events as an operator reads them."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime

import asyncpg
from contracts.errors import NotFoundError
from msgspec import DecodeError, Raw, Struct, json

from ledger.store.log import newest_position, read_any_time, rows_between, rows_of_account
from ledger.store.read_path import is_account_open


class EventLine(Struct, frozen=True):
    """`type` is the CloudEvents type, `data` the event's data object as it is stored."""

    position: int
    account_id: str
    version: int
    type: str
    recorded_at: datetime | None
    data: Raw | str


class _Envelope(Struct, frozen=True):
    data: Raw


_data_of = json.Decoder(_Envelope).decode


async def event_lines(
    connection: asyncpg.Connection, first: int, last: int, account_id: str | None
) -> AsyncGenerator[list[EventLine]]:
    """Positions `first` to `last` of what is stored now, of all accounts or of one, in position order.

    Raises:
        NotFoundError: the account named has no events at all.
    """
    if account_id is not None and not await is_account_open(connection, account_id):
        raise NotFoundError(f"no account {account_id}")
    await read_any_time(connection)
    last = min(last, await newest_position(connection))
    if account_id is None:
        pages = rows_between(connection, first, last)
    else:
        pages = rows_of_account(connection, account_id, first=first, last=last, size=500)
    async for rows in pages:
        yield [
            EventLine(position, account, version, event_type, recorded_at, _data(data))
            for position, account, version, _, event_type, recorded_at, data, _ in rows
        ]


def _data(stored: bytes) -> Raw | str:
    # Damaged bytes are shown as text, and never as more than one line; what is wrong with them `verify` says.
    if b"\n" not in stored:
        with contextlib.suppress(DecodeError, RecursionError):
            return _data_of(stored).data
    return stored.decode("utf-8", "backslashreplace")
