"""The verb over auto top-up."""

from chassis.operate.errors import BadInputError
from chassis.operate.output import write_line
from chassis.operators import operator
from msgspec import to_builtins

from billing.application.offers import load_offers
from billing.application.top_up_settings import TopUpSettings
from billing.operate.options import Account, BelowOrNone, CurrencyOrNone, MonthlyCap, Off, Package, Payer
from billing.operate.selling import open_selling
from billing.store.order_life import is_account_known


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

    An account that the ledger does not know yet is told: it may be a typing error.
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
    write_line(to_builtins(view) | ({"account_is_new": True} if is_new else {}))
