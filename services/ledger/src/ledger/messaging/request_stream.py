"""What the stream of requests holds about one person, before the request log has read it."""

from typing import Final

from chassis.core_nats.client import CoreNats
from chassis.jetstream import NotFoundError, ask_api
from contracts.accounts import subject_token
from contracts.errors import UnavailableError
from contracts.subjects import REQUESTS_STREAM, request_subject
from nats.errors import Error

CONNECT_SECONDS: Final = 3.0


async def purge_requests(nats_url: str, account_id: str) -> int:
    """Purge the account's subject; returns how many messages went.

    Raises:
        UnavailableError: NATS does not answer, or refuses.
    """
    filtered = {"filter": request_subject(subject_token(account_id))}
    async with CoreNats(nats_url, service="operator") as client:
        if not await client.wait_connected(CONNECT_SECONDS):
            raise UnavailableError("NATS does not answer")
        try:
            purged: int = (await ask_api(client, f"STREAM.PURGE.{REQUESTS_STREAM}", filtered))["purged"]
        except NotFoundError:
            return 0
        except Error as error:
            raise UnavailableError(f"NATS: {str(error) or type(error).__name__}") from error
    return purged
