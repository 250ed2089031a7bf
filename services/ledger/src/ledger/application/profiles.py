"""Keeps people's e-mail, name and language as the gateways report them, beside the log and never in it."""

import asyncio
import time
from collections import OrderedDict
from typing import Final, NamedTuple

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.profiles import Profile
from contracts.reservations import Refused
from msgspec.structs import replace

from ledger.store.profiles import FORGOTTEN_FOR
from ledger.store.read_path import load_profile, store_profile

log = structlog.get_logger()

MAX_KNOWN: Final = 50_000
MAX_UNWRITTEN: Final = 10_000
RETRY_SECONDS: Final = 1.0
KNOWN_SECONDS: Final = FORGOTTEN_FOR.total_seconds()
UNWRITTEN_SECONDS: Final = FORGOTTEN_FOR.total_seconds() / 2
"""How long a write may be late: less than a person stays forgotten, also where this process was frozen meanwhile."""


class KnownProfile(NamedTuple):
    """That a profile was learned, and until when that is taken for granted: a digest of it, and no word of it."""

    digest: int
    locale: str | None
    until: float


class Profiles:
    """Writes what changed, after the fact: a profile lost by a crash comes again with the person's next call.

    Nothing that is personal stays in memory once it is written, so no process has to be told that a person was
    forgotten: what it takes to be stored is learned again after `KNOWN_SECONDS`.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._known: OrderedDict[str, KnownProfile] = OrderedDict()
        self._unwritten: OrderedDict[str, tuple[Profile, float]] = OrderedDict()
        self._wakeup = asyncio.Event()

    def learn(self, account_id: str, profile: Profile) -> None:
        """Note what a request says; equal to what is known, it costs nothing."""
        now, digest = time.monotonic(), hash(profile)
        known = self._known.get(account_id)
        if known is not None and known.digest == digest and now < known.until:
            return
        self._known[account_id] = KnownProfile(digest, profile.locale, now + KNOWN_SECONDS)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        self._unwritten[account_id] = (profile, now)
        if len(self._unwritten) > MAX_UNWRITTEN:
            self._unwritten.popitem(last=False)
        self._wakeup.set()

    def localised(self, account_id: str, refused: Refused) -> Refused:
        """The refusal with the person's language, where it is known here."""
        known = self._known.get(account_id)
        if known is None or known.locale is None:
            return refused
        return replace(refused, locale=known.locale)

    async def find(self, account_id: str) -> Profile | None:
        """What is known of the person, as stored or about to be."""
        stored = await load_profile(self._pool, account_id)
        newer, _ = self._unwritten.get(account_id, (None, 0.0))
        if stored is None or newer is None:
            return newer or stored
        return Profile(
            email=newer.email or stored.email,
            name=newer.name or stored.name,
            locale=newer.locale or stored.locale,
            user_id=newer.user_id or stored.user_id,
        )

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._unwritten:
                account_id, (profile, learned_at) = self._unwritten.popitem(last=False)
                if time.monotonic() - learned_at > UNWRITTEN_SECONDS:
                    continue  # so old that the person may have been forgotten since; it comes again with a call
                try:
                    await store_profile(self._pool, account_id, profile)
                except asyncpg.DataError as error:
                    # Trying again can't mend what Postgres takes no text from; its words may quote what it refused.
                    log.warning("profile_refused", account_id=account_id, error=type(error).__name__)
                except DATABASE_ERRORS as error:
                    log.warning("profile_not_stored", error=type(error).__name__)
                    self._unwritten.setdefault(account_id, (profile, learned_at))
                    await asyncio.sleep(RETRY_SECONDS)
