"""An alert: the one mail that several notices of an account become, in the light of what the account is now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.domain.composing import Composed, Context, Standing
from notifier.domain.notices import Figures, Notice, Tells, is_stale, threshold_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One mail about `lead`, which names `others`; the figures are those of the moment `as_of`."""

    lead: Notice
    others: tuple[Notice, ...]
    figures: Figures
    as_of: datetime


def compose_alert(
    notices: Sequence[Notice], context: Context, standing: Standing | None, now: datetime
) -> Composed[Alert]:
    """The alert that the notices of one mail become.

    Without a standing, because the ledger does not say, the notices are believed and the figures are the latest of
    theirs. Of running out and coming back only the last word counts, and coming back is told to those alone whose last
    mail about it said that they are out. Whoever was told of a higher threshold is not told of a lower one that comes
    late.
    """
    stale = tuple(notice for notice in notices if is_stale(notice, now))
    fresh = [notice for notice in notices if notice not in stale]
    true = [notice for notice in fresh if is_true(notice, standing)]
    still_to_come = [notice for notice in context.later if is_true(notice, standing)]
    last_word = last_about_access([*context.told, *true, *still_to_come])
    told = [
        notice
        for notice in true
        if (
            notice is last_word and _is_news(notice, context.told)
            if _is_about_access(notice)
            else not _is_passed(notice, context.told)
        )
    ]
    if any(notice.kind == "threshold-100" for notice in told):
        told = [notice for notice in told if notice.kind != Tells.ALLOWANCE_EXHAUSTED]
    overtaken = tuple(notice for notice in fresh if notice not in told)
    if not told:
        return Composed(told=None, stale=stale, overtaken=overtaken)
    lead, *others = sorted(told, key=_gravity, reverse=True)
    figures, as_of = _figures_of(told) if standing is None else (standing.figures, standing.as_of)
    alert = Alert(lead=lead, others=tuple(others), figures=figures, as_of=as_of)
    return Composed(told=alert, stale=stale, overtaken=overtaken)


def _gravity(notice: Notice) -> int:
    """Running out comes before all; that one may go on is said before the thresholds that were crossed on the way."""
    match notice.tells:
        case Tells.TOKENS_EXHAUSTED:
            return 300
        case Tells.ACCESS_RESTORED:
            return 200
        case Tells.ALLOWANCE_EXHAUSTED:
            return 100
        case Tells.THRESHOLD:
            return threshold_percent(notice.kind) or 0


def _is_about_access(notice: Notice) -> bool:
    return notice.kind in {Tells.TOKENS_EXHAUSTED, Tells.ACCESS_RESTORED}


def last_about_access(notices: Sequence[Notice]) -> Notice | None:
    """The latest that says whether the account can go on; of one moment the last that arrived."""
    about_access = [notice for notice in notices if _is_about_access(notice)]
    return max(reversed(about_access), key=lambda notice: notice.occurred_at, default=None)


def _is_news(about_access: Notice, told: Sequence[Notice]) -> bool:
    """Running out always is; that one may go on, to whoever believes to be out."""
    last_told = last_about_access(told)
    believed_out = last_told is not None and last_told.kind == Tells.TOKENS_EXHAUSTED
    return believed_out or about_access.kind == Tells.TOKENS_EXHAUSTED


def _is_passed(notice: Notice, told: Sequence[Notice]) -> bool:
    """Whether more of the same allowance was told already; the cause of those notices is the limit."""
    return any(
        other.cycle_id == notice.cycle_id and other.cause == notice.cause and _gravity(other) > _gravity(notice)
        for other in told
    )


def is_true(notice: Notice, standing: Standing | None) -> bool:
    """Whether it still is; believed where the ledger does not say."""
    if standing is None:
        return True
    figures = standing.figures
    match notice.tells:
        case Tells.TOKENS_EXHAUSTED:
            return _is_exhausted(standing, left_then=notice.figures.remaining)
        case Tells.ACCESS_RESTORED:
            return standing.is_active and not _is_exhausted(standing, left_then=0)
        case Tells.ALLOWANCE_EXHAUSTED:
            return standing.cycle_id == notice.cycle_id and figures.monthly_remaining == 0
        case Tells.THRESHOLD:
            reached = figures.monthly_used * 100 >= figures.monthly_limit * (threshold_percent(notice.kind) or 0)
            return standing.cycle_id == notice.cycle_id and figures.monthly_limit > 0 and reached


def _is_exhausted(standing: Standing, *, left_then: int) -> bool:
    """What the ledger says; an older one says nothing, and then nothing came in where no more is left than then."""
    return standing.figures.remaining <= left_then if standing.exhausted is None else standing.exhausted


def _figures_of(notices: Sequence[Notice]) -> tuple[Figures, datetime]:
    latest = max(notices, key=lambda notice: notice.occurred_at)
    return latest.figures, latest.occurred_at
