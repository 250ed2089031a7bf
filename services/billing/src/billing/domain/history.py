"""One line of an order's life."""

from collections.abc import Mapping

from msgspec import Struct


class Change(Struct, frozen=True, kw_only=True):
    """`what` happened, `who` or what brought it about, and `why` where a person said so.

    `details` are figures and ids that JSON can hold; never a secret, never what a card is known by.
    """

    what: str
    who: str
    why: str | None = None
    details: Mapping[str, object] = {}
