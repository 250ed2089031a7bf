"""What several receipts say, in English: parts of sentences, and sentences that may be left out."""

from datetime import datetime
from typing import Final

from contracts.events.billing import CreditsPurchased, PaymentFailed, PlanSubscribed, PurchaseRevoked, RenewalFailed
from language.choice import Language
from language.formats import format_count, format_moment, format_money

from notifier.mail import english
from notifier.mail.sentences import Situation

BUY: Final = "Buy credits"
TALK: Final = "contact whoever runs {brand}"
WHERE: Final = "in your account or with whoever runs {brand}"
NEEDS_MORE: Final = "To have tokens now, buy credits: they are available as soon as the payment is confirmed."


def paid(data: CreditsPurchased | PlanSubscribed) -> str:
    """Begins a sentence about a payment that was made."""
    if data.payer_id is not None:
        return f"We received {money(data)} from somebody else for you"
    return f"We received your payment of {money(data)}"


def available(situation: Situation, *, raised_by: int) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return works_again(situation)
    if situation.is_out:
        if figures.debt:
            debt = tokens_counted(figures.debt)
            return (f"They covered part of a debt from earlier use. {debt} are still owed, and the chat stays paused.",)
        return (f"What there is now ({tokens_counted(figures.remaining)}) does not yet cover an answer in the chat.",)
    said = f"You now have {tokens_counted(figures.remaining)} to use."
    if figures.remaining < raised_by:
        said += " If there was a debt from earlier use, it was taken off first."
    return (said, *works_again(situation))


def works_again(situation: Situation) -> tuple[str, ...]:
    return ("Your chat works again, and your conversations are as you left them.",) if situation.works_again else ()


def after_taking_back(situation: Situation) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return ()
    said = ""
    if figures.debt:
        said = (
            f"Some of them had been used already, which leaves a debt of {tokens_counted(figures.debt)}: it is taken "
            "first from the next purchase, or from the allowance when it next renews. "
        )
    if lacks(situation):
        return (f"{said}{_pause(figures.remaining)}",)
    goes_on = ", and the chat keeps working" if situation.is_active else ""
    return (f"{said}You still have {tokens_counted(figures.remaining)} to use{goes_on}.",)


def lacks(situation: Situation) -> bool:
    return situation.is_out or (situation.figures is not None and not situation.figures.remaining)


def paused(situation: Situation) -> tuple[str, ...]:
    return (_pause(situation.figures.remaining),) if situation.figures is not None and lacks(situation) else ()


def _pause(remaining: int) -> str:
    left = (
        f"What is left ({tokens_counted(remaining)}) is not enough" if remaining else "There are no tokens to use now"
    )
    return f"{left}, and the chat is paused."


def credits_stay(situation: Situation) -> tuple[str, ...]:
    """To whom it matters: said to all where the ledger did not say who has some."""
    if situation.figures is not None and not situation.figures.credits:
        return ()
    return ("Credits that you bought stay yours, apart from the plan.",)


def allowance(situation: Situation) -> str:
    """A sentence with a space behind it, or nothing where the ledger did not say."""
    return f"Your allowance is {tokens_counted(situation.plan_tokens)} a month. " if situation.plan_tokens else ""


def plan_named(name: str) -> str:
    return f"{name} plan" if name else "plan"


def tokens_counted(number: int) -> str:
    return format_count(number, *english.LABELS.tokens, Language.ENGLISH)


def money(data: CreditsPurchased | PurchaseRevoked | PlanSubscribed | PaymentFailed | RenewalFailed) -> str:
    return format_money(data.amount_minor, data.currency, Language.ENGLISH)


def moment(moment: datetime, situation: Situation) -> str:
    return format_moment(moment.astimezone(situation.time_zone), Language.ENGLISH)
