"""The service keys that may name users."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from gateway.domain.errors import InvalidKeyError


class ServiceKeys:
    """Keeps digests alone; a key's id is the beginning of its digest."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def authenticate(self, headers: Mapping[bytes, bytes]) -> str:
        """The id of the key in `Authorization: Bearer` or `x-api-key`, compared in constant time.

        Raises:
            InvalidKeyError: there is none, or it is unknown.
        """
        scheme, _, presented = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not presented:
            presented = headers.get(b"x-api-key", b"")
        digest = hashlib.sha256(presented.strip()).digest()
        known = False
        for candidate in self._digests:
            known |= hmac.compare_digest(candidate, digest)
        if not known:
            raise InvalidKeyError
        return digest[:8].hex()
