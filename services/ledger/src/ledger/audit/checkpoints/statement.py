"""What a checkpoint states, and how it is signed and believed; no I/O."""

from datetime import datetime
from typing import Final

from contracts.codec import DECODE_ERRORS, encode
from msgspec import Struct, json

from ledger.audit.checkpoints.errors import CheckpointError
from ledger.audit.checkpoints.keys import Keys, SigningKey

FORMAT: Final = 1
_CONTEXT: Final = b"solaris ledger checkpoint\n"
"""Signed before the statement, so that the signature is one of a checkpoint and of nothing else."""


class Statement(Struct, frozen=True, kw_only=True):
    """`number` counts the checkpoints of a ledger from 1, and alone says which is the latest: clocks can be wrong.

    Up to `position` there were so many `events` of so many `accounts`; `digest` is SHA-256 of "account version hash",
    a line for each account's last event, by account id. `ledger` is the id of the log's first event. `anew` is why it
    was made without regard to the one before it, where it was.
    """

    format: int = FORMAT
    number: int
    ledger: str
    position: int
    events: int
    accounts: int
    digest: str
    made_at: datetime
    anew: str | None = None


class _Signature(Struct, frozen=True):
    key: str
    signature: str


def sealed(statement: Statement, key: SigningKey) -> bytes:
    """Two lines: the statement, and the signature over the bytes of the first."""
    line = encode(statement) + b"\n"
    return line + encode(_Signature(key.public, key.sign(_CONTEXT + line))) + b"\n"


def believed(line: bytes, signature_line: bytes, keys: Keys) -> Statement:
    """Read what was `sealed`; nothing of the statement is looked at before it is believed.

    Raises:
        CheckpointError: it is no checkpoint, not signed by a key that is believed, or of a later format.
    """
    try:
        signature = json.decode(signature_line, type=_Signature)
    except DECODE_ERRORS:
        raise CheckpointError("it is no checkpoint, or was damaged: its second line is no signature") from None
    keys.check(signature.key, signature.signature, _CONTEXT + line)
    try:
        statement = json.decode(line, type=Statement)
    except DECODE_ERRORS as error:
        raise CheckpointError(f"what it states can't be read: {error}") from None
    if statement.format > FORMAT:
        raise CheckpointError(f"its format is {statement.format}, this version knows {FORMAT}")
    return statement
