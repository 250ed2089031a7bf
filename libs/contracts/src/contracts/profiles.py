"""What is known of the person behind an account."""

from typing import Annotated

from msgspec import Meta, Struct


class Profile(Struct, frozen=True, kw_only=True):
    """Personal data of one account; None leaves what is stored as it is. Never part of an event.

    `user_id` is what the client calls the person, where that can't be an account id and a pseudonym stands for it.
    """

    email: Annotated[str, Meta(max_length=320)] | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    locale: Annotated[str, Meta(max_length=16)] | None = None
    user_id: Annotated[str, Meta(max_length=320)] | None = None
