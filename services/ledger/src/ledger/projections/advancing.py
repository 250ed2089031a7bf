"""Moves tracks on by a page: what the page changes and the new position are one transaction."""

from collections.abc import Sequence

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from ledger.projections.projection import Projection
from ledger.store.projected.tracks import Page, Track, load_page, move_tracks


class Followed(Struct):
    """A track that this process moves on; `track` is replaced with every page."""

    projection: Projection
    track: Track


def types_of(followed: Sequence[Followed]) -> frozenset[type]:
    """All that these tracks read."""
    return frozenset[type]().union(*(each.projection.reads for each in followed))


async def read_page(connection: asyncpg.Connection, followed: Sequence[Followed], up_to: int) -> Page:
    """The next page of tracks that stand at the same position, read and decoded once for all of them."""
    return await load_page(connection, followed[0].track.position, up_to, types_of(followed))


async def apply_page(connection: asyncpg.Connection, followed: Sequence[Followed], page: Page) -> None:
    """Write a page into all these tracks, or into none.

    Raises:
        MovedError: one of them was moved or put away meanwhile; what is stored is to be read anew.
    """
    if page.last == page.after:
        return
    async with connection.transaction():
        await move_tracks(connection, [each.track.track_id for each in followed], page.after, page.last)
        found = {type(event.fact.data) for event in page.events}
        for each in followed:
            reads, events = each.projection.reads, page.events
            if not found <= reads:
                events = [event for event in events if type(event.fact.data) in reads]
            await each.projection.apply(connection, each.track, events)
    for each in followed:
        each.track = replace(each.track, position=page.last)


async def advance(connection: asyncpg.Connection, followed: Sequence[Followed], up_to: int) -> int:
    """Read and write one page of tracks at the same position, not beyond `up_to`; returns how many events it had."""
    page = await read_page(connection, followed, up_to)
    await apply_page(connection, followed, page)
    return page.count
