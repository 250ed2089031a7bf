"""`python -m billing.operate VERB`: answers on standard output as JSON, one line of error otherwise."""

from typing import Final

from chassis.operate.verbs import LETTER_VERBS, Verbs
from contracts.errors import InvalidError, SolarisError

VERBS: Final = Verbs(
    {
        "billing.operate.orders": ("orders",),
        "billing.operate.money": ("order", "approve", "refund", "unfreeze"),
        "billing.operate.syncing": ("billing-sync",),
        "billing.operate.stream": ("billing-republish", "republish"),
        "billing.operate.stripe": ("stripe-setup", "stripe-check"),
        "billing.operate.top_ups": ("top-up",),
        "billing.operate.people": ("export", "forget"),
        "billing.operate.vouchers": ("vouchers", "vouchers-withdraw"),
        "billing.operate.dead_letters:VERBS": LETTER_VERBS,
    },
    refused=(SolarisError,),
    bad_input=(InvalidError,),
)

if __name__ == "__main__":
    VERBS.main()
