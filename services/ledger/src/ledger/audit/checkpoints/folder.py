"""Keeps checkpoints in a folder, best on another machine's disk."""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from ledger.audit.checkpoints.errors import CheckpointError, TakenError
from ledger.audit.checkpoints.shelf import name_of, number_of

_UNFINISHED: Final = ".part"
_ABANDONED_SECONDS: Final = 24 * 3600


class FolderShelf:
    """Written beside, synced, and given its name by a link, which fails where that name is taken."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self.place = str(self._path)

    def numbers(self) -> list[int]:
        try:
            names = [each.name for each in self._path.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._error(error) from error
        return sorted(number for name in names if (number := number_of(name)) is not None)

    def put(self, number: int, document: Path) -> None:
        name = name_of(number)
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._clear_abandoned()
            unfinished = self._written_beside(name, document)
        except OSError as error:
            raise self._error(error) from error
        try:
            (self._path / name).hardlink_to(unfinished)
            self._sync()
        except FileExistsError:
            raise TakenError(f"{self.place} has a checkpoint {number} already") from None
        except OSError as error:
            raise self._error(error) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def fetch(self, number: int, into: Path) -> None:
        try:
            shutil.copyfile(self._path / name_of(number), into)
        except FileNotFoundError:
            raise CheckpointError(f"{self.place} has no checkpoint {number}") from None
        except OSError as error:
            raise self._error(error) from error

    def remove(self, number: int) -> None:
        try:
            (self._path / name_of(number)).unlink(missing_ok=True)
        except OSError as error:
            raise self._error(error) from error

    def _written_beside(self, name: str, document: Path) -> Path:
        descriptor, path = tempfile.mkstemp(dir=self._path, prefix=f".{name}.", suffix=_UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file, document.open("rb") as source:
                shutil.copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            Path(path).unlink(missing_ok=True)
            raise
        return Path(path)

    def _clear_abandoned(self) -> None:
        """What a process left behind that was killed while it wrote."""
        for each in self._path.glob(f".*{_UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError):  # another process has just finished with it
                if time.time() - each.stat().st_mtime > _ABANDONED_SECONDS:
                    each.unlink()

    def _sync(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _error(self, error: OSError) -> CheckpointError:
        return CheckpointError(f"the folder of checkpoints {self.place}: {error.strerror}")
