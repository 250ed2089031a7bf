"""Which sentences an alert asks for, in which language."""

from collections.abc import Sequence
from typing import Protocol, assert_never

from language.choice import Language

from notifier.domain.alerts import Alert
from notifier.domain.notices import Figures, Tells, threshold_percent
from notifier.mail import english, portuguese
from notifier.mail.sentences import Labels, Words


class _Speaker(Protocol):
    """What each language's module has."""

    @property
    def LABELS(self) -> Labels: ...  # noqa: N802  a module's constant
    def warning(self, figures: Figures, percent: int, brand: str, reset_date: str, /) -> Words: ...
    def allowance_used(self, figures: Figures, brand: str, reset_date: str, /) -> Words: ...
    def out_of_tokens(self, figures: Figures, brand: str, reset_date: str, /) -> Words: ...
    def access_restored(self, figures: Figures, brand: str, reset_date: str, /) -> Words: ...
    def replaced(self, percents: Sequence[int], /, *, allowance_ended: bool) -> str: ...


def labels_of(language: Language) -> Labels:
    return _speaker(language).LABELS


def words_for(alert: Alert, language: Language, *, brand: str, reset_date: str) -> Words:
    """The mail's sentences for this alert; `reset_date` is written out in the language."""
    speaker = _speaker(language)
    figures = alert.figures
    match alert.lead.tells:
        case Tells.TOKENS_EXHAUSTED:
            return speaker.out_of_tokens(figures, brand, reset_date)
        case Tells.ACCESS_RESTORED:
            return speaker.access_restored(figures, brand, reset_date)
        case Tells.ALLOWANCE_EXHAUSTED:
            return speaker.allowance_used(figures, brand, reset_date)
        case Tells.THRESHOLD:
            percent = threshold_percent(alert.lead.kind)
            if percent is not None and percent < 100:
                return speaker.warning(figures, percent, brand, reset_date)
            return speaker.allowance_used(figures, brand, reset_date)


def replaced_sentence(alert: Alert, language: Language) -> str | None:
    """The sentence that names the other notices; None where there are none."""
    if not alert.others:
        return None
    percents = sorted(percent for other in alert.others if (percent := threshold_percent(other.kind)) is not None)
    ended = any(other.kind == Tells.ALLOWANCE_EXHAUSTED for other in alert.others)
    return _speaker(language).replaced(percents, allowance_ended=ended)


def _speaker(language: Language) -> _Speaker:
    match language:
        case Language.PORTUGUESE:
            return portuguese
        case Language.ENGLISH:
            return english
        case _:
            assert_never(language)
