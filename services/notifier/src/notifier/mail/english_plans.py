"""The sentences of receipts about plans in English."""

from contracts.events.billing import PlanChange, PlanEnd, PlanEnded, PlanSubscribed, RenewalFailed

from notifier.mail import english
from notifier.mail import english_phrases as say
from notifier.mail.sentences import Situation, Target, Words


def plan_subscribed(data: PlanSubscribed, situation: Situation) -> Words:
    plan, ends = say.plan_named(data.plan), say.moment(data.period_ends_at, situation)
    terms = f"{say.allowance(situation)}The plan lasts until {ends}, when it renews automatically."
    paid = f"{say.paid(data)}." if data.amount_minor else ""
    match data.change:
        case PlanChange.STARTED:
            subject = headline = f"Your {plan} has begun"
            what = f"{paid or 'Nothing was charged.'} {terms}"
        case PlanChange.RENEWED:
            subject, headline = f"Receipt: {plan} renewed", f"Your {plan} is renewed"
            what = f"{paid or 'Nothing was charged.'} {terms}"
        case PlanChange.UPGRADED:
            subject = headline = f"You now have the {plan}"
            what = f"{paid} The change applies from now on, and what you used this cycle stays counted. {terms}".strip()
        case PlanChange.DOWNGRADED:
            subject = headline = f"Your plan is now {data.plan}" if data.plan else "Your plan has changed"
            what = f"{paid} The change you asked for applies from now on. {terms}".strip()
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, *say.works_again(situation), *say.credits_stay(situation)),
        button=english.LABELS.see_usage,
        target=Target.USAGE,
    )


def plan_ended(data: PlanEnded, situation: Situation) -> Words:
    plan = say.plan_named(data.plan)
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
        headline=f"Your {plan} has ended" if data.cause != PlanEnd.REPLACED else "One of your subscriptions was ended",
        paragraphs=(f"{why} {say.allowance(situation)}".strip(), *say.credits_stay(situation), *say.paused(situation)),
        offer=None if data.cause == PlanEnd.REPLACED else "Whenever you like, subscribe again or buy credits.",
        button=english.LABELS.see_usage if data.cause == PlanEnd.REPLACED else "See plans and credits",
        target=Target.USAGE if data.cause == PlanEnd.REPLACED else Target.PURCHASE,
    )


def renewal_failed(data: RenewalFailed, situation: Situation) -> Words:
    plan, ends = say.plan_named(data.plan), say.moment(data.grace_ends_at, situation)
    last = data.reminder > 1
    return Words(
        subject=f"Last notice: your {plan} ends soon" if last else f"The renewal of your {plan} was not paid",
        headline=f"Your {plan} ends soon" if last else f"The renewal of your {plan} was not paid",
        paragraphs=(
            f"The payment of {say.money(data)} for the renewal of the {plan} was {'still ' if last else ''}not "
            "accepted.",
            f"The plan lasts until {ends}. Unless it is paid by then, it ends and your account goes back to the "
            "default plan. Credits that you bought stay yours.",
            "To keep it, update the subscription's card or pay the open invoice, "
            f"{say.WHERE.format(brand=situation.brand)}.",
        ),
        button="Open my account",
        target=Target.USAGE,
    )
