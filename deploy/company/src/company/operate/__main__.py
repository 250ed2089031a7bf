"""`python -m company.operate VERB`: answers on standard output as JSON, one line of error otherwise."""

from typing import Final

from chassis.operate.verbs import Verbs
from contracts.errors import SolarisError

VERBS: Final = Verbs({"company.operate.seeding": ("seed",)}, refused=(SolarisError,))

if __name__ == "__main__":
    VERBS.main()
