"""What a person reads when a part behind the gateway does not work."""

from enum import StrEnum
from typing import Final

from gateway.domain.language import Language


class Outage(StrEnum):
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    OVERLOADED = "overloaded"
    INTERRUPTED = "interrupted"


_PORTUGUESE: Final = {
    Outage.LEDGER_UNAVAILABLE: "O controle de tokens não respondeu a tempo. Nada foi cobrado; tente de novo.",
    Outage.UPSTREAM_UNREACHABLE: "O serviço do modelo não está acessível. Nada foi cobrado; tente de novo.",
    Outage.UPSTREAM_TIMEOUT: "O serviço do modelo não respondeu a tempo. Nada foi cobrado; tente de novo.",
    Outage.OVERLOADED: "Há pedidos demais neste momento. Nada foi cobrado; tente de novo.",
    Outage.INTERRUPTED: "A resposta foi interrompida. Só se cobra o que chegou; envie de novo para continuar.",
}
_ENGLISH: Final = {
    Outage.LEDGER_UNAVAILABLE: "The token control did not answer in time. Nothing was charged; please try again.",
    Outage.UPSTREAM_UNREACHABLE: "The model's service can't be reached. Nothing was charged; please try again.",
    Outage.UPSTREAM_TIMEOUT: "The model's service did not answer in time. Nothing was charged; please try again.",
    Outage.OVERLOADED: "There are too many requests at the moment. Nothing was charged; please try again.",
    Outage.INTERRUPTED: "The answer was interrupted. Only what has arrived is charged; send it again to go on.",
}


def outage_line(outage: Outage, language: Language) -> str:
    """One line that tells a person what happened and what it costs."""
    return (_PORTUGUESE if language is Language.PORTUGUESE else _ENGLISH)[outage]
