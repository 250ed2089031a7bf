"""A mail: an alert or a receipt, and the name by which whoever gets it twice knows it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from notifier.domain.alerts import Alert, compose_alert
from notifier.domain.billing_notices import BillingNotice, is_past
from notifier.domain.composing import AnyNotice, Composed, Context, Standing
from notifier.domain.notices import Notice, is_stale
from notifier.domain.receipts import Receipt, compose_receipt


def compose(
    notices: Sequence[AnyNotice], context: Context, standing: Standing | None, now: datetime
) -> Composed[Alert] | Composed[Receipt]:
    """What the notices of one mail become: a receipt where the first is of billing, else an alert."""
    match notices[0]:
        case BillingNotice() as lead:
            return compose_receipt(lead, _of_tokens(notices), context, standing, now)
        case Notice():
            return compose_alert(_of_tokens(notices), context, standing, now)


def is_too_late(notice: AnyNotice, now: datetime) -> bool:
    """Whether the news is no longer useful."""
    return is_past(notice, now) if isinstance(notice, BillingNotice) else is_stale(notice, now)


def mail_message_id(notice: AnyNotice, domain: str) -> str:
    """The `Message-ID` of the notice's mail: the same at every sending, and it tells nothing about the person."""
    return f"<{hashlib.sha256('\n'.join(notice.key).encode()).hexdigest()[:40]}@{domain}>"


def _of_tokens(notices: Sequence[AnyNotice]) -> list[Notice]:
    return [notice for notice in notices if isinstance(notice, Notice)]
