"""What a person reads when a call is not served: one line for an error, a few of markdown for a chat."""

from dataclasses import replace
from typing import Final

from contracts.errors import RefusalCode
from contracts.reservations import RefusalFigures, Refused
from language.choice import Language
from language.formats import format_number, format_seconds, format_short_date
from language.presentation import Presentation

from gateway.domain.refusal_words import words_of

MAX_LINE_LENGTH: Final = 240
"""LibreChat shows that much of an error."""

_STATUS_LINES: Final = {
    RefusalCode.ACCOUNT_SUSPENDED: {
        Language.PORTUGUESE: "Sua conta no {brand} está suspensa. Fale com o suporte: {url}",
        Language.ENGLISH: "Your {brand} account is suspended. Please contact support: {url}",
    },
    RefusalCode.ACCOUNT_BLOCKED: {
        Language.PORTUGUESE: "Sua conta no {brand} está bloqueada. Fale com o suporte: {url}",
        Language.ENGLISH: "Your {brand} account is blocked. Please contact support: {url}",
    },
    RefusalCode.ACCOUNT_PENDING: {
        Language.PORTUGUESE: "Sua conta no {brand} ainda não foi liberada. Aguarde ou fale com o suporte: {url}",
        Language.ENGLISH: "Your {brand} account is not active yet. Try again later or contact support: {url}",
    },
    RefusalCode.MODEL_NOT_ALLOWED: {
        Language.PORTUGUESE: "Este modelo não faz parte do seu plano no {brand}. Veja os planos: {url}",
        Language.ENGLISH: "This model is not part of your {brand} plan. Choose another model or see the plans: {url}",
    },
    RefusalCode.RATE_LIMITED: {
        Language.PORTUGUESE: "Muitas mensagens em pouco tempo. Aguarde {wait} e envie de novo.",
        Language.ENGLISH: "Too many messages in a short time. Wait {wait} and send it again.",
    },
}


def presented_to(figures: RefusalFigures | None, presentation: Presentation) -> Presentation:
    """The same, but that nothing is sold to whom a cap of the plan refused: no credits raise it."""
    capped = figures is not None and figures.cap is not None
    return replace(presentation, purchase_url=None) if capped else presentation


def refusal_line(refused: Refused, language: Language, presentation: Presentation) -> str:
    """One line of at most 240 characters: where credits are bought, and of the figures what fits.

    A link that does not fit is left out: one that is cut leads nowhere.
    """
    if refused.code is RefusalCode.INSUFFICIENT_TOKENS:
        candidates = _insufficient_lines(refused.figures, language, presentation)
    else:
        template = _STATUS_LINES[refused.code][language]
        wait = format_seconds(refused.retry_after_seconds or 1, language)
        facts = {"brand": presentation.brand, "url": presentation.public_url, "wait": wait}
        candidates = [template.format(**facts), template.partition(". ")[0].format(**facts)]
    return next((line for line in candidates if len(line) <= MAX_LINE_LENGTH), candidates[-1][:MAX_LINE_LENGTH])


def _insufficient_lines(figures: RefusalFigures | None, language: Language, presentation: Presentation) -> list[str]:
    """The fullest first; the last fits always."""
    words = words_of(language)
    situation, facts = words.situation(figures), _facts(figures, language, presentation)
    url = presented_to(figures, presentation).purchase_url
    buy, buy_shortly = ("" if url is None else each.format(url=url) for each in (words.buy, words.buy_shortly))
    line, advice = situation.line.format(**facts), situation.advice.format(**facts)
    return [
        _joined(" ", line, advice, buy),
        _joined(" ", line, advice, buy_shortly),
        _joined(" ", line, buy_shortly),
        _joined(" ", words.not_enough.line, buy_shortly),
        words.not_enough.line,
    ]


def refusal_notice(refused: Refused, language: Language, presentation: Presentation) -> str:
    """A short message in markdown, as the assistant would say it; what there is to click is a link."""
    if refused.code is not RefusalCode.INSUFFICIENT_TOKENS:
        return _linked(refusal_line(refused, language, presentation), presentation.public_url)
    words = words_of(language)
    situation, facts = words.situation(refused.figures), _facts(refused.figures, language, presentation)
    url = presented_to(refused.figures, presentation).purchase_url
    return _joined(
        "\n\n",
        f"**{situation.headline.format(**facts)}**",
        situation.explanation.format(**facts),
        _joined(" ", situation.advice.format(**facts), "" if url is None else words.buy_linked.format(url=url)),
    )


def _facts(figures: RefusalFigures | None, language: Language, presentation: Presentation) -> dict[str, str]:
    if figures is None:
        return {}
    return {
        "needed": format_number(figures.needed, language),
        "available": format_number(max(0, figures.available), language),
        "used": format_number(figures.monthly_used, language),
        "limit": format_number(figures.monthly_limit, language),
        "resets": format_short_date(figures.resets_at.astimezone(presentation.time_zone), language),
        "cap": "" if figures.cap is None else words_of(language).cap_name(figures.cap),
    }


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)


def _linked(line: str, url: str) -> str:
    return line.replace(url, f"[{url}]({url})") if url in line else line
