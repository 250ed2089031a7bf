"""What an alert shows: its sentences, the account's figures, how alarming it looks."""

from language.choice import Language
from language.formats import format_long_date, format_moment, format_number
from language.presentation import Presentation

from notifier.domain.alerts import Alert
from notifier.domain.notices import Figures, Tells
from notifier.mail.content import Bar, Content, Hero, Level, Table, balance_rows
from notifier.mail.sentences import Labels
from notifier.mail.words import labels_of, replaced_sentence, words_for


def alert_content(alert: Alert, language: Language, presentation: Presentation) -> Content:
    """The whole of it, in the language."""
    figures, labels = alert.figures, labels_of(language)
    resets_at = figures.resets_at.astimezone(presentation.time_zone)
    reset_date = format_long_date(resets_at, language)
    return Content(
        words=words_for(alert, language, brand=presentation.brand, reset_date=reset_date),
        level=_level(alert),
        top=_top(alert, labels, language),
        also=replaced_sentence(alert, language),
        tables=[Table(rows=balance_rows(figures, labels, language, format_moment(resets_at, language)))],
        as_of=format_moment(alert.as_of.astimezone(presentation.time_zone), language),
    )


def _top(alert: Alert, labels: Labels, language: Language) -> Hero | Bar:
    figures = alert.figures
    if alert.lead.kind == Tells.ACCESS_RESTORED or not figures.monthly_limit:
        return Hero(figure=format_number(figures.remaining, language), caption=labels.remaining_now)
    return _bar(figures, labels, language)


def _bar(figures: Figures, labels: Labels, language: Language) -> Bar:
    return Bar(
        used_percent=format_number(figures.used_percent, language),
        used_of_limit=labels.used_of_limit.format(
            used=format_number(figures.monthly_used, language), limit=format_number(figures.monthly_limit, language)
        ),
        width_percent=min(figures.used_percent, 100),
    )


def _level(alert: Alert) -> Level:
    """Nothing stops while there are credits."""
    used_percent = alert.figures.used_percent
    match alert.lead.tells:
        case Tells.ACCESS_RESTORED:
            return "good"
        case Tells.TOKENS_EXHAUSTED:
            return "over"
        case Tells.THRESHOLD | Tells.ALLOWANCE_EXHAUSTED:
            if used_percent >= 100 and not alert.figures.credits:
                return "over"
            return "high" if used_percent >= 90 else "calm"
