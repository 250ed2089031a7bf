"""Asks the ledger for a person's profile, at the moment of sending and never before."""

from typing import Final

import nats.errors
from contracts.accounts import subject_token
from contracts.reads import ProfileAnswer
from contracts.reservations import Profile
from contracts.subjects import READ_PROFILE_PREFIX
from nats.aio.client import Client
from pydantic import TypeAdapter, ValidationError

PROFILE_TIMEOUT_SECONDS: Final = 3.0
_answer: TypeAdapter[ProfileAnswer] = TypeAdapter(ProfileAnswer)


class ProfileUnavailableError(Exception):
    """The ledger did not answer, or could not; the same question may be answered later."""


class LedgerProfiles:
    """The ledger's profiles, by request-reply."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def fetch(self, account_id: str) -> Profile | None:
        """What is known about the person; None where nothing is.

        Raises:
            ProfileUnavailableError: try again later.
        """
        if not self._client.is_connected:  # a request made now would be buffered and answered to nobody
            raise ProfileUnavailableError("nats not connected")
        subject = f"{READ_PROFILE_PREFIX}.{subject_token(account_id)}"
        try:
            reply = await self._client.request(subject, b"", timeout=PROFILE_TIMEOUT_SECONDS)
            answer = _answer.validate_json(reply.data)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise ProfileUnavailableError(f"ledger {type(error).__name__}") from error
        except ValidationError:
            # `from None`: the validation error would carry the profile into a log.
            raise ProfileUnavailableError("ledger answered nonsense") from None
        if answer.error is not None:
            raise ProfileUnavailableError("ledger answered an error")
        return answer.profile
