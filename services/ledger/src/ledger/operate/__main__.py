"""`python -m ledger.operate VERB`: answers on standard output as JSON, one line of error otherwise."""

from typing import Final

from chassis.operate.verbs import LETTER_VERBS, Verbs
from contracts.errors import InvalidError, SolarisError

VERBS: Final = Verbs(
    {
        "ledger.operate.reads": ("balance", "lots", "events"),
        "ledger.operate.administration": ("credit", "revoke", "plan", "limit", "suspend", "activate", "block"),
        "ledger.operate.corrections": ("correct-cycle", "apply-catalog"),
        "ledger.operate.people": ("find",),
        "ledger.operate.personal_data": ("export", "forget"),
        "ledger.operate.importing": ("import",),
        "ledger.operate.log": ("replay",),
        "ledger.operate.checkpoints": ("verify", "checkpoint"),
        "ledger.operate.stream": ("republish",),
        "ledger.operate.dead_letters:VERBS": LETTER_VERBS,
        "ledger.operate.usage": ("usage",),
        "ledger.operate.statement": ("statement",),
        "ledger.operate.explain": ("explain",),
        "ledger.operate.requests": ("requests", "refusals"),
        "ledger.operate.holds": ("holds",),
        "ledger.operate.overview": ("overview",),
        "ledger.operate.reconcile": ("reconcile",),
        "ledger.operate.people_list": ("people",),
    },
    refused=(SolarisError,),
    bad_input=(InvalidError,),
)

if __name__ == "__main__":
    VERBS.main()
