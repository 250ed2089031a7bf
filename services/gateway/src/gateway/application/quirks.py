"""What was learned of models, kept for a day: a model may be replaced behind its name."""

import time
from collections import OrderedDict
from typing import Final

from gateway.domain.model_quirks import Quirks

MAX_MODELS: Final = 1_000
KEEP_SECONDS: Final = 24 * 3600.0
_USUAL: Final = Quirks()


class KnownQuirks:
    """In memory, by the model's name as clients write it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Quirks, float]] = OrderedDict()

    def of(self, model: str) -> Quirks:
        known = self._known.get(model)
        return known[0] if known is not None and time.monotonic() < known[1] else _USUAL

    def note(self, model: str, quirks: Quirks) -> None:
        self._known[model] = (quirks, time.monotonic() + KEEP_SECONDS)
        self._known.move_to_end(model)
        while len(self._known) > MAX_MODELS:
            self._known.popitem(last=False)
