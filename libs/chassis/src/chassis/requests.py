"""One request, one decoded answer, and a name for each way of getting none."""

from collections.abc import Callable, Mapping

from msgspec import DecodeError
from nats.errors import Error, NoRespondersError

from chassis.core_nats.client import CoreNats


class AskError(Error):
    """There is no answer that can be used; the text says why, and quotes nothing that was sent."""


class NobodyListensError(AskError):
    """Nobody got the request."""


class NoAnswerError(AskError):
    """Somebody may have got the request, and has not answered in time."""


class UnusableAnswerError(AskError):
    """The answer is not what was asked for: nonsense, or an error."""


async def ask[Answer](
    client: CoreNats,
    subject: str,
    decode: Callable[[bytes], Answer],
    *,
    seconds: float,
    payload: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request and wait this long for its one answer.

    Raises:
        AskError: one of the kinds above; or whatever `decode` raises of its own.
    """
    try:
        answer = await client.request(subject, payload, seconds=seconds, headers=headers)
    except NoRespondersError:
        raise NobodyListensError("nobody listens") from None
    except Error as error:
        raise NoAnswerError(type(error).__name__) from error
    try:
        return decode(answer)
    except (DecodeError, ValueError, RecursionError) as error:
        # `from None`: what a decoder says may quote what was sent, which may be a person's.
        raise UnusableAnswerError(type(error).__name__) from None
