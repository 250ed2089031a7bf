"""Renders a notice as one e-mail: headers, plain text and HTML."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifier.domain.notices import Notice, mail_message_id
from notifier.mail.addresses import usable_address
from notifier.mail.language import Language, choose_language, format_date, format_moment, format_number
from notifier.mail.names import first_name
from notifier.mail.words import LABELS, Labels, words_for

KIND_HEADER: Final = "X-Solaris-Kind"
PURCHASE_PATH: Final = "/buy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailStyle:
    """What is the same in every mail of this installation."""

    mail_from: str
    mail_domain: str
    brand: str
    public_url: str
    default_locale: str
    time_zone: ZoneInfo

    @property
    def purchase_url(self) -> str:
        return f"{self.public_url}{PURCHASE_PATH}"


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


def render_mail(notice: Notice, addressee: Addressee, style: MailStyle, *, now: datetime) -> EmailMessage:
    """The whole mail; its `Message-ID` depends on the notice's key alone.

    Raises:
        UnusableAddressError: see `usable_address`.
    """
    address = usable_address(addressee.email)
    language = choose_language(addressee.locale, style.default_locale)
    resets_at = notice.figures.resets_at.astimezone(style.time_zone)
    words = words_for(notice, language, brand=style.brand, reset_date=format_date(resets_at, language))
    labels = LABELS[language]
    figures = notice.figures
    name = first_name(addressee.name)
    content = {
        "language": language.value,
        "brand": style.brand,
        "words": words,
        "labels": labels,
        "greeting": labels.hello_name.format(name=name) if name else labels.hello,
        "rows": _rows(notice, labels, language, format_moment(resets_at, language)),
        "used_of_limit": labels.used_of_limit.format(
            used=format_number(figures.monthly_used, language), limit=format_number(figures.monthly_limit, language)
        ),
        "used_percent": format_number(figures.used_percent, language),
        "bar_percent": min(figures.used_percent, 100),
        "level": _level(figures.used_percent),
        "as_of": format_moment(notice.occurred_at.astimezone(style.time_zone), language),
        "purchase_url": style.purchase_url,
    }
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(style.brand, addr_spec=style.mail_from)
    mail["To"] = address
    mail["Subject"] = words.subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = mail_message_id(notice, style.mail_domain)
    mail[KIND_HEADER] = notice.kind
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_templates().get_template("mail.txt.j2").render(content))
    mail.add_alternative(_templates().get_template("mail.html.j2").render(content), subtype="html")
    # After the bodies: setting those moves every Content header into them.
    mail["Content-Language"] = language.value
    return mail


def _rows(notice: Notice, labels: Labels, language: Language, resets_at: str) -> list[tuple[str, str]]:
    figures = notice.figures

    def tokens(number: int) -> str:
        return f"{format_number(number, language)} {labels.tokens}"

    rows = [
        (labels.used, f"{tokens(figures.monthly_used)} ({format_number(figures.used_percent, language)}%)"),
        (labels.limit, tokens(figures.monthly_limit)),
        (labels.monthly_remaining, tokens(figures.monthly_remaining)),
        (labels.credits, tokens(figures.credits)),
    ]
    if figures.debt:
        rows.append((labels.debt, tokens(figures.debt)))
    rows.append((labels.resets, resets_at))
    return rows


def _level(used_percent: int) -> str:
    if used_percent >= 100:
        return "over"
    return "high" if used_percent >= 90 else "calm"
