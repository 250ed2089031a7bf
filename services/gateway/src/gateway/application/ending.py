"""How a call ends: once, with one outcome, charged by its answer's figures or our own count, recorded and measured."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

import structlog
from contracts.usage import Outcome, UsageSource
from msgspec.structs import replace
from prometheus_client import Counter

from gateway import metrics
from gateway.application.call import Call
from gateway.application.interruption import Cause
from gateway.domain.event_stream import EventStream
from gateway.domain.outages import Outage
from gateway.domain.output_text import output_texts, produces_anything
from gateway.domain.partial_answer import partial_figures, partial_texts
from gateway.domain.usage_figures import Figures, answer_figures
from gateway.journal.journal import Journal

log = structlog.get_logger()

LOGGED_BYTES: Final = 2_000
"""Of an answer that is of no use, for those who look for its reason."""
_NO_FIGURES: Final = Figures()


class Ending:
    """Keeps what has come of the answer, and ends the call by it; only the first end that is told counts.

    A call is recorded if a hold for it may stand or it was forwarded (`Call.reserving`), and before the client has
    read its answer to the end.
    """

    def __init__(
        self, call: Call, journal: Journal, *, hide_usage_chunk: bool, count_tokens: Callable[[str], int]
    ) -> None:
        self._call = call
        self._journal = journal
        self._count_tokens = count_tokens
        self.events = EventStream(hide_usage_chunk=hide_usage_chunk, count_tokens=count_tokens)
        self.whole: list[bytes] = []
        """What has come of an answer that is no event stream."""
        self.refused_status: int | None = None
        """The upstream's status where it refused the call: then nothing was produced, whatever else happens."""

    # --- what was not forwarded ---------------------------------------------------------------------------------

    def without_ledger(self) -> None:
        """The ledger did not answer: a hold may stand."""
        self._end(Outcome.NOT_FORWARDED, 503)

    def without_hold(self, *, doubtful: bool) -> None:
        """The ledger refused the hold; where an earlier attempt is `doubtful`, one may stand all the same."""
        if doubtful:
            self._end(Outcome.NOT_FORWARDED, 499)
        self._call.reserving = False

    # --- what the upstream answered -----------------------------------------------------------------------------

    def free(self, status: int) -> None:
        """By an answer, or none, that used nothing."""
        self._end(Outcome.UPSTREAM_ERROR, status)

    def by_content(self, status: int, content: dict[str, Any], body: bytes) -> None:
        """By a whole answer, decoded and as it came."""
        figures = answer_figures(content)
        if figures is None and not produces_anything(content):
            said = body[:LOGGED_BYTES].decode("utf-8", "replace")
            log.warning("upstream_answer_empty", request_id=self._call.id, model=self._call.model, body=said)
            self.free(status)
        else:
            self._end(Outcome.COMPLETED, status, figures, lambda: self._count(output_texts(content)))

    def by_events(self, status: int) -> bool:
        """By an event stream that has come to its end; returns whether it held anything of a model's."""
        events = self.events
        if events.figures is None and not events.produced:
            self.free(status)
            return False
        failed = events.failed and events.figures is None
        self._end(Outcome.INTERRUPTED if failed else Outcome.COMPLETED, status, events.figures, events.output_tokens)
        return True

    # --- what was broken off ------------------------------------------------------------------------------------

    def broke_off(self) -> Outage:
        """The upstream could not be reached, or not to its answer's end; returns what is to be told of it."""
        if self._anything_came:
            self._by_what_came(Outcome.INTERRUPTED, 200)
            return self._charged_outage
        self.free(502)
        return Outage.UPSTREAM_UNREACHABLE

    def interrupted(self, cause: Cause, *, sent: bool) -> Outage:
        """The call was stopped from outside, whether or not it was `sent`; returns what is to be told of it."""
        if not sent:
            self._end(Outcome.NOT_FORWARDED, 499)
        elif cause is Cause.CLIENT_LEFT:
            self._by_what_came(Outcome.CLIENT_DISCONNECTED, 499)
        elif self._anything_came:
            self._by_what_came(Outcome.INTERRUPTED, 200)
            return self._charged_outage
        elif cause is Cause.TIMED_OUT:
            self.free(504)
            return Outage.UPSTREAM_TIMEOUT
        else:
            self._end(Outcome.INTERRUPTED, 503)
        return Outage.INTERRUPTED

    def close(self) -> None:
        """Whatever went wrong: a call that has not ended yet ends by what has been produced."""
        if self._call.forwarded:
            self._by_what_came(Outcome.INTERRUPTED, 500)
        else:
            self._end(Outcome.NOT_FORWARDED, 499)

    @property
    def _anything_came(self) -> bool:
        """Whether anything of a model's, or its figures, has arrived; comments and errors don't count."""
        if self.whole:
            body = b"".join(self.whole)
            return bool(partial_texts(body)) or partial_figures(body) is not None
        return self.events.figures is not None or self.events.produced

    @property
    def _charged_outage(self) -> Outage:
        """A stream keeps what it has said; of a whole answer nothing is left, and asking again costs again."""
        return Outage.ANSWER_CUT if self.whole else Outage.INTERRUPTED

    def _by_what_came(self, outcome: Outcome, status: int) -> None:
        """By an answer that did not end: its figures if they were its last word, else no less than its text so far."""
        if not self._call.reserving:
            return
        if self.refused_status is not None:
            self.free(self.refused_status)
        elif self.whole:
            body = b"".join(self.whole)
            self._end(outcome, status, partial_figures(body), lambda: self._count(partial_texts(body)))
        else:
            events = self.events
            at_least = events.output_tokens() if events.text_after_figures else 0
            self._end(outcome, status, events.figures, events.output_tokens, at_least)

    # --- the one end --------------------------------------------------------------------------------------------

    def _end(
        self,
        outcome: Outcome,
        status: int,
        figures: Figures | None = None,
        output_tokens: Callable[[], int] | None = None,
        at_least_tokens: int = 0,
    ) -> None:
        """Charge the figures, else our own count; without either nothing was used.

        `output_tokens` is our own count, for figures that lack it too; `at_least_tokens` is what we have seen produced
        beside figures that were told too early to hold all of it.
        """
        call = self._call
        if not call.reserving:
            return
        call.reserving = False
        call.outcome, call.status = outcome, status
        try:
            if output_tokens is not None:
                found = figures or _NO_FIGURES
                usage, source = found.usage(call.estimated_prompt_tokens, lambda: self._bounded(output_tokens()))
                if (at_least := self._bounded(at_least_tokens)) > usage.completion_tokens:
                    usage, source = replace(usage, completion_tokens=at_least), UsageSource.ESTIMATED
                call.usage, call.usage_source = usage, source
        finally:  # a count that fails must not leave the hold to be charged in full
            self._journal.append(call.record())
            _measure(call, outcome)

    def _bounded(self, output_tokens: int) -> int:
        most = self._call.most_output_tokens
        return output_tokens if most is None else min(output_tokens, most)

    def _count(self, texts: Iterable[str]) -> int:
        return sum(self._count_tokens(text) for text in texts)


@cache
def _ended(outcome: Outcome, source: UsageSource) -> Counter:
    return metrics.ENDED.labels(outcome.value, source.value)


def _measure(call: Call, outcome: Outcome) -> None:
    _ended(outcome, call.usage_source).inc()
    metrics.CALL_SECONDS.observe(call.elapsed_ms() / 1000)
    if call.forwarded_without_hold:
        metrics.FORWARDED_WITHOUT_HOLD.inc()
    if call.usage_source is UsageSource.PROVIDER and call.estimated_prompt_tokens:
        metrics.ESTIMATE_RATIO.observe(call.usage.prompt_tokens / call.estimated_prompt_tokens)
    if call.first_token_ms is not None:
        metrics.FIRST_TOKEN_SECONDS.observe(call.first_token_ms / 1000)
