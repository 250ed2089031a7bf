"""Why a balance does not do for a call, in a person's words: sentences with places for figures, in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.reservations import RefusalFigures, RefusingCap
from language.choice import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`line` alone says it all; `headline` and `explanation` say it where there is room; `advice` is free of charge.

    A `{cap}` in them is the cap that refused, as `Words.cap_name` calls it.
    """

    line: str
    headline: str
    explanation: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`not_enough` is all that is said where no figures are known, or none fit.

    `cap_names` by scope, under "" for a scope that only a newer ledger knows.
    """

    not_enough: Situation
    out: Situation
    out_without_allowance: Situation
    busy: Situation
    too_large: Situation
    capped: Situation
    cap_names: Mapping[str, str]
    for_this_model: str
    buy: str
    buy_shortly: str
    buy_linked: str

    def situation(self, figures: RefusalFigures | None) -> Situation:
        if figures is None:
            return self.not_enough
        if figures.cap is not None:
            return self.busy if _waiting_helps(figures) else self.capped
        if figures.exhausted:
            return self.out if figures.monthly_limit else self.out_without_allowance
        return self.busy if _waiting_helps(figures) else self.too_large

    def cap_name(self, cap: RefusingCap) -> str:
        name = self.cap_names.get(cap.scope, self.cap_names[""])
        return name if cap.every_model else f"{name} {self.for_this_model}"


def _waiting_helps(figures: RefusalFigures) -> bool:
    """Whether it would do but for what calls in flight hold, as a title's that is asked for beside a chat."""
    if figures.held is None:
        return max(0, figures.monthly_limit - figures.monthly_used) + figures.credits >= figures.needed
    return figures.available < figures.needed <= figures.available + figures.held


_PORTUGUESE: Final = Words(
    not_enough=Situation(
        line="Seus tokens não bastam.",
        headline="Seus tokens não bastam para esta mensagem.",
    ),
    out=Situation(
        line="Seus tokens não bastam para esta mensagem: ela precisa de {needed} e restam {available}.",
        headline="Seus tokens não bastam para esta mensagem.",
        explanation="Ela precisa de {needed} tokens e restam {available}. Neste mês você usou {used} de {limit}.",
        advice="Sua cota renova em {resets}.",
    ),
    out_without_allowance=Situation(
        line="Seus tokens não bastam para esta mensagem: ela precisa de {needed} e restam {available}.",
        headline="Seus tokens não bastam para esta mensagem.",
        explanation="Ela precisa de {needed} tokens e restam {available}.",
    ),
    busy=Situation(
        line="Outro pedido seu está em andamento: este precisa de {needed} tokens e há {available} livres.",
        headline="Outro pedido seu ainda está em andamento.",
        explanation="Enquanto ele reserva tokens, há {available} livres, e esta mensagem precisa de {needed}.",
        advice="Espere que termine e envie de novo.",
    ),
    too_large=Situation(
        line="Esta conversa precisa de {needed} tokens e há {available} livres.",
        headline="Não há tokens suficientes para esta conversa.",
        explanation=(
            "Ela precisa de {needed} tokens e há {available} livres agora: cada mensagem reenvia a conversa inteira."
        ),
        advice="Comece uma conversa nova, mais curta.",
    ),
    capped=Situation(
        line="Esta mensagem precisa de {needed} tokens e restam {available} no {cap}.",
        headline="O que resta do {cap} não basta para esta mensagem.",
        explanation="Ela precisa de {needed} tokens e restam {available}.",
        advice="Esse limite renova em {resets}.",
    ),
    cap_names={
        "day": "limite diário do seu plano",
        "week": "limite semanal do seu plano",
        "month": "limite mensal do seu plano",
        "": "limite do seu plano",
    },
    for_this_model="para este modelo",
    buy="Para continuar agora, compre créditos: {url}",
    buy_shortly="Compre créditos: {url}",
    buy_linked="Para continuar agora, [compre créditos]({url}).",
)
_ENGLISH: Final = Words(
    not_enough=Situation(
        line="Not enough tokens.",
        headline="You don't have enough tokens for this message.",
    ),
    out=Situation(
        line="Not enough tokens for this message: it needs {needed} and you have {available} left.",
        headline="You don't have enough tokens for this message.",
        explanation=(
            "It needs {needed} tokens and you have {available} left. This month you have used {used} of {limit}."
        ),
        advice="Your allowance renews on {resets}.",
    ),
    out_without_allowance=Situation(
        line="Not enough tokens for this message: it needs {needed} and you have {available} left.",
        headline="You don't have enough tokens for this message.",
        explanation="It needs {needed} tokens and you have {available} left.",
    ),
    busy=Situation(
        line="Another request of yours is running: this one needs {needed} tokens and {available} are free.",
        headline="Another request of yours is still running.",
        explanation="While it holds tokens, {available} are free, and this message needs {needed}.",
        advice="Wait until it ends and send again.",
    ),
    too_large=Situation(
        line="This conversation needs {needed} tokens and {available} are free.",
        headline="There are not enough tokens for this conversation.",
        explanation=(
            "It needs {needed} tokens and {available} are free now: each message sends the whole conversation again."
        ),
        advice="Start a new, shorter one.",
    ),
    capped=Situation(
        line="This message needs {needed} tokens and the {cap} has {available} left.",
        headline="What is left of the {cap} is not enough for this message.",
        explanation="It needs {needed} tokens and {available} are left.",
        advice="That limit renews on {resets}.",
    ),
    cap_names={
        "day": "daily limit of your plan",
        "week": "weekly limit of your plan",
        "month": "monthly limit of your plan",
        "": "limit of your plan",
    },
    for_this_model="for this model",
    buy="To go on now, buy credits: {url}",
    buy_shortly="Buy credits: {url}",
    buy_linked="To go on now, [buy credits]({url}).",
)


def words_of(language: Language) -> Words:
    return _PORTUGUESE if language is Language.PORTUGUESE else _ENGLISH
