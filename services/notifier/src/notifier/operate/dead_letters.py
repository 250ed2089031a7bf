"""The verbs over dead letters."""

import contextlib
from typing import Final

from chassis.operate.dead_letters import LetterVerbs

from notifier.redelivery import retry
from notifier.store.tables import LETTERS

VERBS: Final = LetterVerbs(LETTERS, lambda: contextlib.nullcontext(retry))
