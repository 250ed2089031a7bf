"""Checkpoints of a ledger, made and read as the verbs do it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ledger.audit.checkpoints.keys import Keys
from ledger.audit.checkpoints.opening import find_document, open_shelf
from ledger.audit.checkpoints.shelf import Shelf
from ledger.audit.making import Made, Maker, NotDue
from ledger.audit.verify import Broken, Verified, VerifiedSince, verify, verify_since
from ledger.settings import LedgerSettings

KEY = "5a" * 32
OTHER_KEY = "a5" * 32


@dataclass(frozen=True)
class CheckpointDesk:
    """One ledger, one place for its checkpoints, one key."""

    database_url: str
    place: str
    key: str = KEY

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SOLARIS_DATABASE_URL": self.database_url,
            "SOLARIS_CHECKPOINTS": self.place,
            "SOLARIS_CHECKPOINT_KEY": self.key,
        }

    @property
    def settings(self) -> LedgerSettings:
        return LedgerSettings.read(self.environment)

    @property
    def shelf(self) -> Shelf:
        return open_shelf(self.settings)

    async def make(self, *, anew: str | None = None, due_seconds: int | None = None) -> Made | NotDue | Broken:
        maker = Maker(self.database_url, self.shelf, Keys.of(self.settings), keep_days=0)
        return await maker.make(anew=anew, due_seconds=due_seconds)

    async def made(self) -> Made:
        made = await self.make()
        assert isinstance(made, Made), made
        return made

    async def verify(self, name: str = "latest") -> Verified | Broken:
        """In full, compared with a checkpoint."""
        with tempfile.TemporaryDirectory() as folder:
            return await verify(self.database_url, signed=find_document(name, self.settings, Path(folder)))

    async def verify_since(self, name: str = "latest", *, states: bool = False) -> VerifiedSince | Broken:
        with tempfile.TemporaryDirectory() as folder:
            document = find_document(name, self.settings, Path(folder))
            return await verify_since(self.database_url, document, states=states)
