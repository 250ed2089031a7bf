"""What a person reads when a part behind the gateway does not work: a line for an error, markdown for a chat."""

from enum import StrEnum
from typing import Final

from language.choice import Language


class Outage(StrEnum):
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_USELESS = "upstream_useless"
    OVERLOADED = "overloaded"
    INTERRUPTED = "interrupted"
    ANSWER_CUT = "answer_cut"


OF_UPSTREAM: Final = frozenset(
    {
        Outage.UPSTREAM_UNREACHABLE,
        Outage.UPSTREAM_TIMEOUT,
        Outage.UPSTREAM_FAILED,
        Outage.UPSTREAM_USELESS,
        Outage.ANSWER_CUT,
    }
)

_PORTUGUESE: Final = {
    Outage.LEDGER_UNAVAILABLE: ("O controle de tokens não respondeu a tempo.", "Nada foi cobrado; tente de novo."),
    Outage.UPSTREAM_UNREACHABLE: ("O serviço do modelo não está acessível.", "Nada foi cobrado; tente de novo."),
    Outage.UPSTREAM_TIMEOUT: ("O serviço do modelo não respondeu a tempo.", "Nada foi cobrado; tente de novo."),
    Outage.UPSTREAM_FAILED: ("O serviço do modelo está com problemas{detail}.", "Nada foi cobrado; tente de novo."),
    Outage.UPSTREAM_USELESS: (
        "O serviço do modelo não deu uma resposta válida{detail}.",
        "Nada foi cobrado; tente de novo.",
    ),
    Outage.OVERLOADED: ("Há pedidos demais neste momento.", "Nada foi cobrado; tente de novo."),
    Outage.INTERRUPTED: (
        "A resposta foi interrompida.",
        "Só se cobra o que chegou; envie de novo para continuar.",
    ),
    Outage.ANSWER_CUT: (
        "O serviço do modelo interrompeu a resposta.",
        "Só se cobra o que ele já tinha gerado; envie de novo se precisar.",
    ),
}
_ENGLISH: Final = {
    Outage.LEDGER_UNAVAILABLE: (
        "The token control did not answer in time.",
        "Nothing was charged; please try again.",
    ),
    Outage.UPSTREAM_UNREACHABLE: ("The model's service can't be reached.", "Nothing was charged; please try again."),
    Outage.UPSTREAM_TIMEOUT: (
        "The model's service did not answer in time.",
        "Nothing was charged; please try again.",
    ),
    Outage.UPSTREAM_FAILED: ("The model's service has a problem{detail}.", "Nothing was charged; please try again."),
    Outage.UPSTREAM_USELESS: (
        "The model's service gave no valid answer{detail}.",
        "Nothing was charged; please try again.",
    ),
    Outage.OVERLOADED: ("There are too many requests at the moment.", "Nothing was charged; please try again."),
    Outage.INTERRUPTED: (
        "The answer was interrupted.",
        "Only what has arrived is charged; send it again to go on.",
    ),
    Outage.ANSWER_CUT: (
        "The model's service broke off its answer.",
        "Only what it had produced is charged; send it again if you need to.",
    ),
}
_DETAILS_IN_PORTUGUESE: Final = {
    "HTML page": "página HTML",
    "empty answer": "resposta vazia",
    "empty event stream": "fluxo sem conteúdo",
    "not JSON": "não é JSON",
    "redirect": "redirecionamento",
}
_CHARGED: Final = frozenset({Outage.INTERRUPTED, Outage.ANSWER_CUT})
_IN_A_MINUTE: Final = {
    Language.PORTUGUESE: "Nada foi cobrado. Tente de novo em um minuto.",
    Language.ENGLISH: "Nothing was charged. Please try again in a minute.",
}


def outage_line(outage: Outage, language: Language, detail: str = "") -> str:
    """One line that tells a person what happened and what it costs."""
    return " ".join(_words(outage, language, detail))


def outage_notice(outage: Outage, language: Language, detail: str = "") -> str:
    """The same as the assistant would say it, in markdown; those who read it look at no error code."""
    happened, costs = _words(outage, language, detail)
    return f"**{happened}**\n\n{costs if outage in _CHARGED else _IN_A_MINUTE[language]}"


def _words(outage: Outage, language: Language, detail: str) -> tuple[str, str]:
    if language is Language.PORTUGUESE:
        detail = ", ".join(_DETAILS_IN_PORTUGUESE.get(part, part) for part in detail.split(", "))
    happened, costs = (_PORTUGUESE if language is Language.PORTUGUESE else _ENGLISH)[outage]
    return happened.format(detail=f" ({detail})" if detail else ""), costs
