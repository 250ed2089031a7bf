"""Voucher codes: sixteen letters that can be read aloud and typed, of which the last shows what was mistyped."""

from hashlib import pbkdf2_hmac
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O and U, and who types one of the first three means 1, 1 and 0."""
RANDOM_BITS: Final = 75
"""Of one code; with a million codes that are good, one guess in 10^16 finds one."""
MAX_TYPED_LENGTH: Final = 64
_GROUP: Final = 4
_DIGITS: Final = RANDOM_BITS // 5
_MEANT: Final = str.maketrans("ILO", "110", "- ")
_FIELD: Final = 0b100101
"""x⁵ + x² + 1, which makes the 32 letters the field GF(2⁵)."""
_ROUNDS: Final = 1_000
_SALT: Final = b"solaris voucher code"


class MistypedCodeError(ValueError):
    """No code was ever made like this one; to say so tells a guesser nothing."""


def code_of(number: int) -> str:
    """The code, in groups of four, that stands for `RANDOM_BITS` of randomness."""
    digits = [number >> 5 * place & 31 for place in reversed(range(_DIGITS))]
    letters = "".join(ALPHABET[digit] for digit in (*digits, _check_digit(digits)))
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def read_code(typed: str) -> str:
    """The code as it was made, of what somebody typed: capitals, dashes and spaces don't matter.

    Raises:
        MistypedCodeError: it has another length, another letter, or its last letter does not follow from the others.
    """
    if len(typed) > MAX_TYPED_LENGTH:
        raise MistypedCodeError
    letters = typed.strip().upper().translate(_MEANT)
    if len(letters) != _DIGITS + 1 or not set(letters) <= set(ALPHABET):
        raise MistypedCodeError
    *digits, check = (ALPHABET.index(letter) for letter in letters)
    if check != _check_digit(digits):
        raise MistypedCodeError
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def digest_of(code: str) -> bytes:
    """What is stored of a code that `code_of` or `read_code` gave: 32 bytes, of which nobody finds the code.

    A key would be one more secret whose loss makes every code worthless. The code's own bits are enough, together with
    rounds that cost a redemption a fraction of a millisecond.
    """
    return pbkdf2_hmac("sha256", code.encode(), _SALT, _ROUNDS)


def _check_digit(digits: list[int]) -> int:
    """The digits as a polynomial over GF(2⁵) at a primitive element: another digit or two that changed places show."""
    check = 0
    for digit in digits:
        check = (check ^ digit) << 1
        check ^= _FIELD if check & 32 else 0
    return check
