"""Time-ordered unique ids."""

import random
import time
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_RANDOM_A_MASK = 0xFFF << 64
_RANDOM_B_MASK = (1 << 62) - 1

# Unique, not secret: seeded by the system once, it spares a system call an id.
_generator = random.Random()  # noqa: S311


def new_uuid7() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    bits = _generator.getrandbits(76)
    return UUID(int=(milliseconds << 80) | _VERSION_7 | (bits & _RANDOM_A_MASK) | _VARIANT | (bits & _RANDOM_B_MASK))
