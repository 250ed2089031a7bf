"""The mails' sentences in Brazilian Portuguese."""

from collections.abc import Sequence
from typing import Final

from language.choice import Language
from language.formats import format_count, format_list, format_number

from notifier.domain.notices import Figures
from notifier.mail.sentences import Labels, Target, Words

LABELS: Final = Labels(
    hello="Olá!",
    hello_name="Olá, {name}!",
    used="Usados neste ciclo",
    limit="Franquia mensal",
    monthly_remaining="Restam na franquia",
    credits="Créditos",
    debt="Débito",
    remaining="Total disponível",
    resets="Renovação",
    tokens=("token", "tokens"),
    used_of_limit="{used} de {limit} tokens",
    remaining_now="tokens disponíveis agora",
    as_of="Números de",
    why="Você recebe este aviso porque tem uma conta no",
    see_usage="Ver meu consumo",
    automatic="Mensagem automática; não é preciso responder.",
)


def warning(figures: Figures, percent: int, brand: str, reset_date: str) -> Words:
    reached = f"Seu uso do {brand} chegou a {percent}% da franquia mensal"
    if figures.used_percent > percent:
        reached += f" e já está em {format_number(figures.used_percent, Language.PORTUGUESE)}%"
    if figures.monthly_remaining:
        left = f"Ainda há {_tokens(figures.monthly_remaining)} até {reset_date}, quando ela se renova."
        takes_over = "entram em uso se ela acabar antes, sem nenhuma interrupção"
    else:
        left = f"Ela se renova em {reset_date}."
        takes_over = "já estão em uso"
    paragraphs: tuple[str, ...] = (f"{reached}. {left}",)
    offer = None
    if figures.credits:
        paragraphs += (f"Seus créditos ({_tokens(figures.credits)}) {takes_over}.",)
    else:
        offer = "Se precisar de mais antes disso, compre créditos: eles não expiram e só são usados depois da franquia."
    return Words(
        subject=f"Você já usou {percent}% da sua franquia mensal de tokens",
        headline=f"Você já usou {percent}% da sua franquia",
        paragraphs=paragraphs,
        offer=offer,
        button="Comprar créditos",
    )


def allowance_used(figures: Figures, brand: str, reset_date: str) -> Words:
    if figures.credits:
        return Words(
            subject="Sua franquia mensal acabou; seus créditos já estão em uso",
            headline="Agora você está usando seus créditos",
            paragraphs=(
                f"A franquia mensal do {brand} foi usada por inteiro. Nada muda no chat: a partir de agora o consumo "
                f"sai dos seus créditos, que somam {_tokens(figures.credits)}.",
                f"A franquia se renova em {reset_date}, e os créditos que sobrarem continuam seus.",
            ),
            button="Comprar mais créditos",
        )
    return Words(
        subject="Sua franquia mensal de tokens acabou",
        headline="Sua franquia mensal acabou",
        paragraphs=(f"Você usou toda a franquia mensal do {brand}, que se renova em {reset_date}.",),
        offer="Para continuar agora, compre créditos: são liberados assim que o pagamento é confirmado e não expiram.",
        button="Comprar créditos",
    )


def out_of_tokens(figures: Figures, brand: str, reset_date: str) -> Words:
    if figures.remaining:
        left = f"O que resta ({_tokens(figures.remaining)}) não basta nem para uma resposta curta"
    else:
        left = "Não resta nenhum token"
    wait = f" Ou espere: a franquia se renova em {reset_date}." if figures.monthly_limit else ""
    return Words(
        subject="Seus tokens acabaram e o chat está em pausa",
        headline="Seus tokens acabaram",
        paragraphs=(f"{left}, e por isso o chat do {brand} está em pausa. Suas conversas continuam guardadas.",),
        offer=f"Para voltar agora, compre créditos: são liberados assim que o pagamento é confirmado.{wait}",
        no_offer=f"Sua franquia se renova em {reset_date}." if figures.monthly_limit else None,
        button="Comprar créditos",
    )


def access_restored(figures: Figures, brand: str, reset_date: str) -> Words:
    renewed = f" A franquia se renova em {reset_date}." if figures.monthly_limit else ""
    return Words(
        subject="Você já pode voltar ao chat",
        headline="Você já pode voltar ao chat",
        paragraphs=(
            f"Seus tokens tinham acabado, e agora você tem de novo {_tokens(figures.remaining)} para usar no {brand}.",
            f"Suas conversas estão como você as deixou.{renewed}",
        ),
        button=LABELS.see_usage,
        target=Target.USAGE,
    )


def replaced(percents: Sequence[int], *, allowance_ended: bool) -> str:
    """Names the notices that this mail stands for beside its own; at least one."""
    named = []
    if percents:
        thresholds = format_list([f"{percent}%" for percent in percents], Language.PORTUGUESE)
        named.append(f"{thresholds} da franquia mensal")
    if allowance_ended:
        named.append("o fim da franquia mensal")
    return f"Você também atingiu {format_list(named, Language.PORTUGUESE)}: reunimos tudo em um só aviso."


def _tokens(number: int) -> str:
    return format_count(number, *LABELS.tokens, Language.PORTUGUESE)
