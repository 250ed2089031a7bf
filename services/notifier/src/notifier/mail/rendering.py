"""Renders an alert as one e-mail: headers, plain text and HTML."""

from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import Any, Final

from contracts.purchase_links import PurchaseLinks
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from language.choice import Language
from language.formats import format_count, format_long_date, format_moment, format_number
from language.presentation import Presentation

from notifier.domain.alerts import Alert
from notifier.domain.notices import Figures, Notice, Tells, mail_message_id
from notifier.mail.addresses import usable_address
from notifier.mail.names import first_name
from notifier.mail.sentences import Labels, Target, Words
from notifier.mail.words import labels_of, replaced_sentence, words_for

KIND_HEADER: Final = "X-Solaris-Kind"
OTHERS_HEADER: Final = "X-Solaris-Also"
"""The kinds of the other notices that the mail stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailStyle:
    """What is the same in every mail of this installation."""

    mail_from: str
    presentation: Presentation
    links: PurchaseLinks

    def for_account(self, account_id: str, now: datetime) -> "MailStyle":
        """With a link of its own to where credits are bought."""
        return replace(self, presentation=replace(self.presentation, purchase_url=self.links.link(account_id, now)))

    def url_of(self, target: Target) -> str:
        if target is Target.PURCHASE and self.presentation.purchase_url is not None:
            return self.presentation.purchase_url
        return f"{self.presentation.public_url}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Who reads the mail, as the profile says: nothing in it is to be trusted."""

    email: str
    name: str | None
    locale: str | None


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("notifier.mail"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_mail(
    alert: Alert, addressee: Addressee, style: MailStyle, *, now: datetime, named_after: Notice
) -> EmailMessage:
    """The whole mail; its `Message-ID` depends on the key of `named_after` alone, whatever leads it.

    Raises:
        UnusableAddressError: see `usable_address`.
    """
    address = usable_address(addressee.email)
    style = style.for_account(alert.lead.account_id, now)
    presentation = style.presentation
    language = presentation.language_of(addressee.locale)
    resets_at = alert.figures.resets_at.astimezone(presentation.time_zone)
    reset_date = format_long_date(resets_at, language)
    sentences = words_for(alert, language, brand=presentation.brand, reset_date=reset_date)
    words = _ended(sentences, labels_of(language), style)
    content = _content(alert, words, language, style, resets_at) | {"name": first_name(addressee.name)}
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(presentation.brand, addr_spec=style.mail_from)
    mail["To"] = address
    mail["Subject"] = words.subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = mail_message_id(named_after, domain=style.mail_from.rpartition("@")[2])
    mail[KIND_HEADER] = alert.lead.kind
    if alert.others:
        mail[OTHERS_HEADER] = ", ".join(other.kind for other in alert.others)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_templates().get_template("mail.txt.j2").render(content))
    mail.add_alternative(_templates().get_template("mail.html.j2").render(content), subtype="html")
    # After the bodies: setting those moves every Content header into them.
    mail["Content-Language"] = language.value
    return mail


def _ended(words: Words, labels: Labels, style: MailStyle) -> Words:
    """The sentences with their last one and the button: to buy, where credits can be bought."""
    if style.presentation.purchase_url is not None:
        last, ended = words.offer, words
    else:
        last, ended = words.no_offer, replace(words, button=labels.see_usage, target=Target.USAGE)
    return replace(ended, paragraphs=(*words.paragraphs, *([last] if last else [])))


def _content(
    alert: Alert, words: Words, language: Language, style: MailStyle, resets_at: datetime
) -> dict[str, Any]:  # what the templates name
    figures, labels = alert.figures, labels_of(language)
    before, _, after = labels.hello_name.partition("{name}")
    shows_remaining = alert.lead.kind == Tells.ACCESS_RESTORED or not figures.monthly_limit
    return {
        "language": language.value,
        "brand": style.presentation.brand,
        "words": words,
        "labels": labels,
        "hello": (before, after),
        "replaced": replaced_sentence(alert, language),
        "rows": _rows(figures, labels, language, format_moment(resets_at, language)),
        "hero": format_number(figures.remaining, language) if shows_remaining else None,
        "used_of_limit": labels.used_of_limit.format(
            used=format_number(figures.monthly_used, language), limit=format_number(figures.monthly_limit, language)
        ),
        "used_percent": format_number(figures.used_percent, language),
        "bar_percent": min(figures.used_percent, 100),
        "level": _level(alert),
        "as_of": format_moment(alert.as_of.astimezone(style.presentation.time_zone), language),
        "url": style.url_of(words.target),
    }


def _rows(figures: Figures, labels: Labels, language: Language, resets_at: str) -> list[tuple[str, str]]:
    def tokens(number: int) -> str:
        return format_count(number, *labels.tokens, language)

    share = f" ({format_number(figures.used_percent, language)}%)" if figures.monthly_limit else ""
    rows = [
        (labels.used, f"{tokens(figures.monthly_used)}{share}"),
        (labels.limit, tokens(figures.monthly_limit)),
        (labels.monthly_remaining, tokens(figures.monthly_remaining)),
        (labels.credits, tokens(figures.credits)),
    ]
    if figures.debt:
        rows.append((labels.debt, tokens(figures.debt)))
    if figures.credits or figures.debt:
        rows.append((labels.remaining, tokens(figures.remaining)))
    return [*rows, (labels.resets, resets_at)]


def _level(alert: Alert) -> str:
    """How alarming the colours are: nothing stops while there are credits."""
    used_percent = alert.figures.used_percent
    match alert.lead.tells:
        case Tells.ACCESS_RESTORED:
            return "good"
        case Tells.TOKENS_EXHAUSTED:
            return "over"
        case Tells.THRESHOLD | Tells.ALLOWANCE_EXHAUSTED:
            if used_percent >= 100 and not alert.figures.credits:
                return "over"
            return "high" if used_percent >= 90 else "calm"
