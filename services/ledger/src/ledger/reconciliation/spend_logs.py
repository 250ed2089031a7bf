"""Reads LiteLLM's own log of its calls, `/spend/logs/v2`, day by day and page by page; where it has a database."""

import asyncio
import urllib.error
import urllib.parse
import urllib.request
from datetime import date, datetime, timedelta
from typing import Final

import asyncpg
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, field, json

from ledger.reconciliation.litellm_payloads import read_rows
from ledger.store.reconciliation.rows import Source
from ledger.store.reconciliation.upstream_calls import end_of, keep_calls, next_page_of, note_page, utc_midnight

PATH: Final = "/spend/logs/v2"
PAGE_ROWS: Final = 500
MOST_PAGES: Final = 20_000
"""Of one day; ten million calls."""
MOST_BYTES: Final = 64 * 1024 * 1024
TIMEOUT_SECONDS: Final = 60.0
TRIES: Final = 3
PAUSE_SECONDS: Final = 1.0


class SpendLogsError(Exception):
    """LiteLLM does not tell; the text is one line that says what it answered."""


class _Page(Struct, frozen=True):
    data: list[object] = field(default_factory=list)
    total_pages: int = 0


_decode: Final = json.Decoder(_Page).decode


class SpendLogs:
    """LiteLLM at that address; `key` may read its log.

    `refused` rows of it could not be read, the first of them for `refused_for`.
    """

    def __init__(self, url: str, key: str) -> None:
        self.refused = 0
        self.refused_for = ""
        self._url = url
        self._key = key

    async def fetch(self, connection: asyncpg.Connection, first: date, last: date, now: datetime) -> int:
        """Bring the calls of these UTC days into the table; returns how many are new.

        What was fetched stays: a fetch that was cut goes on at its page, and a day that was over is not fetched again.

        Raises:
            SpendLogsError: LiteLLM does not answer, or not with its log.
        """
        stored, day = 0, first
        while day <= last and utc_midnight(day) <= now:
            stored += await self._fetch_day(connection, day, now)
            day += timedelta(days=1)
        return stored

    async def _fetch_day(self, connection: asyncpg.Connection, day: date, now: datetime) -> int:
        stored, is_over = 0, now >= end_of(day) + timedelta(hours=1)
        oldest = utc_midnight(day) - timedelta(days=1)
        page = await next_page_of(connection, day)
        while page is not None:
            if page > MOST_PAGES:
                raise SpendLogsError(f"{day}: more than {MOST_PAGES} pages")
            told = await self._page(day, page)
            batch = read_rows(told.data, now, oldest)
            if batch.refused and not batch.calls:
                raise SpendLogsError(f"{day}, page {page}: no row can be read: {batch.refused[0]}")
            if batch.refused:
                self.refused_for = self.refused_for or batch.refused[0]
                self.refused += len(batch.refused)
            is_last = page >= told.total_pages
            async with connection.transaction():
                stored += await keep_calls(connection, Source.SPEND_LOGS, batch.calls)
                # A day that goes on is read anew from its start: rows may come between those that were read.
                await note_page(connection, day, (None if is_last else page + 1) if is_over else 1)
            page = None if is_last else page + 1
        return stored

    async def _page(self, day: date, page: int) -> _Page:
        asked = {
            "start_date": f"{day} 00:00:00",
            "end_date": f"{day} 23:59:59",
            "page": page,
            "page_size": PAGE_ROWS,
            "sort_by": "startTime",
            "sort_order": "asc",
        }
        request = urllib.request.Request(  # noqa: S310  the settings name http or https
            f"{self._url}{PATH}?{urllib.parse.urlencode(asked)}", headers={"Authorization": f"Bearer {self._key}"}
        )
        for attempt in range(1, TRIES + 1):
            try:
                return _decode(await asyncio.to_thread(_read, request))
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == TRIES:
                    raise SpendLogsError(f"{PATH} answers {error.code}") from None
            except (OSError, TimeoutError) as error:
                if attempt == TRIES:
                    raise SpendLogsError(f"LiteLLM does not answer: {error}") from None
            except DECODE_ERRORS:
                raise SpendLogsError(f"{PATH} answers something else than a page of its log") from None
            await asyncio.sleep(PAUSE_SECONDS * attempt)
        raise AssertionError("the last attempt returns or raises")


def _read(request: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  as above
        body: bytes = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise SpendLogsError(f"{PATH}: a page of more than {MOST_BYTES} bytes")
    return body
