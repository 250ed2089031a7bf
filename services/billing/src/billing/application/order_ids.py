"""Names new orders."""

from secrets import token_hex


def new_order_id() -> str:
    """An id of the form `ORDER_ID` that nobody guesses: whoever knows it is shown the order."""
    return f"ord_{token_hex(16)}"
