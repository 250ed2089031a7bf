"""Accounts as the last page left them, so that the next one need not read them again."""

from typing import Final

from ledger.store.projected.statement_rows import KnownAccount
from ledger.store.projected.tracks import Track

MAX_ACCOUNTS: Final = 10_000
MAX_TRACKS: Final = 2
"""One that is read, and one that is built beside it."""


class KnownAccounts:
    """What a track's accounts were at a position.

    The log makes them the same whoever folds it, so what is remembered is right exactly where the track stands there;
    else, where a page was not written or somebody else has moved the track, it is forgotten.
    """

    def __init__(self, most: int = MAX_ACCOUNTS) -> None:
        self._most = most
        self._tracks: dict[int, tuple[int, dict[str, KnownAccount]]] = {}

    def take(self, track: Track) -> dict[str, KnownAccount]:
        """All that is remembered of where the track stands, once: whoever changes it gives it back by `keep`."""
        position, known = self._tracks.pop(track.track_id, (track.position, {}))
        return known if position == track.position else {}

    def keep(self, track: Track, position: int, known: dict[str, KnownAccount]) -> None:
        """Remember the accounts of the track at that position; of too many the first ones are forgotten."""
        for account_id in [each for each, _ in zip(known, range(len(known) - self._most), strict=False)]:
            del known[account_id]
        while len(self._tracks) >= MAX_TRACKS:
            del self._tracks[next(iter(self._tracks))]
        self._tracks[track.track_id] = (position, known)
