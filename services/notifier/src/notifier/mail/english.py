"""The mails' sentences in English."""

from collections.abc import Sequence
from typing import Final

from language.choice import Language
from language.formats import format_count, format_list, format_number

from notifier.domain.notices import Figures
from notifier.mail.sentences import Labels, Target, Words

LABELS: Final = Labels(
    hello="Hello,",
    hello_name="Hello {name},",
    used="Used this cycle",
    limit="Monthly allowance",
    monthly_remaining="Left of the allowance",
    credits="Credits",
    debt="Debt",
    remaining="Available in total",
    resets="Renews on",
    tokens=("token", "tokens"),
    used_of_limit="{used} of {limit} tokens",
    remaining_now="tokens available now",
    as_of="Figures as of",
    why="You receive this notice because you have an account with",
    see_usage="See my usage",
    automatic="This is an automatic message; there is no need to reply.",
)


def warning(figures: Figures, percent: int, brand: str, reset_date: str) -> Words:
    reached = f"Your use of {brand} has reached {percent}% of the monthly allowance"
    if figures.used_percent > percent:
        reached += f" and stands at {format_number(figures.used_percent, Language.ENGLISH)}% by now"
    if figures.monthly_remaining:
        left = f"You have {_tokens(figures.monthly_remaining)} left until {reset_date}, when it renews."
        takes_over = "take over if it runs out sooner, without interruption"
    else:
        left = f"It renews on {reset_date}."
        takes_over = "have taken over"
    paragraphs: tuple[str, ...] = (f"{reached}. {left}",)
    offer = None
    if figures.credits:
        paragraphs += (f"Your credits ({_tokens(figures.credits)}) {takes_over}.",)
    else:
        offer = "Need more before then? Buy credits: they never expire, and are used only after the allowance."
    return Words(
        subject=f"You have used {percent}% of your monthly tokens",
        headline=f"You have used {percent}% of your allowance",
        paragraphs=paragraphs,
        offer=offer,
        button="Buy credits",
    )


def allowance_used(figures: Figures, brand: str, reset_date: str) -> Words:
    if figures.credits:
        return Words(
            subject="Your monthly allowance is used up; your credits have taken over",
            headline="You are now using your credits",
            paragraphs=(
                f"Your monthly {brand} allowance is used up. Nothing changes in the chat: from now on, use is taken "
                f"from your credits, {_tokens(figures.credits)} in all.",
                f"The allowance renews on {reset_date}, and credits that remain stay yours.",
            ),
            button="Buy more credits",
        )
    return Words(
        subject="Your monthly token allowance is used up",
        headline="Your monthly allowance is used up",
        paragraphs=(f"You have used all of your monthly {brand} allowance. It renews on {reset_date}.",),
        offer="To go on now, buy credits: they are available as soon as the payment is confirmed, and never expire.",
        button="Buy credits",
    )


def out_of_tokens(figures: Figures, brand: str, reset_date: str) -> Words:
    if figures.remaining:
        left = f"What is left ({_tokens(figures.remaining)}) does not cover even a short answer"
    else:
        left = "There is not a token left"
    wait = f" Or wait: your allowance renews on {reset_date}." if figures.monthly_limit else ""
    return Words(
        subject="You are out of tokens and the chat is paused",
        headline="You are out of tokens",
        paragraphs=(f"{left}, so your {brand} chat is paused. Your conversations are still there.",),
        offer=f"To come back now, buy credits: they are available as soon as the payment is confirmed.{wait}",
        no_offer=f"Your allowance renews on {reset_date}." if figures.monthly_limit else None,
        button="Buy credits",
    )


def access_restored(figures: Figures, brand: str, reset_date: str) -> Words:
    renewed = f" Your allowance renews on {reset_date}." if figures.monthly_limit else ""
    return Words(
        subject="You can go back to the chat",
        headline="You can go back to the chat",
        paragraphs=(
            f"You had run out of tokens, and now have {_tokens(figures.remaining)} again to use with {brand}.",
            f"Your conversations are as you left them.{renewed}",
        ),
        button=LABELS.see_usage,
        target=Target.USAGE,
    )


def replaced(percents: Sequence[int], *, allowance_ended: bool) -> str:
    """Names the notices that this mail stands for beside its own; at least one."""
    named = []
    if percents:
        thresholds = format_list([f"{percent}%" for percent in percents], Language.ENGLISH)
        named.append(f"{thresholds} of the monthly allowance")
    if allowance_ended:
        named.append("the end of the monthly allowance")
    return f"You also reached {format_list(named, Language.ENGLISH)}: this one notice covers it all."


def _tokens(number: int) -> str:
    return format_count(number, *LABELS.tokens, Language.ENGLISH)
