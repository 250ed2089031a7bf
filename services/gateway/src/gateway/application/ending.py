"""How a forwarded call ends: by the figures of its answer, else by our own count of what has come of it."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog
from contracts.usage import Outcome

from gateway.application.call import Call
from gateway.domain.event_stream import EventStream
from gateway.domain.output_text import output_texts, produces_anything
from gateway.domain.partial_answer import partial_figures, partial_texts
from gateway.domain.usage_figures import answer_figures

log = structlog.get_logger()

_LOGGED_BYTES: Final = 2_000


class Ending:
    """Keeps what has come of the answer, and ends the call by it, once; `on_end` is called then."""

    def __init__(
        self, call: Call, *, hide_usage_chunk: bool, count_tokens: Callable[[str], int], on_end: Callable[[], None]
    ) -> None:
        self._call = call
        self._count_tokens = count_tokens
        self._on_end = on_end
        self.events = EventStream(hide_usage_chunk=hide_usage_chunk, count_tokens=count_tokens)
        self.whole: list[bytes] = []
        """What has come of an answer that is no event stream."""
        self.refused_status: int | None = None
        """The upstream's status where it refused the call: then nothing was produced, whatever else happens."""

    @property
    def anything_came(self) -> bool:
        """Whether anything of a model's, or its figures, has arrived; comments and errors don't count."""
        if self.whole:
            body = b"".join(self.whole)
            return bool(partial_texts(body)) or partial_figures(body) is not None
        return self.events.figures is not None or self.events.produced

    def without_charge(self, outcome: Outcome, status: int) -> None:
        self._call.end_without_charge(outcome, status)
        self._on_end()

    def by_content(self, status: int, content: dict[str, Any], body: bytes) -> None:
        """By a whole answer, decoded and as it came."""
        if (figures := answer_figures(content)) is not None:
            self._call.end_metered(Outcome.COMPLETED, status, figures, lambda: self._count(output_texts(content)))
        elif produces_anything(content):
            self._call.end_estimated(Outcome.COMPLETED, status, self._count(output_texts(content)))
        else:
            said = body[:_LOGGED_BYTES].decode("utf-8", "replace")
            log.warning("upstream_answer_empty", request_id=self._call.id, model=self._call.model, body=said)
            self._call.end_without_charge(Outcome.UPSTREAM_ERROR, status)
        self._on_end()

    def by_events(self, outcome: Outcome, status: int, at_least_tokens: int = 0) -> None:
        """By an event stream."""
        events = self.events
        if events.figures is not None:
            self._call.end_metered(outcome, status, events.figures, events.output_tokens, at_least_tokens)
        else:
            self._call.end_estimated(outcome, status, events.output_tokens())
        self._on_end()

    def by_what_came(self, outcome: Outcome, status: int) -> None:
        """By an answer that did not end: its figures if they were its last word, else no less than its text so far."""
        if self.refused_status is not None:
            self.without_charge(Outcome.UPSTREAM_ERROR, self.refused_status)
            return
        if not self.whole:
            self.by_events(outcome, status, self.events.output_tokens() if self.events.text_after_figures else 0)
            return
        body = b"".join(self.whole)
        figures = partial_figures(body)
        if figures is not None:
            self._call.end_metered(outcome, status, figures, lambda: self._count(partial_texts(body)))
        else:
            self._call.end_estimated(outcome, status, self._count(partial_texts(body)))
        self._on_end()

    def _count(self, texts: Iterable[str]) -> int:
        return sum(self._count_tokens(text) for text in texts)
