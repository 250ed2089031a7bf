"""What a mail's templates show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from language.choice import Language
from language.formats import format_count, format_number

from notifier.domain.notices import Figures
from notifier.mail.sentences import Labels, Words

type Level = Literal["good", "calm", "high", "over"]
"""How alarming the colours are."""
type Row = tuple[str, str]
"""What a figure is, and the figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hero:
    """The largest of what the mail shows: a figure with what it is."""

    figure: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How much of the allowance is used; `width_percent` is at most 100."""

    used_percent: str
    used_of_limit: str
    width_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a title, or without one where they need none."""

    rows: Sequence[Row]
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One mail, in plain text that is escaped by whoever puts it into HTML.

    `also` names what else the mail stands for; `as_of` is when the account's figures were so.
    """

    words: Words
    level: Level
    top: Hero | Bar | None
    also: str | None
    tables: Sequence[Table]
    as_of: str | None


def balance_rows(figures: Figures, labels: Labels, language: Language, resets_at: str) -> list[Row]:
    """The account's figures, a line each; what is zero and mostly so stays out."""

    def tokens(number: int) -> str:
        return format_count(number, *labels.tokens, language)

    share = f" ({format_number(figures.used_percent, language)}%)" if figures.monthly_limit else ""
    rows = [
        (labels.used, f"{tokens(figures.monthly_used)}{share}"),
        (labels.limit, tokens(figures.monthly_limit)),
        (labels.monthly_remaining, tokens(figures.monthly_remaining)),
        (labels.credits, tokens(figures.credits)),
    ]
    if figures.debt:
        rows.append((labels.debt, tokens(figures.debt)))
    if figures.credits or figures.debt:
        rows.append((labels.remaining, tokens(figures.remaining)))
    return [*rows, (labels.resets, resets_at)]
