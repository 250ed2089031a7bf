"""Reserve, by request-reply: what a gateway asks and what the ledger answers."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from contracts.accounts import AccountId
from contracts.errors import RefusalCode
from contracts.limits import MAX_CHOICES, Identifier, Moment, SignedTokens, Text, Tokens
from contracts.profiles import Profile


class ReserveRequest(Struct, frozen=True, kw_only=True):
    """Ask for a hold before a call is forwarded.

    `prompt_tokens` is the estimate with the model family's safety margin. `maximum_output_tokens` is the client's
    own maximum for one choice, `model_output_tokens` the model's as far as the gateway knows it; either may be None.
    `thinking_tokens` may be produced beside a model's maximum; both maxima hold them already, another one does not.
    `output_free` marks calls without output (embeddings). A ledger refuses a request that it reads after `deadline`.
    `observed`: a refusal is only noted, the call is made all the same (ENFORCEMENT=observe).
    `key_id` names the service key by a digest; openings of unknown accounts are rate-capped by it.
    The same `reservation_id` with the same content gets the same answer; with another content a conflict.
    """

    reservation_id: Identifier
    account_id: AccountId
    model: Text
    endpoint: Text
    prompt_tokens: Tokens
    deadline: Moment
    maximum_output_tokens: Tokens | None = None
    model_output_tokens: Tokens | None = None
    thinking_tokens: Tokens = 0
    choices: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] = 1
    output_free: bool = False
    observed: bool = False
    key_id: Text = ""
    profile: Profile | None = None


class Granted(Struct, frozen=True, kw_only=True):
    """The hold stands. `output_tokens` per choice; write it into the request only if `write_maximum`.

    `expires_in_seconds` is the hold's life from the first time that it was asked for; None: an older ledger, which does
    not say.
    """

    reservation_id: str
    held_tokens: Tokens
    output_tokens: Tokens
    write_maximum: bool
    available: SignedTokens
    expires_in_seconds: Annotated[int, Meta(ge=0)] | None = None


class RefusingCap(Struct, frozen=True, kw_only=True):
    """The cap of the plan that a call was refused by, which no credits raise.

    `scope` is `day`, `week` or `month`; without `every_model` the cap is of some models, and others may be served.
    """

    scope: Text
    every_model: bool = True


class RefusalFigures(Struct, frozen=True, kw_only=True):
    """The account's figures at the refusal, in billable tokens; `needed` is the least that the call must have.

    What refused is the balance or, where one is named, a `cap`: that leaves `available`, and `available` + `held` once
    all calls in flight have ended. `held` None: an older ledger, which does not say. `resets_at` is when it is renewed.
    `exhausted`: the account's balance can serve no call at all.
    """

    available: SignedTokens
    needed: Tokens
    held: Tokens | None = None
    cap: RefusingCap | None = None
    monthly_limit: Tokens
    monthly_used: Tokens
    credits: Tokens
    resets_at: datetime
    exhausted: bool = True


class Refused(Struct, frozen=True, kw_only=True):
    """No hold stands. `locale` is the person's, where known, for the message that they read."""

    reservation_id: str
    code: RefusalCode
    figures: RefusalFigures | None = None
    retry_after_seconds: Annotated[int, Meta(ge=0)] | None = None
    locale: str | None = None


class ReserveAnswer(Struct, frozen=True, kw_only=True):
    """Exactly one of the two."""

    granted: Granted | None = None
    refused: Refused | None = None
