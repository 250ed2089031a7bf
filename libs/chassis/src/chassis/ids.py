"""Time-ordered unique ids."""

import random
import time
from typing import Final

_RANDOM_B_BITS: Final = 62
_RANDOM_B_MASK: Final = (1 << _RANDOM_B_BITS) - 1
_VARIANT: Final = 0b10 << _RANDOM_B_BITS

# Unique, not secret: seeded by the system once, it spares a system call an id.
_generator = random.Random()  # noqa: S311


def new_uuid7() -> str:
    """A UUIDv7 (RFC 9562) as text: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    bits = _generator.getrandbits(74)
    digits = f"{milliseconds:012x}7{bits >> _RANDOM_B_BITS:03x}{_VARIANT | (bits & _RANDOM_B_MASK):016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
