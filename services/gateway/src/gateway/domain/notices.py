"""What a person reads when a call is not served: one line for an error, a few of markdown for a chat."""

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from contracts.errors import RefusalCode
from contracts.reservations import RefusalFigures, Refused

from gateway.domain.language import Language, date, number

MAX_LINE_LENGTH: Final = 240
"""LibreChat shows that much of an error."""
_PURCHASE_PATH: Final = "/buy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """How this installation presents itself; `public_url` without a slash at its end."""

    brand: str
    public_url: str
    time_zone: ZoneInfo

    @property
    def purchase_url(self) -> str:
        return f"{self.public_url}{_PURCHASE_PATH}"

    def account_purchase_url(self, account_id: str) -> str:
        """The purchase page for one account; it gives no sign-in, balance or history."""
        return f"{self.purchase_url}?account={account_id}"


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
        Language.PORTUGUESE: "Muitas mensagens em pouco tempo. Aguarde {seconds} s e envie de novo.",
        Language.ENGLISH: "Too many messages in a short time. Wait {seconds} s and send it again.",
    },
}


def refusal_line(refused: Refused, language: Language, presentation: Presentation) -> str:
    """One line of at most 240 characters, with the purchase link, the figures where they fit."""
    if refused.code is RefusalCode.INSUFFICIENT_TOKENS:
        candidates = _insufficient_lines(refused.figures, language, presentation)
    else:
        template = _STATUS_LINES[refused.code][language]
        seconds = refused.retry_after_seconds or 1
        facts = {"brand": presentation.brand, "url": presentation.public_url, "seconds": number(seconds, language)}
        candidates = [template.format(**facts), template.partition(". ")[0].format(**facts)]
    return next((line for line in candidates if len(line) <= MAX_LINE_LENGTH), candidates[-1][:MAX_LINE_LENGTH])


def _insufficient_lines(figures: RefusalFigures | None, language: Language, presentation: Presentation) -> list[str]:
    url = presentation.purchase_url
    portuguese = language is Language.PORTUGUESE
    short = (
        f"Seus tokens não bastam. Compre créditos: {url}" if portuguese else f"Not enough tokens. Buy credits: {url}"
    )
    if figures is None:
        return [short, url]
    if not figures.exhausted:
        lines = _busy_lines if _held_by_calls(figures) else _too_large_lines
        return [*lines(figures, language, url), short, url]
    needed, available = number(figures.needed, language), number(max(0, figures.available), language)
    resets = date(figures.resets_at, presentation.time_zone, language)
    if portuguese:
        left = f"Seus tokens não bastam para esta mensagem: ela precisa de {needed} e restam {available}."
        long = f"{left} Compre créditos: {url} (sua cota renova em {resets})"
        middle = f"Seus tokens não bastam (restam {available}). Compre créditos: {url}"
    else:
        left = f"Not enough tokens for this message: it needs {needed} and you have {available} left."
        long = f"{left} Buy credits: {url} (your allowance renews on {resets})"
        middle = f"Not enough tokens ({available} left). Buy credits: {url}"
    return [long, middle, short, url]


def _held_by_calls(figures: RefusalFigures) -> bool:
    """Whether the balance would do but for what calls in flight hold, as a title's that is asked for beside a chat."""
    balance = max(0, figures.monthly_limit - figures.monthly_used) + figures.credits
    return balance >= figures.needed


def _busy_lines(figures: RefusalFigures, language: Language, url: str) -> list[str]:
    needed, available = number(figures.needed, language), number(max(0, figures.available), language)
    if language is Language.PORTUGUESE:
        told = f"Outro pedido seu está em andamento: este precisa de {needed} tokens e há {available} livres."
        return [f"{told} Espere que termine e envie de novo, ou compre créditos: {url}", f"{told} {url}"]
    told = f"Another request of yours is running: this one needs {needed} tokens and {available} are free."
    return [f"{told} Wait until it ends and send again, or buy credits: {url}", f"{told} {url}"]


def _too_large_lines(figures: RefusalFigures, language: Language, url: str) -> list[str]:
    needed, available = number(figures.needed, language), number(max(0, figures.available), language)
    if language is Language.PORTUGUESE:
        told = f"Esta conversa precisa de {needed} tokens e há {available} livres."
        return [f"{told} Comece uma conversa nova, mais curta, ou compre créditos: {url}", f"{told} {url}"]
    told = f"This conversation needs {needed} tokens and {available} are free."
    return [f"{told} Start a new, shorter one or buy credits: {url}", f"{told} {url}"]


def refusal_notice(refused: Refused, account_id: str, language: Language, presentation: Presentation) -> str:
    """A short message in markdown with a link to click, as the assistant would say it."""
    if refused.code is not RefusalCode.INSUFFICIENT_TOKENS:
        return _linked(refusal_line(refused, language, presentation), presentation.public_url)
    url = presentation.account_purchase_url(account_id)
    figures = refused.figures
    if figures is not None and not figures.exhausted:
        notice = _busy_notice if _held_by_calls(figures) else _too_large_notice
        return notice(figures, url, language)
    if language is Language.PORTUGUESE:
        lines = ["**Seus tokens não bastam para esta mensagem.**"]
        if figures is not None:
            lines.append(
                f"Ela precisa de {number(figures.needed, language)} tokens e restam "
                f"{number(max(0, figures.available), language)}. Neste mês você usou "
                f"{number(figures.monthly_used, language)} de {number(figures.monthly_limit, language)}; "
                f"a cota renova em {date(figures.resets_at, presentation.time_zone, language)}."
            )
        lines.append(f"[Comprar créditos]({url}) para continuar agora.")
    else:
        lines = ["**You don't have enough tokens for this message.**"]
        if figures is not None:
            lines.append(
                f"It needs {number(figures.needed, language)} tokens and you have "
                f"{number(max(0, figures.available), language)} left. This month you have used "
                f"{number(figures.monthly_used, language)} of {number(figures.monthly_limit, language)}; "
                f"your allowance renews on {date(figures.resets_at, presentation.time_zone, language)}."
            )
        lines.append(f"[Buy credits]({url}) to go on now.")
    return "\n\n".join(lines)


def _busy_notice(figures: RefusalFigures, url: str, language: Language) -> str:
    needed, available = number(figures.needed, language), number(max(0, figures.available), language)
    if language is Language.PORTUGUESE:
        return (
            "**Outro pedido seu ainda está em andamento.**\n\n"
            f"Enquanto ele reserva tokens, há {available} livres, e esta mensagem precisa de {needed}.\n\n"
            f"Espere que termine e envie de novo, ou [compre créditos]({url})."
        )
    return (
        "**Another request of yours is still running.**\n\n"
        f"While it holds tokens, {available} are free, and this message needs {needed}.\n\n"
        f"Wait until it ends and send again, or [buy credits]({url})."
    )


def _too_large_notice(figures: RefusalFigures, url: str, language: Language) -> str:
    needed, available = number(figures.needed, language), number(max(0, figures.available), language)
    if language is Language.PORTUGUESE:
        return (
            "**Não há tokens suficientes para esta conversa.**\n\n"
            f"Ela precisa de {needed} tokens e há {available} livres agora: "
            "cada mensagem reenvia a conversa inteira.\n\n"
            f"Comece uma nova ou [compre créditos]({url}) para continuar nesta."
        )
    return (
        "**There are not enough tokens for this conversation.**\n\n"
        f"It needs {needed} tokens and {available} are free now: each message sends the whole conversation again.\n\n"
        f"Start a new one or [buy credits]({url}) to go on in this one."
    )


def _linked(line: str, url: str) -> str:
    return line.replace(url, f"[{url}]({url})") if url in line else line
