"""The verbs over dead letters: they are retried by an executor of their own."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from chassis.dead_letters import Retry
from chassis.operate.dead_letters import LetterVerbs

from ledger.catalog_file import load_policy
from ledger.messaging.dead_letters import retry_letter
from ledger.operate.database import open_ledger
from ledger.operate.executing import open_executor
from ledger.operate.settings import load_settings
from ledger.store.dead_letters import LETTERS


@contextlib.asynccontextmanager
async def _retrying() -> AsyncIterator[Retry]:
    settings = load_settings()
    async with open_ledger() as connection, open_executor(settings, load_policy(settings), connection) as executor:
        yield lambda noting, letter: retry_letter(executor, noting, letter)


VERBS: Final = LetterVerbs(LETTERS, _retrying)
