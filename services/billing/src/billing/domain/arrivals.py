"""Whether what an order paid for has reached its account: the ledger alone knows."""

from enum import Enum, auto


class Arrival(Enum):
    """`AWAITED`: the ledger has not carried it out, or does not say. `IDLE`: it has, and yet no call is served."""

    AWAITED = auto()
    USABLE = auto()
    IDLE = auto()
