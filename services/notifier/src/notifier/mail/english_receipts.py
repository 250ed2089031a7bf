"""The sentences of receipts about orders and auto top-up in English."""

from typing import Final

from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PurchaseRestored,
    PurchaseRevoked,
    TakenBackFor,
    TopUpPause,
    TopUpPaused,
)

from notifier.mail import english
from notifier.mail import english_phrases as say
from notifier.mail.sentences import ReceiptLabels, Situation, Target, Words

LABELS: Final = ReceiptLabels(
    details="Details",
    balance="Your balance now",
    bought="Purchase",
    package="Package",
    package_named="{name} package",
    top_up="Auto top-up",
    voucher="Promotional code",
    manual="Manual order",
    tokens="Quantity",
    tokens_taken_back="Taken back",
    tokens_given_back="Given back",
    amount="Amount",
    free="No charge",
    paid_by="Paid by",
    somebody_else="somebody else",
    valid_until="Valid until",
    order="Order",
    date="Date",
    plan="Plan",
    period="Period",
    period_from_to="{start} to {end}",
    plan_ends="Plan ends",
    tokens_a_month="tokens a month",
    not_paid="not paid",
    last_day="the plan's last day",
)


def credits_purchased(data: CreditsPurchased, situation: Situation) -> Words:
    tokens, brand = say.tokens_counted(data.tokens), situation.brand
    match data.source:
        case OrderSource.PACKAGE:
            subject = f"Purchase confirmed: {tokens}"
            what = _credited(data, brand)
        case OrderSource.TOP_UP:
            subject = f"Auto top-up done: {tokens}"
            price = f" for {say.money(data)}" if data.amount_minor else ""
            what = (
                f"Your balance fell to the limit you chose, and auto top-up bought {tokens}{price}. "
                f"You can change it or turn it off at any time, {say.WHERE.format(brand=brand)}."
            )
        case OrderSource.VOUCHER:
            subject = f"Code accepted: {tokens}"
            what = f"Your code was worth {tokens}, which we added to your {brand} account."
        case OrderSource.MANUAL:
            subject = f"Credits added: {tokens}"
            what = _credited(data, brand)
    lasting = (
        f"Use these tokens by {say.moment(data.expires_at, situation)}: what is left then expires."
        if data.expires_at
        else "These tokens never expire, and are used only after the monthly allowance."
    )
    return Words(
        subject=subject,
        headline="Your tokens are here, and so is the chat" if situation.works_again else "Your tokens are here",
        paragraphs=(what, *say.available(situation, raised_by=data.tokens), *(() if situation.is_out else (lasting,))),
        offer=say.NEEDS_MORE if situation.is_out else None,
        button=say.BUY if situation.is_out else english.LABELS.see_usage,
        target=Target.PURCHASE if situation.is_out else Target.USAGE,
    )


def credits_revoked(data: PurchaseRevoked, situation: Situation) -> Words:
    tokens, money, appeal = say.tokens_counted(data.tokens), say.money(data), ""
    match data.cause:
        case TakenBackFor.REFUND if not data.amount_minor:
            subject, headline = f"Credits removed: {tokens}", "One of your orders was undone"
            why = "We undid one of your orders that had cost nothing."
        case TakenBackFor.REFUND:
            subject, headline = f"Refund of {money}", "One of your orders was refunded"
            why = f"We refunded {money} of one of your orders."
        case TakenBackFor.DISPUTE:
            subject, headline = f"Payment disputed: {money}", "One of your payments is disputed"
            why = (
                f"A payment of {money} was disputed at the bank or the card's issuer. Until that is settled, the "
                "tokens it paid for are out of your account; if the purchase is confirmed, they come back."
            )
        case TakenBackFor.FRAUD_WARNING:
            # A warning says nothing of money: none has moved.
            subject, headline = "One of your payments is under review", "One of your payments is under review"
            why = (
                "The card's issuer says that one of your payments may not have been authorised by the card's owner. "
                "Until that is cleared up, the tokens of it that were left are out of your account."
            )
            appeal = f" If it was you who paid, {say.TALK.format(brand=situation.brand)}."
    removed = f"We removed {tokens} from your account." if data.tokens else "No tokens were removed from your account."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(f"{why} {removed}{appeal}", *say.after_taking_back(situation)),
        offer=say.NEEDS_MORE if say.lacks(situation) else None,
        button=say.BUY if say.lacks(situation) else english.LABELS.see_usage,
        target=Target.PURCHASE if say.lacks(situation) else Target.USAGE,
    )


def credits_restored(data: PurchaseRestored, situation: Situation) -> Words:
    match data.cause:
        case TakenBackFor.REFUND:
            why = "A refund that we had announced could not be made, so its tokens are yours again."
        case TakenBackFor.DISPUTE:
            why = (
                "The dispute about one of your payments was settled in favour of the purchase, so its tokens are back."
            )
        case TakenBackFor.FRAUD_WARNING:
            why = "The review of one of your payments ended well, so its tokens are back."
    return Words(
        subject=f"{say.tokens_counted(data.tokens)} given back to your account",
        headline="Your tokens are back, and so is the chat" if situation.works_again else "Your tokens are back",
        paragraphs=(
            f"{why} We added {say.tokens_counted(data.tokens)} to your {situation.brand} account.",
            *say.available(situation, raised_by=data.tokens),
        ),
        button=english.LABELS.see_usage,
        target=Target.USAGE,
    )


def payment_failed(data: PaymentFailed, situation: Situation) -> Words:
    tokens, money = say.tokens_counted(data.tokens), say.money(data)
    if data.source is OrderSource.TOP_UP:
        subject, headline = "Auto top-up was not paid", "Auto top-up was not paid"
        what = f"Auto top-up tried to buy {tokens} for {money}, and the payment was declined."
        then = "Nothing was charged, and no tokens were added."
    else:
        subject, headline = f"Payment of {money} not received", "Your payment did not arrive"
        what = (
            f"The payment of {money} for {tokens} was not confirmed: the boleto or Pix expired unpaid, or the bank "
            "declined it."
        )
        then = "So no tokens were added. If you have paid and the money left your bank account, "
        then += f"{say.TALK.format(brand=situation.brand)}."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, then, *say.paused(situation)),
        offer="If you still want the tokens, buy them again: it takes less than a minute.",
        button="Buy again",
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
            do = "If you still want it, find out first what happened to the payment"
    then = f"{do}, then turn auto top-up on again {say.WHERE.format(brand=situation.brand)}."
    return Words(
        subject="Your auto top-up is paused",
        headline="Your auto top-up is paused",
        paragraphs=(
            f"{why} Until you turn it on again, nothing is bought automatically.",
            then,
            *say.paused(situation),
        ),
        offer="Meanwhile you can buy credits yourself.",
        button=say.BUY,
    )


def _credited(data: CreditsPurchased, brand: str) -> str:
    credited = f"{say.tokens_counted(data.tokens)} to your {brand} account"
    return f"{say.paid(data)}, and added {credited}." if data.amount_minor else f"We added {credited}, free of charge."
