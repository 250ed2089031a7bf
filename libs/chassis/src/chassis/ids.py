"""Time-ordered unique ids."""

import random
import time
from typing import Final

_RANDOM_BITS: Final = 0x0FFF_3FFF_FFFF_FFFF_FFFF
"""Of an id's last 80 bits, all but the version and the variant."""
_VERSION_AND_VARIANT: Final = 0x7000_8000_0000_0000_0000

# Unique, not secret: seeded by the system once, it spares a system call an id.
_generator = random.Random()  # noqa: S311


def new_uuid7() -> str:
    """A UUIDv7 (RFC 9562) as text: 48 bits of Unix milliseconds, then 74 random bits."""
    moment = f"{time.time_ns() // 1_000_000:012x}"
    rest = f"{_generator.getrandbits(80) & _RANDOM_BITS | _VERSION_AND_VARIANT:x}"
    return f"{moment[:8]}-{moment[8:]}-{rest[:4]}-{rest[4:8]}-{rest[8:]}"
