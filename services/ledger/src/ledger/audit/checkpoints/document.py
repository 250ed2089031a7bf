"""One checkpoint as a file: written whole, and believed only as a whole."""

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct

from ledger.audit.checkpoints.errors import CheckpointError
from ledger.audit.checkpoints.heads import Head, read_heads
from ledger.audit.checkpoints.keys import Keys, SigningKey
from ledger.audit.checkpoints.statement import Statement, believed, sealed

MAX_HEADER_BYTES: Final = 16_384


class Document(Struct, frozen=True):
    """A checkpoint that is believed; its heads stand in the file at `path` from `offset` on."""

    statement: Statement
    path: Path
    offset: int

    def heads(self) -> Iterator[Head]:
        """In the order of account ids."""
        return read_heads(self.path, self.offset)


def write_document(path: Path, statement: Statement, key: SigningKey, heads: Path) -> None:
    """The statement, signed, before the compressed heads that were written to a file of their own."""
    with path.open("wb") as file, heads.open("rb") as body:
        file.write(sealed(statement, key))
        shutil.copyfileobj(body, file)


def read_document(path: Path, keys: Keys) -> Document:
    """Read it through once: its signature, and that its heads are those that were signed.

    Raises:
        CheckpointError: it can't be read or believed.
    """
    try:
        with path.open("rb") as file:
            line, signature = file.readline(MAX_HEADER_BYTES), file.readline(MAX_HEADER_BYTES)
            offset = file.tell()
    except OSError as error:
        raise CheckpointError(f"it can't be read: {error.strerror}") from error
    document = Document(believed(line, signature, keys), path, offset)
    _check_heads(document)
    return document


def _check_heads(document: Document) -> None:
    statement, digest = document.statement, sha256()
    for number, head in enumerate(document.heads(), start=1):
        digest.update(head.line)
        if number > statement.accounts:  # whatever else stands there, it is not what was signed
            break
    if digest.hexdigest() != statement.digest:
        raise CheckpointError("the heads in it are not those that were signed: it was forged or damaged")
