"""The signed token of a purchase link: it names one account, and is worth nothing but the chance to pay for it.

`<account>.<mac>.<key id><expiry>`, all of it safe in a query, in markdown and at the end of a line of plain text. The
MAC covers the purpose, so that no other MAC of the key is a link, and no link anything else.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from contracts.accounts import checked_account_id

CHAT_LINK_LIFETIME: Final = timedelta(hours=24)
"""Conversations are shared, and sent to providers."""
MAIL_LINK_LIFETIME: Final = timedelta(days=7)
"""A mail is read when its person gets to it."""
MAX_TOKEN_LENGTH: Final = 164
"""Of the longest account id; that of a LibreChat user makes 60."""

_PURPOSE: Final = b"solaris purchase link v1"
_KEY_ID_PURPOSE: Final = b"solaris purchase link v1 key id"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAC_BYTES: Final = 16
_KEY_ID_LENGTH: Final = 4
_END_OF_TIME: Final = 2**32
_TOKEN: Final = re.compile(r"([A-Za-z0-9._:-]{1,128})\.[A-Za-z0-9_-]{22}\.([0-9a-f]{4})([0-9a-f]{8})", re.ASCII)


class PurchaseLinkError(Exception):
    """The token opens nothing."""


class ExpiredLinkError(PurchaseLinkError):
    """We made it, and its time is over: whoever has it may ask for a new one."""


class ForeignLinkError(PurchaseLinkError):
    """No key that is known made it for this purpose, or it is not as it was made."""


def sign_purchase_link(account_id: str, expires_at: datetime, key: bytes) -> str:
    """The token for one account, in at most `MAX_TOKEN_LENGTH` characters; good until `expires_at`, in whole seconds.

    Raises:
        ValueError: the id may not stand as one, or the moment lies before 1970 or after 2105.
    """
    seconds = (expires_at - _EPOCH) // timedelta(seconds=1)
    if not 0 <= seconds < _END_OF_TIME:
        raise ValueError("a link ends between 1970 and 2105")
    return _token(checked_account_id(account_id), f"{seconds:08x}", key)


def read_purchase_link(token: str, keys: Sequence[bytes], now: datetime) -> str:
    """The account that the token was signed for, with any of the keys.

    Raises:
        ExpiredLinkError: it was ours until now.
        ForeignLinkError: it is not ours; nothing in it is to be believed.
    """
    read = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if read is None:
        raise ForeignLinkError("not a token of a purchase link")
    account_id, key_id, expiry = read.groups()
    # The whole token is made anew: what is not written as we write it is not ours.
    ours = [hmac.compare_digest(token, _token(account_id, expiry, key)) for key in keys if _key_id(key) == key_id]
    if not any(ours):
        raise ForeignLinkError("signed by no key that is known")
    if int(expiry, 16) <= now.timestamp():
        raise ExpiredLinkError("its time is over")
    return account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseLinks:
    """How a service links to where credits are bought: nowhere, without a page or a key."""

    page: str | None
    keys: Sequence[bytes]
    lifetime: timedelta

    def link(self, account_id: str, now: datetime) -> str | None:
        """For one account, from now on."""
        if self.page is None or not self.keys:
            return None
        return link_with_token(self.page, sign_purchase_link(account_id, now + self.lifetime, self.keys[0]))


def link_with_token(page: str, token: str) -> str:
    """The page's address with the token among its parameters."""
    parts = urlsplit(page)
    query = f"{parts.query}&t={token}" if parts.query else f"t={token}"
    return urlunsplit(parts._replace(query=query))


def _token(account_id: str, expiry: str, key: bytes) -> str:
    # Neither an account id nor an expiry has a NUL, so no two contents are the same bytes.
    content = b"\0".join((_PURPOSE, account_id.encode(), expiry.encode()))
    mac = urlsafe_b64encode(hmac.digest(key, content, "sha256")[:_MAC_BYTES]).decode().rstrip("=")
    return f"{account_id}.{mac}.{_key_id(key)}{expiry}"


def _key_id(key: bytes) -> str:
    return hmac.digest(key, _KEY_ID_PURPOSE, "sha256").hex()[:_KEY_ID_LENGTH]
