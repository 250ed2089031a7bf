"""A receipt: the mail of its own that one notice of billing becomes, in the light of what the account is now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.domain.alerts import is_true, last_about_access
from notifier.domain.billing_notices import BillingNotice, is_past, is_superseded
from notifier.domain.composing import Composed, Context, Standing
from notifier.domain.notices import Notice, Tells, is_stale


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One mail about `lead`. `others` is the ledger's word that the chat works again, where it has come with it.

    `standing` None: the ledger did not say what the account is; then the mail shows nothing of it.
    """

    lead: BillingNotice
    others: tuple[Notice, ...]
    standing: Standing | None


def compose_receipt(
    lead: BillingNotice, beside: Sequence[Notice], context: Context, standing: Standing | None, now: datetime
) -> Composed[Receipt]:
    """The receipt, and what became of `beside`: the notices of restored access that it may tell in the same breath.

    Somebody who pays reads the receipt as the answer to the chat's refusal, so it tells that the chat works again also
    to those who were never mailed that they are out.
    """
    if is_past(lead, now):
        return Composed(told=None, stale=(lead, *beside), overtaken=())
    if is_superseded(lead, context.billing):
        return Composed(told=None, stale=(), overtaken=(lead, *beside))
    stale = tuple(notice for notice in beside if is_stale(notice, now))
    true = [notice for notice in beside if notice not in stale and is_true(notice, standing)]
    waiting = [notice for notice in context.later if is_true(notice, standing)]
    last_word = last_about_access([*context.told, *true, *waiting])
    others = tuple(notice for notice in true if notice is last_word and notice.kind == Tells.ACCESS_RESTORED)
    overtaken = tuple(notice for notice in beside if notice not in stale and notice not in others)
    return Composed(told=Receipt(lead=lead, others=others, standing=standing), stale=stale, overtaken=overtaken)
