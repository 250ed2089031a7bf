"""What the bodies of the API are made of: each field with its bounds."""

from typing import Annotated, Final

from pydantic import Field

ACCOUNT_ID: Final = r"^[A-Za-z0-9._:-]{1,128}$"
NOT_KEPT: Final = {"cache-control": "no-store"}
"""A header of answers that are about somebody."""

Currency = Annotated[str | None, Field(pattern=r"^[a-z]{3}$")]
Locale = Annotated[str | None, Field(pattern=r"^(pt|en)([-_][A-Za-z]{2})?$")]
OfferName = Annotated[str, Field(min_length=1, max_length=64)]
Payer = Annotated[str | None, Field(pattern=ACCOUNT_ID)]
ReturnUrl = Annotated[str | None, Field(pattern=r"^https?://[^\s]{1,500}$")]
"""Where a person comes back to."""
