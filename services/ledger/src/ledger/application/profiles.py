"""Keeps people's e-mail, name and language as the gateways report them, beside the log and never in it."""

import asyncio
from collections import OrderedDict
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.profiles import Profile
from contracts.reservations import Refused
from msgspec.structs import replace

from ledger.store.read_path import load_profile, store_profile

log = structlog.get_logger()

MAX_KNOWN: Final = 50_000
MAX_UNWRITTEN: Final = 10_000
RETRY_SECONDS: Final = 1.0


class Profiles:
    """Writes what changed, after the fact: a profile lost by a crash comes again with the person's next call."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._known: OrderedDict[str, Profile] = OrderedDict()
        self._unwritten: OrderedDict[str, Profile] = OrderedDict()
        self._wakeup = asyncio.Event()

    def learn(self, account_id: str, profile: Profile) -> None:
        """Note what a request says; equal to what is known, it costs nothing."""
        if self._known.get(account_id) == profile:
            return
        self._known[account_id] = profile
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        self._unwritten[account_id] = profile
        if len(self._unwritten) > MAX_UNWRITTEN:
            self._unwritten.popitem(last=False)
        self._wakeup.set()

    def localised(self, account_id: str, refused: Refused) -> Refused:
        """The refusal with the person's language, where it is known here."""
        profile = self._known.get(account_id)
        if profile is None or profile.locale is None:
            return refused
        return replace(refused, locale=profile.locale)

    async def find(self, account_id: str) -> Profile | None:
        """What is known of the person, as stored or about to be."""
        stored = await load_profile(self._pool, account_id)
        newer = self._unwritten.get(account_id)
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
                account_id, profile = self._unwritten.popitem(last=False)
                try:
                    await store_profile(self._pool, account_id, profile)
                except asyncpg.DataError as error:
                    # Trying again can't mend what Postgres takes no text from.
                    log.warning("profile_refused", account_id=account_id, error=str(error))
                except DATABASE_ERRORS as error:
                    log.warning("profile_not_stored", error=repr(error))
                    self._unwritten.setdefault(account_id, profile)
                    await asyncio.sleep(RETRY_SECONDS)
