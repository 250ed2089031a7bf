"""How long and how often each part is measured."""

from dataclasses import dataclass
from typing import Final

CONNECTIONS: Final = (1, 16, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`rounds` interleave all peers; medians over them are told."""

    rounds: int
    load_seconds: int
    first_chunk_streams: int
    paced_rounds: int
    ledger_seconds: float
    ledger_rounds: int
    fold_events: int
    replay_events: tuple[int, ...]
    projector_rounds: int


FULL: Final = Plan(
    rounds=3,
    load_seconds=3,
    first_chunk_streams=100,
    paced_rounds=3,
    ledger_seconds=2.0,
    ledger_rounds=2,
    fold_events=200_000,
    replay_events=(100_000, 1_000_000),
    projector_rounds=6,
)
QUICK: Final = Plan(
    rounds=1,
    load_seconds=2,
    first_chunk_streams=40,
    paced_rounds=1,
    ledger_seconds=0.7,
    ledger_rounds=1,
    fold_events=50_000,
    replay_events=(50_000,),
    projector_rounds=1,
)
