"""Which orders of operators wait for a second person, and who that may be."""

from contracts.errors import InvalidError


def needs_approval(tokens: int, above: int) -> bool:
    """Whether an order is worth more than one person may give alone."""
    return tokens > above


def check_approver(asked_by: str, approver: str) -> None:
    """Refuse whoever asked.

    Raises:
        InvalidError: whoever entered the order approves it.
    """
    if approver == asked_by:
        raise InvalidError(f"{approver} entered this order: a second person must approve it")
