"""The last event of each account, as lines that are written, read and compared in the order of account ids."""

import gzip
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, NamedTuple

from ledger.audit.checkpoints.errors import CheckpointError

MAX_LINE_BYTES: Final = 1_024
"""More than the longest account id, a version and a hash take."""
_LEVEL: Final = 6


class Head(NamedTuple):
    """`hash` is that of the account's event of that version."""

    account_id: str
    version: int
    hash: bytes

    @property
    def line(self) -> bytes:
        return b"%b %d %b\n" % (self.account_id.encode(), self.version, self.hash.hex().encode())


class HeadsWriter:
    """Writes lines to a file, compressed, and sums them up."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._lines = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=_LEVEL, mtime=0, filename="")
        self._digest = sha256()
        self.accounts = 0
        self.events = 0

    def add(self, head: Head) -> None:
        line = head.line
        self._lines.write(line)
        self._digest.update(line)
        self.accounts += 1
        self.events += head.version

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        try:
            self._lines.close()
        finally:
            self._file.close()


def read_heads(path: Path, offset: int) -> Iterator[Head]:
    """Of the compressed lines that stand in the file from `offset` on.

    Raises:
        CheckpointError: they can't be read, or are not in order.
    """
    with path.open("rb") as file:
        file.seek(offset)
        yield from _heads(file)


def difference(expected: Head | None, found: Head | None) -> str | None:
    """What distinguishes an account's history up to a checkpoint from what that says of it, None if nothing does."""
    if found == expected:
        return None
    if found is None:
        assert expected is not None, "they differ"
        return f"the account is missing; the checkpoint has it with {expected.version} events"
    if expected is None:
        return "the checkpoint does not have this account, whose events stand before it"
    if found.version < expected.version:
        return f"its events after version {found.version} are missing; the checkpoint has {expected.version}"
    if found.version > expected.version:
        return f"{found.version} of its events stand before the checkpoint, which has {expected.version}"
    return f"its history up to version {found.version} is not the checkpoint's: it was rewritten, hashes and all"


def _heads(file: IO[bytes]) -> Iterator[Head]:
    before = ""
    try:
        with gzip.GzipFile(fileobj=file) as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                account_id, version, digits = line.decode().split(" ")
                head = Head(account_id, int(version), bytes.fromhex(digits))
                if account_id <= before or head.line != line:
                    raise CheckpointError("the heads in it are not in order: it was damaged")
                before = account_id
                yield head
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise CheckpointError(f"the heads in it can't be read, it was damaged: {error}") from None
