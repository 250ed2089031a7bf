"""What a receipt shows: its sentences, what was paid and for what, and what the account has now."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PlanChange,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    RenewalFailed,
    TopUpPaused,
)
from language.choice import Language
from language.formats import (
    format_count,
    format_long_date,
    format_moment,
    format_money,
    format_number,
    format_short_date,
)
from language.presentation import Presentation
from msgspec.structs import replace

from notifier.domain.billing_notices import ToldBillingEvent
from notifier.domain.receipts import Receipt
from notifier.mail.content import Content, Hero, Level, Row, Table, balance_rows
from notifier.mail.receipt_words import receipt_labels_of, receipt_words_for
from notifier.mail.sentences import Labels, ReceiptLabels, Situation
from notifier.mail.sold_names import SoldNames
from notifier.mail.words import labels_of


def receipt_content(receipt: Receipt, language: Language, presentation: Presentation, sold: SoldNames) -> Content:
    """The whole of it, in the language."""
    data = _with_shown_names(receipt.lead.data, language, sold)
    standing = receipt.standing
    figures = standing.figures if standing else None
    situation = Situation(
        brand=presentation.brand,
        time_zone=presentation.time_zone,
        figures=figures,
        plan_tokens=_plan_tokens(receipt),
        is_out=_is_out(receipt),
        is_active=standing is None or standing.is_active,
        works_again=bool(receipt.others),
    )
    writer = _Writer(language, presentation, labels_of(language), receipt_labels_of(language))
    tables = [Table(title=writer.receipt_labels.details, rows=writer.details(data, receipt.lead.occurred_at))]
    if figures is not None:
        resets_at = writer.moment(figures.resets_at)
        rows = balance_rows(figures, writer.labels, language, resets_at)
        tables.append(Table(title=writer.receipt_labels.balance, rows=rows))
    return Content(
        words=receipt_words_for(data, language, situation),
        level=_level(data),
        top=writer.top(data, situation),
        also=None,
        tables=tables,
        as_of=writer.moment(standing.as_of) if standing else None,
    )


def _plan_tokens(receipt: Receipt) -> int:
    """The ledger says what the account's plan gives now: nothing of one that another has replaced meanwhile."""
    data, standing = receipt.lead.data, receipt.standing
    if standing is None or not isinstance(data, PlanSubscribed | PlanEnded):
        return 0
    is_replaced = standing.heard_revision is not None and standing.heard_revision > data.revision
    return 0 if is_replaced else standing.figures.monthly_limit


def _is_out(receipt: Receipt) -> bool:
    standing = receipt.standing
    if standing is None:
        return False
    return standing.figures.remaining == 0 if standing.exhausted is None else standing.exhausted


def _with_shown_names(data: ToldBillingEvent, language: Language, sold: SoldNames) -> ToldBillingEvent:
    """With plan and package named as people know them: an event may name them by any text."""
    match data:
        case PlanSubscribed() | PlanEnded() | RenewalFailed():
            return replace(data, plan=sold.plan(data.plan, language))
        case CreditsPurchased():
            return replace(data, package_id=sold.package(data.package_id, language))
        case TopUpPaused():
            return replace(data, package_id=sold.package(data.package_id, language))
        case PurchaseRevoked() | PurchaseRestored() | PaymentFailed():
            return data
        case _:
            assert_never(data)


def _level(data: ToldBillingEvent) -> Level:
    match data:
        case CreditsPurchased() | PurchaseRestored():
            return "good"
        case PlanSubscribed() | PlanEnded():
            return "calm"
        case PurchaseRevoked() | PaymentFailed() | TopUpPaused():
            return "high"
        case RenewalFailed():
            return "over" if data.reminder > 1 else "high"
        case _:
            assert_never(data)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes figures, money and moments in one language."""

    language: Language
    presentation: Presentation
    labels: Labels
    receipt_labels: ReceiptLabels

    def moment(self, moment: datetime) -> str:
        return format_moment(moment.astimezone(self.presentation.time_zone), self.language)

    def tokens(self, number: int) -> str:
        return format_count(number, *self.labels.tokens, self.language)

    def money(self, amount_minor: int, currency: str) -> str:
        return format_money(amount_minor, currency, self.language) if amount_minor else self.receipt_labels.free

    def top(self, data: ToldBillingEvent, situation: Situation) -> Hero | None:
        """What is largest."""
        labels = self.receipt_labels
        match data:
            case CreditsPurchased() | PurchaseRestored():
                return Hero(figure=f"+{format_number(data.tokens, self.language)}", caption=self._unit(data.tokens))
            case PurchaseRevoked():
                minus = "\N{MINUS SIGN}" if data.tokens else ""
                figure = f"{minus}{format_number(data.tokens, self.language)}"
                return Hero(figure=figure, caption=self._unit(data.tokens))
            case PlanSubscribed() if situation.plan_tokens:
                limit = format_number(situation.plan_tokens, self.language)
                return Hero(figure=limit, caption=labels.tokens_a_month)
            case PaymentFailed() if data.amount_minor:
                return Hero(figure=self.money(data.amount_minor, data.currency), caption=labels.not_paid)
            case RenewalFailed():
                ends = data.grace_ends_at.astimezone(self.presentation.time_zone)
                return Hero(figure=format_short_date(ends, self.language), caption=labels.last_day)
            case PlanSubscribed() | PlanEnded() | PaymentFailed() | TopUpPaused():
                return None
            case _:
                assert_never(data)

    def details(self, data: ToldBillingEvent, occurred_at: datetime) -> list[Row]:
        """What happened, line by line."""
        date = (self.receipt_labels.date, self.moment(occurred_at))
        match data:
            case CreditsPurchased():
                rows = self._purchase(data)
            case PurchaseRevoked() | PurchaseRestored() | PaymentFailed():
                rows = self._order(data)
            case PlanSubscribed():
                rows = self._period(data)
            case PlanEnded():
                rows = self._plan(data.plan)
            case RenewalFailed():
                rows = [
                    *self._plan(data.plan),
                    (self.receipt_labels.amount, self.money(data.amount_minor, data.currency)),
                    (self.receipt_labels.plan_ends, self.moment(data.grace_ends_at)),
                ]
            case TopUpPaused():
                rows = [self._bought(OrderSource.TOP_UP, data.package_id)]
            case _:
                assert_never(data)
        return [*rows, date]

    def _purchase(self, data: CreditsPurchased) -> list[Row]:
        labels = self.receipt_labels
        lasting = (labels.valid_until, self.moment(data.expires_at)) if data.expires_at else None
        return [
            self._bought(data.source, data.package_id),
            (labels.tokens, self.tokens(data.tokens)),
            (labels.amount, self.money(data.amount_minor, data.currency)),
            *self._payer(data.payer_id),
            *([lasting] if lasting else []),
            (labels.order, data.order_id),
        ]

    def _order(self, data: PurchaseRevoked | PurchaseRestored | PaymentFailed) -> list[Row]:
        labels = self.receipt_labels
        match data:
            case PurchaseRevoked():
                what = labels.tokens_taken_back
            case PurchaseRestored():
                what = labels.tokens_given_back
            case PaymentFailed():
                what = labels.tokens
        # Where no money moved, the order need not have been free.
        amount = [(labels.amount, self.money(data.amount_minor, data.currency))] if data.amount_minor else []
        return [(what, self.tokens(data.tokens)), *amount, (labels.order, data.order_id)]

    def _period(self, data: PlanSubscribed) -> list[Row]:
        labels, zone = self.receipt_labels, self.presentation.time_zone
        start, end = (
            format_long_date(each.astimezone(zone), self.language)
            for each in (data.period_starts_at, data.period_ends_at)
        )
        is_payment = data.amount_minor > 0 or data.change in {PlanChange.STARTED, PlanChange.RENEWED}
        amount = [(labels.amount, self.money(data.amount_minor, data.currency))] if is_payment else []
        return [
            *self._plan(data.plan),
            *amount,
            *self._payer(data.payer_id),
            (labels.period, labels.period_from_to.format(start=start, end=end)),
            (labels.order, data.order_id),
        ]

    def _plan(self, name: str) -> list[Row]:
        return [(self.receipt_labels.plan, name)] if name else []

    def _payer(self, payer_id: str | None) -> list[Row]:
        return [(self.receipt_labels.paid_by, self.receipt_labels.somebody_else)] if payer_id is not None else []

    def _bought(self, source: OrderSource, name: str | None) -> Row:
        labels = self.receipt_labels
        match source:
            case OrderSource.PACKAGE:
                what = labels.package_named.format(name=name) if name else labels.package
            case OrderSource.TOP_UP:
                what = f"{labels.top_up} ({name})" if name else labels.top_up
            case OrderSource.VOUCHER:
                what = labels.voucher
            case OrderSource.MANUAL:
                what = f"{labels.manual} ({name})" if name else labels.manual
        return labels.bought, what

    def _unit(self, number: int) -> str:
        one, many = self.labels.tokens
        return one if number == 1 else many
