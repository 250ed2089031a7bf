"""Turns the e-mail of a profile into one mailbox that a mail can be sent to."""

import unicodedata
from email.headerregistry import Address
from typing import Final

import idna

MAX_LOCAL_PART_OCTETS: Final = 64
MAX_ADDRESS_OCTETS: Final = 254
"""RFC 5321, 4.5.3.1: the local part, and a path of 256 octets without its angle brackets."""
_UNREACHABLE: Final = ".invalid"
"""A top level in which there never is anything (RFC 2606): made-up people have their addresses there."""
_ATOM_PUNCTUATION: Final = frozenset("!#$%&'*+-/=?^_`{|}~.")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
"""Unicode categories that show nothing: controls, directions, surrogates, spaces."""


class UnusableAddressError(Exception):
    """The profile's e-mail is not an address that a mail can be sent to."""


class UnreachableAddressError(UnusableAddressError):
    """Nobody can ever have the address: there is no use in looking it up again."""


def usable_address(email: str | None) -> Address:
    """The e-mail as one mailbox: its domain in ASCII by IDNA 2008 (RFC 5891), its local part as it is, in NFC.

    IDNA 2003, which Python's own codec follows, takes `faß.de` for `fass.de`: another owner's domain.

    Raises:
        UnreachableAddressError: nobody can have it.
        UnusableAddressError: there is none, or it is no address (line breaks, several addresses, no domain, …).
    """
    local_part, _, domain = (email or "").strip().rpartition("@")
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
        if local_part.isascii():
            address = Address(addr_spec=f"{local_part}@{ascii_domain}")
        else:
            # The standard parser takes a local part in UTF-8 for a defect.
            Address(addr_spec=f"x@{ascii_domain}")
            address = Address(username=_international(local_part), domain=ascii_domain)
    except Exception as error:  # the standard parser raises IndexError and others besides its own errors
        raise UnusableAddressError from error
    if not address.username or not address.domain or not address.addr_spec.isprintable():
        raise UnusableAddressError
    if len(local_part.encode()) > MAX_LOCAL_PART_OCTETS or len(address.addr_spec.encode()) > MAX_ADDRESS_OCTETS:
        raise UnusableAddressError
    if f".{address.domain.lower().rstrip('.')}".endswith(_UNREACHABLE):
        raise UnreachableAddressError
    return address


def _international(local_part: str) -> str:
    """A dot-atom of RFC 6531, which allows UTF-8 beside ASCII's atom characters."""
    text = unicodedata.normalize("NFC", local_part)
    dots_right = not text.startswith(".") and not text.endswith(".") and ".." not in text
    if not dots_right or not all(_is_atom_character(character) for character in text):
        raise UnusableAddressError
    return text


def _is_atom_character(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in _ATOM_PUNCTUATION
    return unicodedata.category(character) not in _HIDDEN
