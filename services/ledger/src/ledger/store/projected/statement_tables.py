"""The tables of the statement: movements, appended by whole pages, and the accounts as of the same position."""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
from contracts.codec import encode
from msgspec import json
from msgspec.structs import astuple

from ledger.store.projected.statement_rows import Charged, KnownAccount, Movement, Terms
from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import Track
from ledger.store.projected.usage_rows import ReservationKey

_TEXT: Final = 'text COLLATE "C"'
_FIGURE: Final = "bigint"
_NEEDED: Final = "NOT NULL"
_COLUMNS: Final = {
    "account_id": f"{_TEXT} {_NEEDED}",
    "position": f"{_FIGURE} {_NEEDED}",
    "recorded_at": f"timestamptz {_NEEDED}",
    "kind": f"{_TEXT} {_NEEDED}",
    "tokens": f"{_FIGURE} {_NEEDED}",
    "reservation_id": _TEXT,
    "model": _TEXT,
    "cycle_id": f"{_TEXT} {_NEEDED}",
    **dict.fromkeys(
        (
            "prompt_tokens",
            "cached_prompt_tokens",
            "cache_write_tokens",
            "completion_tokens",
            "reasoning_tokens",
            "prompt_weight_millionths",
            "cached_prompt_weight_millionths",
            "cache_write_weight_millionths",
            "completion_weight_millionths",
            "billable_tokens",
            "cost_usd_micros",
        ),
        _FIGURE,
    ),
    "usage_source": _TEXT,
    **dict.fromkeys(("from_allowance", "from_credits", "to_debt", "to_unowed"), f"{_FIGURE} {_NEEDED}"),
    "lapsed": _FIGURE,
    "lots": "jsonb",
    "reserved_position": _FIGURE,
    "corrects_position": _FIGURE,
    "corrects_tokens": _FIGURE,
    **dict.fromkeys(("lot_id", "reference", "plan", "actor", "reason_id"), _TEXT),
    **dict.fromkeys(("monthly_used", "monthly_limit", "credits", "debt", "unowed"), f"{_FIGURE} {_NEEDED}"),
}
assert tuple(_COLUMNS) == Movement.__struct_fields__, "a movement is a row, column by column"
_TABLE: Final = TableShape(
    columns=_COLUMNS,
    key=("account_id", "position"),
    appended=True,
    indexes=(
        "btree (reservation_id) WHERE reservation_id IS NOT NULL",
        # Rows come in the order of time: that little is enough to find those of some days.
        "brin (recorded_at) WITH (pages_per_range = 16)",
    ),
)
_ACCOUNTS: Final = TableShape(
    suffix="_accounts",
    columns={"account_id": f"{_TEXT} {_NEEDED}", "state": f"text {_NEEDED}"},
    key=("account_id",),
)
SHAPES: Final = (_TABLE, _ACCOUNTS)

_decode_known: Final = json.Decoder(KnownAccount).decode


async def load_accounts(
    connection: asyncpg.Connection, track: Track, account_ids: Sequence[str]
) -> dict[str, KnownAccount]:
    """Those of them that were opened, as of the track's position."""
    query = f"SELECT account_id, state FROM {_ACCOUNTS.name_in(track)} WHERE account_id = ANY ($1::text[])"  # noqa: S608  names of our own
    return {row[0]: _decode_known(row[1]) for row in await connection.fetch(query, account_ids)}


async def load_charged(
    connection: asyncpg.Connection, track: Track, reservations: Sequence[ReservationKey]
) -> dict[ReservationKey, Charged]:
    """Of those reservations that were charged by their hold or by our own count, as they last were."""
    found = await connection.fetch(
        f"""
        SELECT account_id, reservation_id, position, reserved_position, prompt_weight_millionths,
            cached_prompt_weight_millionths, cache_write_weight_millionths, completion_weight_millionths
        FROM unnest($1::text[], $2::text[]) AS wanted (account_id, reservation_id)
        JOIN {_TABLE.name_in(track)} AS movement USING (account_id, reservation_id)
        WHERE movement.kind = 'unsettled' OR movement.usage_source = 'estimated'
        ORDER BY position  -- an id is free again after 400 days
        """,  # noqa: S608  names of our own
        *zip(*reservations, strict=True),
    )
    return {
        ReservationKey(row[0], row[1]): Charged(row[2], None if row[4] is None else Terms(*row[3:])) for row in found
    }


async def write_statement(
    connection: asyncpg.Connection,
    track: Track,
    movements: Sequence[Movement],
    accounts: Mapping[str, KnownAccount],
) -> None:
    """Append the movements of a page, and keep the accounts as they are after it."""
    if movements:
        schema, _, table = _TABLE.name_in(track).partition(".")
        await connection.copy_records_to_table(
            table, schema_name=schema, columns=list(_COLUMNS), records=map(astuple, movements)
        )
    await connection.execute(
        f"""
        INSERT INTO {_ACCOUNTS.name_in(track)} (account_id, state) SELECT * FROM unnest($1::text[], $2::text[])
        ON CONFLICT (account_id) DO UPDATE SET state = excluded.state
        """,  # noqa: S608  names of our own
        list(accounts),
        [encode(known).decode() for known in accounts.values()],
    )
