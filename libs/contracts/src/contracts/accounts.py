"""Account identity: which ids are legal and how one becomes a NATS subject token."""

import re
from base64 import b32decode, b32encode

from contracts.limits import Identifier

_LEGAL_ACCOUNT_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_:-]{1,128}")
_ENCODED_PREFIX = "=b32="

AccountId = Identifier
"""A person's account: LibreChat's user id as it is, never normalised."""


def is_account_id(text: str) -> bool:
    """Whether `text` may stand as an account id; any other id becomes a keyed pseudonym at the edge."""
    return _LEGAL_ACCOUNT_ID.fullmatch(text) is not None


def checked_account_id(text: str) -> str:
    """The id as it was typed.

    Raises:
        ValueError: it may not stand as one; the text says what may.
    """
    if not is_account_id(text):
        raise ValueError("an account id is 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    return text


def subject_token(account_id: str) -> str:
    """The account id as one NATS subject token.

    A dot separates tokens, so an id with one is written `=b32=` + unpadded base32; `=` is not legal in an id, so
    no two ids share a token.
    """
    if _PLAIN_TOKEN.fullmatch(account_id):
        return account_id
    return _ENCODED_PREFIX + b32encode(account_id.encode()).decode().rstrip("=")


def account_of_token(token: str) -> str | None:
    """The account id that `subject_token` made this token of; None if none did."""
    account_id = token
    if token.startswith(_ENCODED_PREFIX):
        encoded = token.removeprefix(_ENCODED_PREFIX)
        try:
            account_id = b32decode(encoded + "=" * (-len(encoded) % 8)).decode()
        except ValueError:
            return None
    return account_id if is_account_id(account_id) and subject_token(account_id) == token else None
