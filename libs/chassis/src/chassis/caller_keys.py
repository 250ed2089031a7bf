"""The keys of the programs that may call a service: kept as digests alone, compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping


class UnknownKeyError(Exception):
    """No key came with a request, or none of those that are known."""


class CallerKeyring:
    """All that are known; a key's id is the beginning of its digest, and opens nothing."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def authenticate(self, headers: Mapping[bytes, bytes]) -> str:
        """The id of the key in `Authorization: Bearer`, else in `x-api-key`; blanks around it don't matter.

        Raises:
            UnknownKeyError: see there.
        """
        scheme, _, presented = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not presented:
            presented = headers.get(b"x-api-key", b"")
        digest = hashlib.sha256(presented.strip()).digest()
        known = False
        for candidate in self._digests:
            known |= hmac.compare_digest(candidate, digest)
        if not known:
            raise UnknownKeyError
        return digest[:8].hex()
