"""Alerts of every kind, rendered and read back as mails are read."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

from contracts.purchase_links import MAIL_LINK_LIFETIME, PurchaseLinks
from language.choice import Language
from language.presentation import Presentation
from notifier.domain.alerts import Alert
from notifier.domain.notices import Figures, Notice
from notifier.domain.receipts import Receipt
from notifier.mail.rendering import Addressee, MailStyle, render_mail

NOW = datetime(2025, 11, 20, 15, 4, tzinfo=UTC)
KEY = b"the key of purchase links"
STYLE = MailStyle(
    mail_from="avisos@solaris.example",
    presentation=Presentation(
        brand="IA SOLARIS & Cia <1>",
        public_url="https://solaris.example/app",
        purchase_url="https://solaris.example/app/buy",
        default_language=Language.PORTUGUESE,
        time_zone=ZoneInfo("America/Sao_Paulo"),
    ),
    links=PurchaseLinks(page="https://solaris.example/app/buy", keys=[KEY], lifetime=MAIL_LINK_LIFETIME),
)
UNSOLD = replace(
    STYLE,
    presentation=replace(STYLE.presentation, purchase_url=None),
    links=PurchaseLinks(page=None, keys=[KEY], lifetime=MAIL_LINK_LIFETIME),
)
KINDS = [
    "threshold-80",
    "threshold-90",
    "threshold-95",
    "threshold-100",
    "allowance-exhausted",
    "tokens-exhausted",
    "access-restored",
]


def alert(
    kind: str = "threshold-80",
    *others: str,
    used: int = 812_345,
    granted: int = 0,
    debt: int = 0,
    limit: int = 1_000_000,
) -> Alert:
    figures = Figures(
        monthly_used=used,
        monthly_limit=limit,
        credits=granted,
        debt=debt,
        resets_at=datetime(2025, 12, 1, 3, 0, tzinfo=UTC),
    )
    lead, *named = (
        Notice(account_id="ana", cycle_id="c1", kind=each, cause="limit:1", figures=figures, occurred_at=NOW)
        for each in (kind, *others)
    )
    return Alert(lead=lead, others=tuple(named), figures=figures, as_of=NOW)


def render(
    what: Alert | Receipt, *, name: str | None = "Ana Souza", locale: str | None = None, style: MailStyle = STYLE
) -> EmailMessage:
    mail = render_mail(
        what, Addressee(email="ana@example.com", name=name, locale=locale), style, now=NOW, named_after=what.lead
    )
    parsed = message_from_bytes(mail.as_bytes(), policy=policy.default)  # as it crosses the wire
    assert isinstance(parsed, EmailMessage)
    return parsed


class Page(HTMLParser):
    """Links, resources and unbalanced tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.links.extend(value or "" for key, value in attrs if key in {"href", "src"})

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
