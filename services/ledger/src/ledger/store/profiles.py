"""What is known of people, beside the log: written as it is learned, page by page where a file brings it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import asyncpg
from contracts.codec import encode
from contracts.profiles import Profile
from msgspec import Struct

FORGOTTEN_FOR: Final = timedelta(minutes=15)
"""So long nothing is learned of a person who was forgotten: what was under way then must not bring them back."""
SEEN_EVERY: Final = timedelta(days=1)
"""How exactly `updated_at` says when a person was heard of last."""
_STORE: Final = """
INSERT INTO ledger.profiles AS known (account_id, email, name, locale, user_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS told (account_id) ORDER BY 1
ON CONFLICT (account_id) DO UPDATE SET
    email = coalesce(excluded.email, known.email),
    name = coalesce(excluded.name, known.name),
    locale = coalesce(excluded.locale, known.locale),
    user_id = coalesce(excluded.user_id, known.user_id),
    forgotten_at = NULL,
    updated_at = now()
WHERE (known.forgotten_at IS NULL OR known.forgotten_at < now() - $6::interval)
AND (
    known.forgotten_at IS NOT NULL
    OR known.updated_at < now() - $7::interval
    OR (known.email, known.name, known.locale, known.user_id) IS DISTINCT FROM (
        coalesce(excluded.email, known.email), coalesce(excluded.name, known.name),
        coalesce(excluded.locale, known.locale), coalesce(excluded.user_id, known.user_id)
    )
)
"""
_LOAD: Final = """
SELECT account_id, email, name, tags, forgotten_at IS NOT NULL FROM ledger.profiles
WHERE account_id = ANY ($1::text[])
"""
# Arrays of different lengths are no array of Postgres', so each comes as JSON.
_STORE_TAGS: Final = """
INSERT INTO ledger.profiles AS known (account_id, tags)
SELECT account_id, ARRAY(SELECT jsonb_array_elements_text(tags)) FROM unnest($1::text[], $2::jsonb[])
    AS told (account_id, tags) ORDER BY 1
ON CONFLICT (account_id) DO UPDATE SET tags = nullif(excluded.tags, '{}')
WHERE known.forgotten_at IS NULL AND known.tags IS DISTINCT FROM excluded.tags
"""


class KnownPerson(Struct, frozen=True):
    """What is stored of a person; `is_forgotten` until they are heard of again by a call."""

    email: str | None
    name: str | None
    tags: Sequence[str] | None
    is_forgotten: bool


async def store_profiles(connection: asyncpg.Pool | asyncpg.Connection, profiles: Mapping[str, Profile]) -> None:
    """Keep what is given, by account; what is None stays as it was, and so does who was just forgotten."""
    told = profiles.values()
    await connection.execute(
        _STORE,
        list(profiles),
        [profile.email for profile in told],
        [profile.name for profile in told],
        [profile.locale for profile in told],
        [profile.user_id for profile in told],
        FORGOTTEN_FOR,
        SEEN_EVERY,
    )


async def load_people(connection: asyncpg.Connection, account_ids: Sequence[str]) -> dict[str, KnownPerson]:
    """By account; who is not known is not there."""
    rows = await connection.fetch(_LOAD, account_ids)
    return {account_id: KnownPerson(*known) for account_id, *known in rows}


async def store_tags(connection: asyncpg.Connection, tags: Mapping[str, Sequence[str]]) -> None:
    """Replace those of each account; of who was forgotten nothing is kept."""
    await connection.execute(_STORE_TAGS, list(tags), [encode(each).decode() for each in tags.values()])
