"""The verb that founds the company."""

import os
import time
from datetime import timedelta
from typing import Annotated, Final

from billing.application.offers import load_offers, load_plans
from billing.domain.entitlement import PlanRules
from billing.settings import BillingSettings
from catalog import CatalogError
from chassis.logging import configure_logging
from chassis.operate.database import open_connection, open_engine
from chassis.operate.errors import BadInputError
from chassis.operate.options import option, whole_number
from chassis.operate.output import write_line
from chassis.operate.progress import Progress
from ledger.catalog_file import load_policy
from ledger.settings import LedgerSettings
from msgspec.structs import replace

from company.founding import Founding

MAX_SEED: Final = 9_999
Seed = Annotated[int, option("--seed", parse=whole_number(1, MAX_SEED), help="which company: 1 where none is named")]


async def seed(seed: Seed = 1) -> None:
    """Makes up a company of 200 people with three months of life; who is there already is left alone."""
    started = time.perf_counter()
    configure_logging("company", "error")
    ledger, billing = LedgerSettings.read(os.environ), BillingSettings.read(os.environ)
    try:
        policy, offers, (_, monthly_tokens) = (
            load_policy(ledger),
            load_offers(billing.catalog),
            load_plans(billing.catalog),
        )
    except CatalogError as error:
        raise BadInputError(str(error)) from error
    rules = PlanRules(monthly_tokens=monthly_tokens, grace=timedelta(days=billing.renewal_grace_days))
    async with open_connection("billing"), open_engine("ledger") as engine:
        with Progress("company", "people") as progress:
            founded = await Founding(engine, policy, offers, rules).found(seed, progress.tell)
    write_line(replace(founded, seconds=round(time.perf_counter() - started, 1)))
