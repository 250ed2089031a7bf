"""The verb over auto top-up."""

from chassis.operate.errors import BadInputError
from chassis.operate.output import write_line
from chassis.operators import operator
from msgspec import to_builtins

from billing.application.offers import load_offers
from billing.application.saving_cards import has_card
from billing.application.top_up_settings import TopUpSettings, TopUpView
from billing.operate.options import Account, BelowOrNone, CurrencyOrNone, MonthlyCap, Off, Package, Payer
from billing.operate.selling import Selling, open_selling
from billing.store.order_life import is_account_known
from billing.stripe_api.errors import StripeError


async def top_up(
    *,
    account: Account,
    package: Package = None,
    below: BelowOrNone = None,
    monthly_cap: MonthlyCap = None,
    currency: CurrencyOrNone = None,
    payer: Payer = None,
    off: Off = None,
) -> None:
    """Shows an account's auto top-up; sets it with PACKAGE and BELOW; turns it off with OFF=1.

    An account that the ledger does not know yet is told: it may be a typing error. So is whether there is a card to
    charge (`has_card`; null where Stripe does not say).
    """
    if off is not None and (package is not None or below is not None):
        raise BadInputError("OFF: turns it off, and needs no PACKAGE or BELOW")
    if (package is None) != (below is None):
        raise BadInputError("PACKAGE: and BELOW belong together: what is bought when less is left")
    if package is None and any(value is not None for value in (monthly_cap, currency, payer)):
        raise BadInputError("MONTHLY_CAP: as CURRENCY and PAYER, is set together with PACKAGE and BELOW")
    async with open_selling() as selling:
        is_new = await is_account_known(selling.engine, account) is False
        settings = TopUpSettings(engine=selling.engine, offers=load_offers(selling.settings.catalog))
        if off is not None:
            view = await settings.turn_off(account, who=operator())
        elif package is not None and below is not None:
            view = await settings.set(
                account,
                package_id=package,
                below_tokens=below,
                monthly_cap_minor=monthly_cap,
                currency=currency,
                payer_id=payer,
                who=operator(),
            )
        else:
            view = await settings.show(account)
        card = await _card(selling, view)
    write_line(to_builtins(view) | card | ({"account_is_new": True} if is_new else {}))


async def _card(selling: Selling, view: TopUpView) -> dict[str, bool | None]:
    """Nothing of one that is off. What was set is set, whether Stripe answers or not."""
    if not view.is_on or selling.stripe is None:
        return {}
    payer = view.payer_id or view.account_id
    try:
        found = await has_card(selling.engine, selling.stripe, payer, livemode=selling.settings.livemode)
    except StripeError:
        return {"has_card": None}
    return {"has_card": found}
