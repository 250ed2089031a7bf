"""Finds the checkpoint that somebody names: the latest, a number, or a file."""

from pathlib import Path
from typing import Final

from ledger.audit.checkpoints.bucket import BucketShelf
from ledger.audit.checkpoints.document import Document, read_document
from ledger.audit.checkpoints.errors import CheckpointError
from ledger.audit.checkpoints.folder import FolderShelf
from ledger.audit.checkpoints.keys import Keys
from ledger.audit.checkpoints.shelf import Shelf
from ledger.settings import LedgerSettings

LATEST: Final = "latest"


def open_shelf(settings: LedgerSettings) -> Shelf:
    """The bucket or the folder that the settings name, else a folder in the data folder."""
    if settings.checkpoints.startswith("s3://"):
        return BucketShelf(settings.checkpoints, settings)
    return FolderShelf(Path(settings.checkpoints) if settings.checkpoints else settings.data_dir / "checkpoints")


def find_document(named: str, settings: LedgerSettings, folder: Path) -> Document:
    """Of `latest`, a number, or else the path of a file; it is copied into `folder`, which nobody else writes.

    Raises:
        CheckpointError: there is none, or it is not to be believed; the text names it.
    """
    keys = Keys.of(settings)
    if not keys.believed:
        raise CheckpointError("no key is believed: set SOLARIS_CHECKPOINT_PUBLIC_KEYS, or SOLARIS_CHECKPOINT_KEY")
    if named != LATEST and not named.isdecimal():
        return _believed(Path(named), keys, named)
    shelf = open_shelf(settings)
    return fetch_document(shelf, latest_number(shelf) if named == LATEST else int(named), keys, folder)


def latest_number(shelf: Shelf) -> int:
    """Raises CheckpointError where there is none."""
    numbers = shelf.numbers()
    if not numbers:
        raise CheckpointError(f"{shelf.place} has no checkpoint yet; `make checkpoint` makes one")
    return numbers[-1]


def fetch_document(shelf: Shelf, number: int, keys: Keys, folder: Path) -> Document:
    """Raises CheckpointError where it is not there or not to be believed."""
    path = folder / f"checkpoint-{number}"
    shelf.fetch(number, path)
    document = _believed(path, keys, f"{number} in {shelf.place}")
    if document.statement.number != number:
        raise CheckpointError(f"checkpoint {number} in {shelf.place} is number {document.statement.number}, renamed")
    return document


def _believed(path: Path, keys: Keys, name: str) -> Document:
    try:
        return read_document(path, keys)
    except CheckpointError as error:
        raise CheckpointError(f"checkpoint {name}: {error}") from error
