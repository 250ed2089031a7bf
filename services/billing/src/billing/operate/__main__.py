"""`python -m billing.operate VERB`: answers on standard output as JSON, one line of error otherwise."""

from typing import Final

from chassis.operate.verbs import LETTER_VERBS, Verbs

VERBS: Final = Verbs({"billing.operate.dead_letters:VERBS": LETTER_VERBS})

if __name__ == "__main__":
    VERBS.main()
