"""Who a call is for: the account, what is known of the person, the conversation."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Final

from contracts.accounts import is_account_id
from contracts.limits import MAX_TEXT_LENGTH, is_clean_text
from contracts.profiles import Profile
from msgspec import Struct

from gateway.domain.errors import InvalidRequestError, MissingUserError

_BASE64_PREFIX: Final = "b64:"
_PSEUDONYM_PREFIX: Final = "p-"
_PSEUDONYM: Final = re.compile(r"p-[0-9a-f]{32}")
_PLACEHOLDER: Final = re.compile(r"\{\{[^{}]*\}\}")
_MAX_EMAIL_LENGTH: Final = 320
_MAX_NAME_LENGTH: Final = 200


class Caller(Struct, frozen=True, kw_only=True):
    """`profile` is None when the request tells nothing about the person."""

    account_id: str
    profile: Profile | None
    conversation_id: str | None


def identify(headers: Mapping[bytes, bytes], body_user: str | None, pseudonym_key: bytes) -> Caller:
    """The caller by the `X-User-Id` header, else by the body's `user`.

    Raises:
        MissingUserError: neither names one.
        InvalidRequestError: the header's value is marked as base64 and isn't.
    """
    user = header_text(headers.get(b"x-user-id"), strict=True) or body_user
    if not user:
        raise MissingUserError
    account_id = account_id_of(user, pseudonym_key)
    return Caller(
        account_id=account_id,
        profile=_profile(headers, None if user == account_id else user),
        conversation_id=clean_header(headers.get(b"x-conversation-id"), MAX_TEXT_LENGTH),
    )


def account_id_of(user: str, pseudonym_key: bytes) -> str:
    """The user's id itself where it is legal, else a keyed pseudonym that is always the same for it.

    An id that looks like a pseudonym gets one of its own: else one person could name another's account.
    """
    if is_account_id(user) and not _PSEUDONYM.fullmatch(user):
        return user
    digest = hmac.digest(pseudonym_key, user.encode("utf-8", "surrogatepass"), "sha256")
    return _PSEUDONYM_PREFIX + digest[:16].hex()


def header_text(value: bytes | None, *, strict: bool = False) -> str | None:
    """A header's text: UTF-8 in base64 behind `b64:`, else plain UTF-8, else Latin-1, which is what JavaScript writes.

    Latin-1 that happens to be UTF-8 as well (`Ã£`) is no word of any language. None when absent, empty or an unfilled
    placeholder.

    Raises:
        InvalidRequestError: `strict`, and the base64 or the UTF-8 in it is broken.
    """
    if not value:
        return None
    text = _plain_text(value).strip()
    if text.startswith(_BASE64_PREFIX):
        try:
            text = base64.b64decode(text.removeprefix(_BASE64_PREFIX), validate=True).decode()
        except (binascii.Error, ValueError):
            if strict:
                raise InvalidRequestError("X-User-Id is marked as base64 and can't be decoded") from None
            return None
    if _PLACEHOLDER.search(text):
        return None
    return text or None


def _plain_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _profile(headers: Mapping[bytes, bytes], odd_user_id: str | None) -> Profile | None:
    """What the request tells of the person, and the id that a pseudonym stands for: operators look people up by it."""
    email = clean_header(headers.get(b"x-user-email"), _MAX_EMAIL_LENGTH)
    name = clean_header(headers.get(b"x-user-name"), _MAX_NAME_LENGTH)
    user_id = odd_user_id if odd_user_id is not None and is_clean_text(odd_user_id, _MAX_EMAIL_LENGTH) else None
    return Profile(email=email, name=name, user_id=user_id) if email or name or user_id else None


def clean_header(value: bytes | None, max_length: int) -> str | None:
    """A header's text where it can be stored everywhere, else None."""
    text = header_text(value)
    return text if text is not None and is_clean_text(text, max_length) else None
