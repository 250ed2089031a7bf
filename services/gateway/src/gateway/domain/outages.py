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

_HAPPENED: Final = {
    Language.PORTUGUESE: {
        Outage.LEDGER_UNAVAILABLE: "O controle de tokens não respondeu a tempo.",
        Outage.UPSTREAM_UNREACHABLE: "O serviço do modelo não está acessível.",
        Outage.UPSTREAM_TIMEOUT: "O serviço do modelo não respondeu a tempo.",
        Outage.UPSTREAM_FAILED: "O serviço do modelo está com problemas{detail}.",
        Outage.UPSTREAM_USELESS: "O serviço do modelo não deu uma resposta válida{detail}.",
        Outage.OVERLOADED: "Há pedidos demais neste momento.",
        Outage.INTERRUPTED: "A resposta foi interrompida.",
        Outage.ANSWER_CUT: "O serviço do modelo interrompeu a resposta.",
    },
    Language.ENGLISH: {
        Outage.LEDGER_UNAVAILABLE: "The token control did not answer in time.",
        Outage.UPSTREAM_UNREACHABLE: "The model's service can't be reached.",
        Outage.UPSTREAM_TIMEOUT: "The model's service did not answer in time.",
        Outage.UPSTREAM_FAILED: "The model's service has a problem{detail}.",
        Outage.UPSTREAM_USELESS: "The model's service gave no valid answer{detail}.",
        Outage.OVERLOADED: "There are too many requests at the moment.",
        Outage.INTERRUPTED: "The answer was interrupted.",
        Outage.ANSWER_CUT: "The model's service broke off its answer.",
    },
}
_CHARGED: Final = {
    Language.PORTUGUESE: {
        Outage.INTERRUPTED: "Só se cobra o que chegou; envie de novo para continuar.",
        Outage.ANSWER_CUT: "Só se cobra o que ele já tinha gerado; envie de novo se precisar.",
    },
    Language.ENGLISH: {
        Outage.INTERRUPTED: "Only what has arrived is charged; send it again to go on.",
        Outage.ANSWER_CUT: "Only what it had produced is charged; send it again if you need to.",
    },
}
"""Of all others nothing is."""
_AGAIN: Final = {
    Language.PORTUGUESE: "Nada foi cobrado; tente de novo.",
    Language.ENGLISH: "Nothing was charged; please try again.",
}
_DETAILS_IN_PORTUGUESE: Final = {
    "HTML page": "página HTML",
    "empty answer": "resposta vazia",
    "empty event stream": "fluxo sem conteúdo",
    "not JSON": "não é JSON",
    "redirect": "redirecionamento",
}
_IN_A_MINUTE: Final = {
    Language.PORTUGUESE: "Nada foi cobrado. Tente de novo em um minuto.",
    Language.ENGLISH: "Nothing was charged. Please try again in a minute.",
}


def outage_line(outage: Outage, language: Language, detail: str = "") -> str:
    """One line that tells a person what happened and what it costs."""
    return f"{_happened(outage, language, detail)} {_CHARGED[language].get(outage, _AGAIN[language])}"


def outage_notice(outage: Outage, language: Language, detail: str = "") -> str:
    """The same as the assistant would say it, in markdown; those who read it look at no error code."""
    return f"**{_happened(outage, language, detail)}**\n\n{_CHARGED[language].get(outage, _IN_A_MINUTE[language])}"


def _happened(outage: Outage, language: Language, detail: str) -> str:
    if language is Language.PORTUGUESE:
        detail = ", ".join(_DETAILS_IN_PORTUGUESE.get(part, part) for part in detail.split(", "))
    return _HAPPENED[language][outage].format(detail=f" ({detail})" if detail else "")
