"""The key that signs checkpoints, and those whose signatures are believed: Ed25519, as 64 hexadecimal digits."""

from collections.abc import Iterable
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.audit.checkpoints.errors import CheckpointError
from ledger.settings import LedgerSettings, check_key


class SigningKey:
    """The secret half; `public` names it to everybody."""

    def __init__(self, digits: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(digits))
        self.public = self._key.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> str:
        return self._key.sign(message).hex()


class Keys:
    """Without `signing` checkpoints are read and not made. Its own public half is believed with the others."""

    def __init__(self, signing: SigningKey | None, believed: Iterable[str] = ()) -> None:
        self.signing = signing
        self.believed = frozenset(believed) | ({signing.public} if signing else set())

    @classmethod
    def of(cls, settings: LedgerSettings) -> Self:
        """As the settings name them.

        Raises:
            CheckpointError: the file that holds the key can't be read, or holds none.
        """
        digits = settings.checkpoint_key.get_secret_value() if settings.checkpoint_key else ""
        if settings.checkpoint_key_file is not None:
            digits = _read_digits(settings)
        return cls(SigningKey(digits) if digits else None, settings.believed_checkpoint_keys)

    def check(self, public: str, signature: str, message: bytes) -> None:
        """Believe the message.

        Raises:
            CheckpointError: it was not signed by a key that is believed.
        """
        if public not in self.believed:
            raise CheckpointError(f"it is signed with the key {public!r:.70}, which is not believed here")
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            raise CheckpointError("its signature is not that of what it states: it was forged or damaged") from None


def _read_digits(settings: LedgerSettings) -> str:
    path = settings.checkpoint_key_file
    assert path is not None, "only asked where it is named"
    try:
        return check_key(path.read_text().strip())
    except OSError as error:
        raise CheckpointError(f"the checkpoints' key {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"the checkpoints' key {path}: {error}") from error
