"""Who made something happen."""

from enum import StrEnum


class Actor(StrEnum):
    """Who made something happen: a person at the operator's verbs or the console, a payment, or a rule of our own."""

    OPERATOR = "operator"
    BILLING = "billing"
    SYSTEM = "system"
