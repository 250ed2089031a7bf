"""What stands around every page, and what people read where there is none, in both languages."""

from dataclasses import dataclass
from typing import Final

from language.choice import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A page that says why there is none: what happened, and what its reader may do."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`faults` by the status of the answer; that of 500 stands for those that are not named."""

    skip: str
    language: str
    other_language: str
    dark: str
    light: str
    to_chat: str
    faults: dict[int, Fault]

    def fault(self, status: int) -> Fault:
        return self.faults.get(status) or self.faults[400 if status < 500 else 500]


_PORTUGUESE: Final = Words(
    skip="Ir para o conteúdo",
    language="Idioma",
    other_language="English",
    dark="Usar cores escuras",
    light="Usar cores claras",
    to_chat="Voltar ao chat",
    faults={
        400: Fault(title="Não entendemos este pedido", text="Volte à página anterior e tente de novo."),
        403: Fault(
            title="Este pedido veio de outro site", text="Abra a página de novo pelo seu link e continue por lá."
        ),
        404: Fault(
            title="Página não encontrada", text="O endereço mudou, ou só metade dele foi copiada. Confira o link."
        ),
        429: Fault(title="Muitas tentativas", text="Aguarde um minuto e tente de novo."),
        500: Fault(title="Algo deu errado do nosso lado", text="Tente de novo em instantes."),
    },
)
_ENGLISH: Final = Words(
    skip="Skip to content",
    language="Language",
    other_language="Português",
    dark="Use dark colours",
    light="Use light colours",
    to_chat="Back to the chat",
    faults={
        400: Fault(title="We did not understand this request", text="Go back to the previous page and try again."),
        403: Fault(
            title="This request came from another site", text="Open the page again with your link and continue there."
        ),
        404: Fault(
            title="Page not found", text="The address has changed, or only half of it was copied. Check the link."
        ),
        429: Fault(title="Too many attempts", text="Wait a minute and try again."),
        500: Fault(title="Something went wrong on our side", text="Try again in a moment."),
    },
)


def words_of(language: Language) -> Words:
    return _PORTUGUESE if language is Language.PORTUGUESE else _ENGLISH
