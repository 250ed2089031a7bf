"""Opens a file of people: its digest, how its letters are written, and what kind of file it is."""

import codecs
import re
from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

from chassis.operate.errors import BadInputError
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, json

CHUNK_BYTES: Final = 256 * 1024
MAX_RECORD_BYTES: Final = 1024 * 1024
"""Of one person: a record that has no end must not fill the memory."""
HEAD_BYTES: Final = 64 * 1024
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SPREADSHEETS: Final = "cp1252"
"""What is no UTF-8 was written by a spreadsheet in the West."""
_PAGE_OF_API: Final = re.compile(rb'\s*\{\s*(?:"\w+"\s*:\s*[\w."-]+\s*,\s*)*"users"\s*:\s*\[')
_SPACE: Final = b" \t\r\n"


class Kind(StrEnum):
    """How records follow each other."""

    CSV = "csv"
    LINES = "JSON lines"
    OBJECTS = "JSON objects"
    ARRAY = "JSON array"
    API = "pages of LibreChat's admin API"


class PeopleFile(Struct, frozen=True, kw_only=True):
    """A file that was read through once; `digest` is of its bytes."""

    path: Path
    digest: str
    encoding: str
    kind: Kind


def look_at(path: Path) -> PeopleFile:
    """Read it through, some at a time.

    Raises:
        BadInputError: it is no regular file, can't be read, or is empty.
    """
    try:
        if not path.is_file():
            raise BadInputError(f"FILE: {path} is no file")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            digest, is_utf8 = _read_through(file)
    except OSError as error:
        raise BadInputError(f"FILE: {path}: {error.strerror}") from error
    if not head.strip(_SPACE + codecs.BOM_UTF8):
        raise BadInputError(f"FILE: {path} is empty")
    encoding = next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8" if is_utf8 else _SPREADSHEETS)
    return PeopleFile(path=path, digest=digest, encoding=encoding, kind=_kind_of(head.removeprefix(codecs.BOM_UTF8)))


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Without the mark of UTF-8 that some programs begin with."""
    first = file.read(CHUNK_BYTES).removeprefix(codecs.BOM_UTF8)
    if first:
        yield first
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _read_through(file: BinaryIO) -> tuple[str, bool]:
    digest, decoder, is_utf8 = blake2b(digest_size=16), codecs.getincrementaldecoder("utf-8")(), True
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        if is_utf8:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                is_utf8 = False
    return digest.hexdigest(), is_utf8


def _kind_of(head: bytes) -> Kind:
    text = head.lstrip(_SPACE)
    if text.startswith(b"["):
        return Kind.ARRAY
    if not text.startswith(b"{"):
        return Kind.CSV
    if _PAGE_OF_API.match(text):
        return Kind.API
    try:
        json.decode(text.split(b"\n", 1)[0])
    except DECODE_ERRORS:
        return Kind.OBJECTS
    return Kind.LINES
