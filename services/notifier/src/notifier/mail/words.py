"""What the mails say, kind by kind, in each language."""

from dataclasses import dataclass
from typing import Final, assert_never

from notifier.domain.notices import TOKENS_EXHAUSTED, Figures, Notice, threshold_percent
from notifier.mail.language import Language, format_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The sentences of one mail; plain text, escaped by whoever puts them into HTML."""

    subject: str
    headline: str
    paragraphs: tuple[str, ...]
    button: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The words around the figures, the same in every mail of a language."""

    hello: str
    hello_name: str
    used: str
    limit: str
    monthly_remaining: str
    credits: str
    debt: str
    resets: str
    tokens: str
    used_of_limit: str
    as_of: str
    why: str
    automatic: str


LABELS: Final = {
    Language.PORTUGUESE: Labels(
        hello="Olá!",
        hello_name="Olá, {name}!",
        used="Usados neste ciclo",
        limit="Franquia mensal",
        monthly_remaining="Restam na franquia",
        credits="Créditos comprados",
        debt="Débito",
        resets="Renovação",
        tokens="tokens",
        used_of_limit="{used} de {limit} tokens",
        as_of="Números de",
        why="Você recebe este aviso porque tem uma conta no",
        automatic="Mensagem automática; não é preciso responder.",
    ),
    Language.ENGLISH: Labels(
        hello="Hello,",
        hello_name="Hello {name},",
        used="Used this cycle",
        limit="Monthly allowance",
        monthly_remaining="Left of the allowance",
        credits="Purchased credits",
        debt="Debt",
        resets="Renews on",
        tokens="tokens",
        used_of_limit="{used} of {limit} tokens",
        as_of="Figures as of",
        why="You receive this notice because you have an account with",
        automatic="This is an automatic message; there is no need to reply.",
    ),
}


def words_for(notice: Notice, language: Language, *, brand: str, reset_date: str) -> Words:
    """The mail's sentences for this notice; `reset_date` is written out in the language."""
    figures = notice.figures
    percent = threshold_percent(notice.kind)
    match language:
        case Language.PORTUGUESE:
            if notice.kind == TOKENS_EXHAUSTED:
                return _portuguese_out(brand, reset_date)
            if percent is not None and percent < 100:
                return _portuguese_warning(figures, percent, brand, reset_date)
            return _portuguese_allowance_used(figures, brand, reset_date)
        case Language.ENGLISH:
            if notice.kind == TOKENS_EXHAUSTED:
                return _english_out(brand, reset_date)
            if percent is not None and percent < 100:
                return _english_warning(figures, percent, brand, reset_date)
            return _english_allowance_used(figures, brand, reset_date)
        case _:
            assert_never(language)


def _portuguese_warning(figures: Figures, percent: int, brand: str, reset_date: str) -> Words:
    left = format_number(figures.monthly_remaining, Language.PORTUGUESE)
    if figures.credits:
        credit_tokens = format_number(figures.credits, Language.PORTUGUESE)
        then = f"Se ela acabar antes, seus {credit_tokens} tokens de crédito entram em uso, sem nenhuma interrupção."
    else:
        then = "Se precisar de mais antes disso, compre créditos: eles não expiram e só são usados depois da franquia."
    return Words(
        subject=f"Você já usou {percent}% da sua franquia mensal de tokens",
        headline=f"Você já usou {percent}% da sua franquia",
        paragraphs=(
            f"Seu uso do {brand} chegou a {percent}% da franquia mensal. "
            f"Ainda restam {left} tokens até {reset_date}, quando ela se renova.",
            then,
        ),
        button="Comprar créditos",
    )


def _portuguese_allowance_used(figures: Figures, brand: str, reset_date: str) -> Words:
    if figures.credits:
        credit_tokens = format_number(figures.credits, Language.PORTUGUESE)
        return Words(
            subject="Sua franquia mensal acabou; seus créditos já estão em uso",
            headline="Agora você está usando seus créditos",
            paragraphs=(
                f"A franquia mensal do {brand} foi usada por inteiro. Nada muda no chat: a partir de agora o consumo "
                f"sai dos seus {credit_tokens} tokens de crédito.",
                f"A franquia se renova em {reset_date}, e os créditos que sobrarem continuam seus.",
            ),
            button="Comprar mais créditos",
        )
    return Words(
        subject="Sua franquia mensal de tokens acabou",
        headline="Sua franquia mensal acabou",
        paragraphs=(
            f"Você usou toda a franquia mensal do {brand}, que se renova em {reset_date}.",
            "Para continuar agora, compre créditos: são liberados assim que o pagamento é confirmado e não expiram.",
        ),
        button="Comprar créditos",
    )


def _portuguese_out(brand: str, reset_date: str) -> Words:
    return Words(
        subject="Seus tokens acabaram e o chat está em pausa",
        headline="Seus tokens acabaram",
        paragraphs=(
            f"O que resta não basta para uma nova resposta, e por isso o chat do {brand} está em pausa. "
            "Suas conversas continuam guardadas.",
            f"Para voltar agora, compre créditos. Ou espere: a franquia se renova em {reset_date}.",
        ),
        button="Comprar créditos",
    )


def _english_warning(figures: Figures, percent: int, brand: str, reset_date: str) -> Words:
    left = format_number(figures.monthly_remaining, Language.ENGLISH)
    if figures.credits:
        credit_tokens = format_number(figures.credits, Language.ENGLISH)
        then = f"If it runs out sooner, your {credit_tokens} credit tokens take over without interruption."
    else:
        then = "Need more before then? Buy credits: they never expire, and are used only after the allowance."
    return Words(
        subject=f"You have used {percent}% of your monthly tokens",
        headline=f"You have used {percent}% of your allowance",
        paragraphs=(
            f"Your use of {brand} has reached {percent}% of the monthly allowance. "
            f"You have {left} tokens left until {reset_date}, when it renews.",
            then,
        ),
        button="Buy credits",
    )


def _english_allowance_used(figures: Figures, brand: str, reset_date: str) -> Words:
    if figures.credits:
        credit_tokens = format_number(figures.credits, Language.ENGLISH)
        return Words(
            subject="Your monthly allowance is used up; your credits have taken over",
            headline="You are now using your credits",
            paragraphs=(
                f"Your monthly {brand} allowance is used up. Nothing changes in the chat: from now on, use is taken "
                f"from your {credit_tokens} credit tokens.",
                f"The allowance renews on {reset_date}, and credits that remain stay yours.",
            ),
            button="Buy more credits",
        )
    return Words(
        subject="Your monthly token allowance is used up",
        headline="Your monthly allowance is used up",
        paragraphs=(
            f"You have used all of your monthly {brand} allowance. It renews on {reset_date}.",
            "To go on now, buy credits: they are available as soon as the payment is confirmed, and never expire.",
        ),
        button="Buy credits",
    )


def _english_out(brand: str, reset_date: str) -> Words:
    return Words(
        subject="You are out of tokens and the chat is paused",
        headline="You are out of tokens",
        paragraphs=(
            f"What is left does not cover another answer, so your {brand} chat is paused. "
            "Your conversations are still there.",
            f"To come back now, buy credits. Or wait: your allowance renews on {reset_date}.",
        ),
        button="Buy credits",
    )
