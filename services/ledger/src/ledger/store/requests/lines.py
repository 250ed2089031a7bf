"""Stores lines of the request log, each once, with what of it is kept beside: bodies, and counts of refusals."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import asyncpg
from contracts.requests import RequestEnded
from msgspec import Struct

from ledger.store.arrays import figures, moments, words

_OF_LINE: Final = {
    "at": "timestamptz",
    "duration_ms": "bigint",
    "first_token_ms": "bigint",
    "estimated_prompt_tokens": "bigint",
    "held_tokens": "bigint",
    "granted_output_tokens": "bigint",
    "available_tokens": "bigint",
    "needed_tokens": "bigint",
    "status": "smallint",
    "client_retries": "smallint",
    "upstream_attempts": "smallint",
    "streamed": "boolean",
    "cached": "boolean",
    "request_id": "text",
    "account_id": "text",
    "endpoint": "text",
    "model": "text",
    "ending": "text",
    "code": "text",
    "would_refuse": "text",
    "outcome": "text",
    "usage_source": "text",
    "key_id": "text",
    "conversation_id": "text",
    "client_request_id": "text",
    "address": "text",
    "user_agent": "text",
}
_OF_USAGE: Final = dict.fromkeys(
    ("prompt_tokens", "cached_prompt_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens"), "bigint"
)
COLUMNS: Final = {**_OF_LINE, **_OF_USAGE}
"""Columns of the log by their names, which are those of a message's fields, with their types."""
_ARRAY_OF: Final[dict[str, Callable[[Any], str]]] = {  # Any: a column of that kind
    "timestamptz": moments,
    "bigint": figures,
    "smallint": figures,
    "boolean": figures,
    "text": words,
}
_PARAMETERS: Final = ", ".join(f"${number}::text::{kind}[]" for number, kind in enumerate(COLUMNS.values(), start=1))
_ARRAYS: Final = [_ARRAY_OF[kind] for kind in COLUMNS.values()]
_NAMES: Final = ", ".join(COLUMNS)
_BODIES: Final = len(COLUMNS) + 1
_of_line = attrgetter(*_OF_LINE)
_of_usage = attrgetter(*_OF_USAGE)
_NO_USAGE: Final = (None,) * len(_OF_USAGE)

# One statement: what is counted is what was not there before. Sorted, so that of two who store the same one waits for
# the other, and never both.
_STORE: Final = f"""
WITH line AS (
    SELECT * FROM unnest({_PARAMETERS}) AS line ({_NAMES})
), told AS (
    SELECT line.*, days.day IS NOT NULL AS has_day, coalesce(line.at <= forgotten.at, false) AS is_forgotten
    FROM line
    LEFT JOIN requests.days ON days.parent = 'log' AND days.day = (line.at AT TIME ZONE 'UTC')::date
    LEFT JOIN requests.forgotten ON forgotten.account_id = line.account_id
), stored AS (
    INSERT INTO requests.log ({_NAMES})
    SELECT {_NAMES} FROM told WHERE has_day AND NOT is_forgotten ORDER BY request_id
    ON CONFLICT DO NOTHING RETURNING at, request_id, account_id, ending, code
), body AS (
    INSERT INTO requests.bodies (at, request_id, account_id, request, answer)
    SELECT stored.at, request_id, stored.account_id, request, answer
    FROM unnest(${_BODIES}::text[], ${_BODIES + 1}::text[], ${_BODIES + 2}::text[])
    AS body (request_id, request, answer)
    JOIN stored USING (request_id)
    WHERE EXISTS (SELECT FROM requests.days WHERE parent = 'bodies' AND day = (stored.at AT TIME ZONE 'UTC')::date)
    ON CONFLICT DO NOTHING
), counted AS (
    INSERT INTO requests.refusals AS kept (account_id, hour, code, refusals)
    SELECT account_id, date_trunc('hour', at, 'UTC'), coalesce(code, ''), count(*)
    FROM stored WHERE ending = 'refused' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (account_id, hour, code) DO UPDATE SET refusals = kept.refusals + excluded.refusals
)
SELECT (SELECT count(*) FROM stored),
    (SELECT count(*) FROM told WHERE is_forgotten),
    (SELECT count(*) FROM told WHERE NOT has_day AND NOT is_forgotten)
"""  # noqa: S608  constants
_COUNT: Final = """
INSERT INTO requests.refusals AS kept (account_id, hour, code, refusals)
SELECT account_id, date_trunc('hour', at, 'UTC'), coalesce(code, ''), count(*)
FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS refused (account_id, at, code)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (account_id, hour, code) DO UPDATE SET refusals = kept.refusals + excluded.refusals
"""


class Stored(Struct, frozen=True):
    """What became of lines: `undated` are of a day that is dropped already, or not to come soon."""

    new: int
    repeated: int
    forgotten: int
    undated: int


async def store_lines(
    connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy, lines: Sequence[RequestEnded]
) -> Stored:
    """Store and count those that are new; it is committed when this returns."""
    rows = [_of_line(line) + (_NO_USAGE if line.usage is None else _of_usage(line.usage)) for line in lines]
    bodies = [(line.request_id, line.bodies.request, line.bodies.answer) for line in lines if line.bodies is not None]
    columns = [array_of(column) for array_of, column in zip(_ARRAYS, zip(*rows, strict=True), strict=True)]
    of_bodies = [list(column) for column in zip(*bodies, strict=True)] or [[], [], []]
    ((new, forgotten, undated),) = await connection.fetch(_STORE, *columns, *of_bodies)
    return Stored(new, len(lines) - new - forgotten - undated, forgotten, undated)


async def count_refusals(connection: asyncpg.Connection, refused: Sequence[RequestEnded]) -> None:
    """Count refusals of days whose lines the log does not keep any more; the same ones again count again."""
    columns = [[line.account_id for line in refused], [line.at for line in refused], [line.code for line in refused]]
    await connection.execute(_COUNT, *columns)
