"""Renders an alert or a receipt as one e-mail: headers, plain text and HTML."""

import re
from dataclasses import dataclass, field, replace
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
from language.presentation import Presentation

from notifier.domain.alerts import Alert
from notifier.domain.composing import AnyNotice
from notifier.domain.mails import mail_message_id
from notifier.domain.receipts import Receipt
from notifier.mail.addresses import usable_address
from notifier.mail.alert_content import alert_content
from notifier.mail.content import Bar, Content
from notifier.mail.names import first_name
from notifier.mail.receipt_content import receipt_content
from notifier.mail.sentences import Target, Words
from notifier.mail.sold_names import SoldNames
from notifier.mail.words import labels_of

KIND_HEADER: Final = "X-Solaris-Kind"
OTHERS_HEADER: Final = "X-Solaris-Also"
"""The kinds of the other notices that the mail stands for."""
_MONEY: Final = re.compile(r"((?:R\$|US\$|€|£|\b[A-Z]{3}) \d[\d.,]*\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailStyle:
    """What is the same in every mail of this installation."""

    mail_from: str
    presentation: Presentation
    links: PurchaseLinks
    sold: SoldNames = field(default_factory=SoldNames)

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
    environment = Environment(
        loader=PackageLoader("notifier.mail"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["around_money"] = _around_money
    return environment


def _around_money(text: str) -> list[str]:
    """The text in parts, of which every second is an amount with its currency: no line is to end within one."""
    return _MONEY.split(text)


def render_mail(
    telling: Alert | Receipt, addressee: Addressee, style: MailStyle, *, now: datetime, named_after: AnyNotice
) -> EmailMessage:
    """The whole mail; its `Message-ID` depends on the key of `named_after` alone, whatever leads it.

    Raises:
        UnusableAddressError: see `usable_address`.
    """
    address = usable_address(addressee.email)
    style = style.for_account(telling.lead.account_id, now)
    language = style.presentation.language_of(addressee.locale)
    content = _content_of(telling, language, style)
    words = _ended(content.words, language, style)
    shown = _shown(replace(content, words=words), language, style) | {"name": first_name(addressee.name)}
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(style.presentation.brand, addr_spec=style.mail_from)
    mail["To"] = address
    mail["Subject"] = words.subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = mail_message_id(named_after, domain=style.mail_from.rpartition("@")[2])
    mail[KIND_HEADER] = telling.lead.kind
    if telling.others:
        mail[OTHERS_HEADER] = ", ".join(other.kind for other in telling.others)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_templates().get_template("mail.txt.j2").render(shown))
    mail.add_alternative(_templates().get_template("mail.html.j2").render(shown), subtype="html")
    # After the bodies: setting those moves every Content header into them.
    mail["Content-Language"] = language.value
    return mail


def _content_of(telling: Alert | Receipt, language: Language, style: MailStyle) -> Content:
    match telling:
        case Alert():
            return alert_content(telling, language, style.presentation)
        case Receipt():
            return receipt_content(telling, language, style.presentation, style.sold)


def _ended(words: Words, language: Language, style: MailStyle) -> Words:
    """The sentences with their last one and the button: to buy, where credits can be bought."""
    if style.presentation.purchase_url is not None:
        last, ended = words.offer, words
    else:
        last = words.no_offer
        ended = replace(words, button=labels_of(language).see_usage, target=Target.USAGE)
    return replace(ended, paragraphs=(*words.paragraphs, *([last] if last else [])))


def _shown(content: Content, language: Language, style: MailStyle) -> dict[str, Any]:  # what the templates name
    labels = labels_of(language)
    before, _, after = labels.hello_name.partition("{name}")
    return {
        "language": language.value,
        "brand": style.presentation.brand,
        "labels": labels,
        "hello": (before, after),
        "words": content.words,
        "level": content.level,
        "hero": None if isinstance(content.top, Bar) else content.top,
        "bar": content.top if isinstance(content.top, Bar) else None,
        "also": content.also,
        "tables": content.tables,
        "as_of": content.as_of,
        "url": style.url_of(content.words.target),
    }
