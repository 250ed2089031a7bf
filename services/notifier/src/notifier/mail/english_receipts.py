"""The sentences of receipts in English."""

from datetime import datetime
from typing import Final

from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PlanChange,
    PlanEnd,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    RenewalFailed,
    TakenBackFor,
    TopUpPause,
    TopUpPaused,
)
from language.choice import Language
from language.formats import format_count, format_moment, format_money

from notifier.mail import english
from notifier.mail.sentences import ReceiptLabels, Situation, Target, Words

LABELS: Final = ReceiptLabels(
    details="Details",
    balance="Your balance now",
    bought="Purchase",
    package="Package",
    top_up="Auto top-up",
    voucher="Promotional code",
    manual="Entered by hand",
    tokens="Quantity",
    tokens_taken_back="Taken back",
    tokens_given_back="Given back",
    amount="Amount",
    free="No charge",
    paid_by="Paid by",
    somebody_else="somebody else",
    valid_until="Valid until",
    never_expires="Never expire",
    order="Order",
    date="Date",
    plan="Plan",
    period="Period",
    period_from_to="{start} to {end}",
    plan_ends="Plan ends",
    tokens_unit="tokens",
    tokens_a_month="tokens a month",
    not_paid="not paid",
    last_day="the plan's last day",
)
_SEE_ACCOUNT: Final = "Open my account"
_BUY: Final = "Buy credits"
_TALK: Final = "talk to whoever runs {brand}"
_WHERE: Final = "in your account or with whoever runs {brand}"


def credits_purchased(data: CreditsPurchased, situation: Situation) -> Words:
    tokens, brand = _tokens(data.tokens), situation.brand
    match data.source:
        case OrderSource.PACKAGE:
            subject = f"Purchase confirmed: {tokens}"
            what = _credited(data, brand)
        case OrderSource.TOP_UP:
            subject = f"Auto top-up done: {tokens}"
            price = f" for {_money(data)}" if data.amount_minor else ""
            what = (
                f"Your balance fell to the limit that you chose, and auto top-up bought {tokens}{price}. "
                f"You can change it or turn it off at any time, {_WHERE.format(brand=brand)}."
            )
        case OrderSource.VOUCHER:
            subject = f"Code accepted: {tokens}"
            what = f"Your code was worth {tokens}, which we added to your {brand} account."
        case OrderSource.MANUAL:
            subject = f"Credits added: {tokens}"
            what = _credited(data, brand)
    lasting = (
        f"Use these tokens by {_moment(data.expires_at, situation)}: what is left then expires."
        if data.expires_at
        else "These tokens never expire, and are used only after the monthly allowance."
    )
    return Words(
        subject=subject,
        headline="Your tokens are here, and so is the chat" if situation.works_again else "Your tokens are here",
        paragraphs=(what, *_available(situation, raised_by=data.tokens), *(() if situation.is_out else (lasting,))),
        offer=_NEEDS_MORE if situation.is_out else None,
        button=_BUY if situation.is_out else english.LABELS.see_usage,
        target=Target.PURCHASE if situation.is_out else Target.USAGE,
    )


def credits_revoked(data: PurchaseRevoked, situation: Situation) -> Words:
    tokens, money, appeal = _tokens(data.tokens), _money(data), ""
    match data.cause:
        case TakenBackFor.REFUND:
            subject, headline = f"Refund of {money}", "An order of yours was refunded"
            why = f"The refund is {money}, and the tokens that it had paid for leave your account."
        case TakenBackFor.DISPUTE:
            subject, headline = f"Payment disputed: {money}", "A payment of yours is disputed"
            why = (
                f"A payment of {money} was disputed at the bank or the card's issuer. Until that is settled, the "
                "tokens it paid for are out of your account; if the purchase is confirmed, they come back."
            )
        case TakenBackFor.FRAUD_WARNING:
            subject, headline = f"Payment under review: {money}", "A payment of yours is under review"
            why = (
                f"The card's issuer says that a payment of {money} may not have been authorised by the card's owner. "
                "Until that is cleared up, the tokens of it that were left are out of your account."
            )
            appeal = f" If it was you who paid, {_TALK.format(brand=situation.brand)}."
    removed = f"We took {tokens} from your account." if data.tokens else "No token was taken from your account."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(f"{why} {removed}{appeal}", *_after_taking_back(situation)),
        offer=_NEEDS_MORE if _lacks(situation) else None,
        button=_BUY if _lacks(situation) else english.LABELS.see_usage,
        target=Target.PURCHASE if _lacks(situation) else Target.USAGE,
    )


def credits_restored(data: PurchaseRestored, situation: Situation) -> Words:
    match data.cause:
        case TakenBackFor.REFUND:
            why = "A refund that we had announced could not be made, so its tokens are yours again."
        case TakenBackFor.DISPUTE:
            why = "The dispute about a payment of yours was settled in favour of the purchase, so its tokens are back."
        case TakenBackFor.FRAUD_WARNING:
            why = "The review of a payment of yours ended well, so its tokens are back."
    return Words(
        subject=f"{_tokens(data.tokens)} given back to your account",
        headline="Your tokens are back, and so is the chat" if situation.works_again else "Your tokens are back",
        paragraphs=(
            f"{why} We added {_tokens(data.tokens)} to your {situation.brand} account.",
            *_available(situation, raised_by=data.tokens),
        ),
        button=english.LABELS.see_usage,
        target=Target.USAGE,
    )


def plan_subscribed(data: PlanSubscribed, situation: Situation) -> Words:
    plan, ends = _plan(data.plan), _moment(data.period_ends_at, situation)
    renews = f"The plan lasts until {ends}, when it renews by itself."
    paid = f"{_paid(data)}." if data.amount_minor else ""
    match data.change:
        case PlanChange.STARTED:
            subject = headline = f"Your {plan} has begun"
            what = f"{paid or 'Nothing was charged.'} {_allowance(situation)}{renews}"
        case PlanChange.RENEWED:
            subject, headline = f"Receipt: {plan} renewed", f"Your {plan} is renewed"
            what = f"{paid or 'Nothing was charged.'} {_allowance(situation)}{renews}"
        case PlanChange.UPGRADED:
            subject = headline = f"You now have the {plan}"
            what = f"{paid} The change counts from now on, and what you used this cycle stays counted. "
            what = f"{what}{_allowance(situation)}{renews}".strip()
        case PlanChange.DOWNGRADED:
            subject = headline = f"Your plan is now {data.plan}" if data.plan else "Your plan has changed"
            what = f"{paid} The change that you asked for counts from now on. {_allowance(situation)}{renews}".strip()
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, *_works_again(situation), "Credits that you bought stay yours, apart from the plan."),
        button=english.LABELS.see_usage,
        target=Target.USAGE,
    )


def plan_ended(data: PlanEnded, situation: Situation) -> Words:
    plan = _plan(data.plan)
    match data.cause:
        case PlanEnd.CANCELLED:
            why = f"Your subscription to the {plan} was cancelled and has ended."
        case PlanEnd.UNPAID:
            why = f"Your {plan} has ended because its renewal was not paid in time."
        case PlanEnd.TAKEN_BACK:
            why = f"Your {plan} has ended because its payment was refunded or disputed."
        case PlanEnd.REPLACED:
            why = f"This subscription to the {plan} was ended because another took its place. It charges nothing more."
    return Words(
        subject=f"Your {plan} has ended" if data.cause != PlanEnd.REPLACED else f"Subscription to the {plan} ended",
        headline=f"Your {plan} has ended" if data.cause != PlanEnd.REPLACED else "A subscription of yours was ended",
        paragraphs=(why, f"{_allowance(situation)}Credits that you bought stay yours.", *_paused(situation)),
        offer=None if data.cause == PlanEnd.REPLACED else "Whenever you like, subscribe again or buy credits.",
        button=english.LABELS.see_usage if data.cause == PlanEnd.REPLACED else "See plans and credits",
        target=Target.USAGE if data.cause == PlanEnd.REPLACED else Target.PURCHASE,
    )


def payment_failed(data: PaymentFailed, situation: Situation) -> Words:
    tokens, money = _tokens(data.tokens), _money(data)
    if data.source is OrderSource.TOP_UP:
        subject, headline = "Auto top-up was not paid", "Auto top-up was not paid"
        what = f"Auto top-up tried to buy {tokens} for {money}, and the payment was declined."
        then = "Nothing was charged, and no token was added."
    else:
        subject, headline = f"Payment of {money} not received", "Your payment did not arrive"
        what = (
            f"The payment of {money} for {tokens} was not confirmed: the boleto or Pix expired unpaid, or the bank "
            "declined it."
        )
        then = "So no token was added. If you have paid and the money left your bank account, "
        then += f"{_TALK.format(brand=situation.brand)}."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, then, *_paused(situation)),
        offer="If you still want the tokens, buy them anew: it takes less than a minute.",
        button="Buy again",
    )


def renewal_failed(data: RenewalFailed, situation: Situation) -> Words:
    plan, ends = _plan(data.plan), _moment(data.grace_ends_at, situation)
    last = data.reminder > 1
    return Words(
        subject=f"Last notice: your {plan} ends soon" if last else f"The renewal of your {plan} was not paid",
        headline=f"Your {plan} ends soon" if last else f"The renewal of your {plan} was not paid",
        paragraphs=(
            f"The payment of {_money(data)} for the renewal of the {plan} was {'still ' if last else ''}not accepted.",
            f"The plan lasts until {ends}. Unless it is paid by then, it ends and your account goes back to the "
            "default plan. Credits that you bought stay yours.",
            "To keep it, update the subscription's card or pay the open invoice, "
            f"{_WHERE.format(brand=situation.brand)}.",
        ),
        button=_SEE_ACCOUNT,
        target=Target.USAGE,
    )


def top_up_paused(data: TopUpPaused, situation: Situation) -> Words:
    match data.cause:
        case TopUpPause.AUTHENTICATION_REQUIRED:
            why = "The bank wants the card's owner to confirm the payment, which cannot be done without them."
            do = "Confirm the payment or change the card"
        case TopUpPause.FAILED_TWICE:
            why = "Two payments of auto top-up in a row were declined."
            do = "Check the card's limit and expiry, or change it"
        case TopUpPause.TAKEN_BACK:
            why = "An order of auto top-up was refunded or disputed."
            do = "If you still want it, see first what became of the payment"
    then = f"{do}, then turn auto top-up on again {_WHERE.format(brand=situation.brand)}."
    return Words(
        subject="Your auto top-up is paused",
        headline="Your auto top-up is paused",
        paragraphs=(f"{why} Until you turn it on again, nothing is bought by itself.", then, *_paused(situation)),
        offer="Meanwhile you can buy credits yourself.",
        button=_BUY,
    )


_NEEDS_MORE: Final = "To have tokens now, buy credits: they are available as soon as the payment is confirmed."


def _credited(data: CreditsPurchased, brand: str) -> str:
    credited = f"{_tokens(data.tokens)} to your {brand} account"
    return f"{_paid(data)}, and added {credited}." if data.amount_minor else f"We added {credited}, free of charge."


def _paid(data: CreditsPurchased | PlanSubscribed) -> str:
    """Begins a sentence about a payment that was made."""
    if data.payer_id is not None:
        return f"We received {_money(data)} from somebody else for you"
    return f"We received your payment of {_money(data)}"


def _available(situation: Situation, *, raised_by: int) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return _works_again(situation)
    if situation.is_out:
        if figures.debt:
            debt = _tokens(figures.debt)
            return (f"They covered part of a debt from earlier use. {debt} are still owed, and the chat stays paused.",)
        return (f"What there is now ({_tokens(figures.remaining)}) does not yet cover an answer in the chat.",)
    said = f"You now have {_tokens(figures.remaining)} to use."
    if figures.remaining < raised_by:
        said += " If there was a debt from earlier use, it was taken off first."
    return (said, *_works_again(situation))


def _works_again(situation: Situation) -> tuple[str, ...]:
    return ("Your chat works again, and your conversations are as you left them.",) if situation.works_again else ()


def _after_taking_back(situation: Situation) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return ()
    said = ""
    if figures.debt:
        said = (
            f"Some of them had been used already, which leaves a debt of {_tokens(figures.debt)}: it is taken first "
            "from the next purchase, or from the allowance when it next renews. "
        )
    if _lacks(situation):
        return (f"{said}There are no tokens to use now, and the chat is paused.",)
    return (f"{said}You still have {_tokens(figures.remaining)} to use, and the chat goes on working.",)


def _lacks(situation: Situation) -> bool:
    return situation.is_out or (situation.figures is not None and not situation.figures.remaining)


def _paused(situation: Situation) -> tuple[str, ...]:
    return ("There are no tokens to use now, and the chat is paused.",) if _lacks(situation) else ()


def _allowance(situation: Situation) -> str:
    """A sentence with a space behind it, or nothing where the ledger did not say."""
    limit = situation.figures.monthly_limit if situation.figures else 0
    return f"Your allowance is {_tokens(limit)} a month. " if limit else ""


def _plan(name: str) -> str:
    return f"{name} plan" if name else "plan"


def _tokens(number: int) -> str:
    return format_count(number, *english.LABELS.tokens, Language.ENGLISH)


def _money(
    data: CreditsPurchased | PurchaseRevoked | PlanSubscribed | PaymentFailed | RenewalFailed,
) -> str:
    return format_money(data.amount_minor, data.currency, Language.ENGLISH)


def _moment(moment: datetime, situation: Situation) -> str:
    return format_moment(moment.astimezone(situation.time_zone), Language.ENGLISH)
