"""What the bodies of the API are made of: each field with its bounds."""

from typing import Annotated, Final

from contracts.accounts import checked_account_id
from pydantic import AfterValidator, Field

NOT_KEPT: Final = {"cache-control": "no-store"}
"""A header of answers that are about somebody."""

AccountId = Annotated[str, AfterValidator(checked_account_id)]
LinkToken = Annotated[str | None, Field(max_length=256)]
"""Of a purchase link, for whose account it is."""
Currency = Annotated[str | None, Field(pattern=r"^[a-z]{3}$")]
Locale = Annotated[str | None, Field(pattern=r"^(pt|en)([-_][A-Za-z]{2})?$")]
OfferName = Annotated[str, Field(min_length=1, max_length=64)]
ReturnUrl = Annotated[str | None, Field(pattern=r"^https?://[!-~]{1,500}$")]
"""Where a person comes back to; as browsers send it, in ASCII."""
