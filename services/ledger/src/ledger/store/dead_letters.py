"""The ledger's dead letters, in `ledger.dead_letters`."""

from typing import Final

from chassis.dead_letters import DeadLetters, dead_letters_table
from sqlalchemy import MetaData

LETTERS: Final = DeadLetters("ledger", dead_letters_table(MetaData(schema="ledger")))
