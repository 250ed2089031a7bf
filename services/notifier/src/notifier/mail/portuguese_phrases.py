"""What several receipts say, in Brazilian Portuguese: parts of sentences, and sentences that may be left out."""

from datetime import datetime
from typing import Final

from contracts.events.billing import CreditsPurchased, PaymentFailed, PlanSubscribed, PurchaseRevoked, RenewalFailed
from language.choice import Language
from language.formats import format_count, format_moment, format_money

from notifier.mail import portuguese
from notifier.mail.sentences import Situation

BUY: Final = "Comprar créditos"
TALK: Final = "fale com quem administra o {brand}"
WHERE: Final = "na sua conta ou com quem administra o {brand}"
NEEDS_MORE: Final = "Para ter tokens agora, compre créditos: são liberados assim que o pagamento é confirmado."


def paid(data: CreditsPurchased | PlanSubscribed) -> str:
    """Begins a sentence about a payment that was made."""
    if data.payer_id is not None:
        return f"Outra pessoa pagou {money(data)} por você"
    return f"Recebemos seu pagamento de {money(data)}"


def available(situation: Situation, *, raised_by: int) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return works_again(situation)
    if situation.is_out:
        if figures.debt:
            debt = tokens_counted(figures.debt)
            return (f"Eles cobriram parte de um débito de uso anterior. Faltam {debt}, e o chat continua em pausa.",)
        return (f"O que há agora ({tokens_counted(figures.remaining)}) ainda não basta para uma resposta no chat.",)
    said = f"Agora você tem {tokens_counted(figures.remaining)} para usar."
    if figures.remaining < raised_by:
        said += " Se havia um débito de uso anterior, ele foi descontado primeiro."
    return (said, *works_again(situation))


def works_again(situation: Situation) -> tuple[str, ...]:
    return ("O chat voltou a funcionar, e suas conversas estão como você as deixou.",) if situation.works_again else ()


def after_taking_back(situation: Situation) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return ()
    said = ""
    if figures.debt:
        said = (
            f"Parte deles já tinha sido usada, e ficou um débito de {tokens_counted(figures.debt)}, que sai primeiro "
            "da próxima compra ou da próxima renovação da franquia. "
        )
    if lacks(situation):
        return (f"{said}{_pause(figures.remaining)}",)
    goes_on = ", e o chat continua funcionando" if situation.is_active else ""
    return (f"{said}Você ainda tem {tokens_counted(figures.remaining)} para usar{goes_on}.",)


def lacks(situation: Situation) -> bool:
    return situation.is_out or (situation.figures is not None and not situation.figures.remaining)


def paused(situation: Situation) -> tuple[str, ...]:
    return (_pause(situation.figures.remaining),) if situation.figures is not None and lacks(situation) else ()


def _pause(remaining: int) -> str:
    left = f"O que resta ({tokens_counted(remaining)}) não basta" if remaining else "Não há tokens para usar agora"
    return f"{left}, e o chat está em pausa."


def credits_stay(situation: Situation) -> tuple[str, ...]:
    """To whom it matters: said to all where the ledger did not say who has some."""
    if situation.figures is not None and not situation.figures.credits:
        return ()
    return ("Seus créditos comprados continuam seus, à parte do plano.",)


def allowance(situation: Situation) -> str:
    """A sentence with a space behind it, or nothing where the ledger did not say."""
    return f"Sua franquia é de {tokens_counted(situation.plan_tokens)} por mês. " if situation.plan_tokens else ""


def plan_named(name: str) -> str:
    return f"plano {name}" if name else "plano"


def tokens_counted(number: int) -> str:
    return format_count(number, *portuguese.LABELS.tokens, Language.PORTUGUESE)


def money(data: CreditsPurchased | PurchaseRevoked | PlanSubscribed | PaymentFailed | RenewalFailed) -> str:
    return format_money(data.amount_minor, data.currency, Language.PORTUGUESE)


def moment(moment: datetime, situation: Situation) -> str:
    return format_moment(moment.astimezone(situation.time_zone), Language.PORTUGUESE)
