"""Hands one mail to the SMTP server and says whether trying again can help."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
import structlog
from chassis.setting_types import is_loopback

from notifier.mail.refusals import Step, codes_of, is_final

CONNECT_TIMEOUT_SECONDS: Final = 10.0
COMMAND_TIMEOUT_SECONDS: Final = 30.0
"""Some servers look the recipient up elsewhere before they answer."""
DATA_TIMEOUT_SECONDS: Final = 100.0
"""Whoever stops waiting for this answer may send twice what was taken (RFC 5321, 4.5.3.2.6 asks for ten minutes)."""
DELIVERY_TIMEOUT_SECONDS: Final = 150.0
GOODBYE_TIMEOUT_SECONDS: Final = 2.0

log = structlog.get_logger()


class TransientMailError(Exception):
    """The mail may get through later. The text names codes alone: servers repeat addresses in their answers."""


class UncertainMailError(TransientMailError):
    """The server may have taken the mail: no answer came after it was handed over."""


class MailServerError(TransientMailError):
    """Nothing about this mail: the server can't be reached, or refuses our sign-in or our sender address."""


class PermanentMailError(Exception):
    """The server will never take this mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mails go. `start_tls` None upgrades where the server offers it, True insists, False never does."""

    host: str
    port: int
    use_tls: bool
    start_tls: bool | None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read `smtp://user:password@host:587?starttls=1` or `smtps://…`.

        Raises:
            ValueError: not such a URL, or credentials that would cross a network in the clear.
        """
        parts = urlsplit(url)
        start_tls = {"1": True, "0": False, "": None}.get(parse_qs(parts.query).get("starttls", [""])[-1], ...)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or start_tls is ...:
            raise ValueError("must be smtp://user:password@host:port?starttls=1 or smtps://…")
        use_tls = parts.scheme == "smtps"
        encrypted = use_tls or start_tls is True
        if parts.username and not encrypted and not is_loopback(parts.hostname):
            raise ValueError("must be smtps:// or have ?starttls=1, since it holds credentials")
        return cls(
            host=parts.hostname,
            port=parts.port or (465 if use_tls else 587 if start_tls else 25),
            use_tls=use_tls,
            start_tls=False if use_tls else start_tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


type Writing = Callable[[], Awaitable[EmailMessage | None]]
"""Writes the mail at the last moment, when the server waits for it; None: there is nothing to send any more."""


async def send_mail(server: SmtpServer, write: Writing, *, sender: str, recipient: str) -> bool:
    """Deliver over a connection of its own; returns once the server has taken responsibility, or False: not written.

    The mail is written after the server has accepted the recipient, so what it says is as old as its way there.
    What counts as final is judged in `refusals`. A recipient with UTF-8 in the local part is sent by SMTPUTF8
    (RFC 6531), which the server must offer.

    Raises:
        MailServerError: no mail can be sent now.
        UncertainMailError: it may be on its way; the same mail is to be handed over again.
        TransientMailError: the server has not got this one; try again later.
        PermanentMailError: this mail will never be taken.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.use_tls,
        start_tls=server.start_tls,
        username=server.user,
        password=server.password,
        timeout=COMMAND_TIMEOUT_SECONDS,
    )
    try:
        has_sent = await _converse(client, write, sender, recipient)
        await _say_goodbye(client)
        return has_sent
    finally:
        client.close()


async def _converse(client: aiosmtplib.SMTP, write: Writing, sender: str, recipient: str) -> bool:
    loop = asyncio.get_running_loop()
    handed_over = False
    try:
        async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS) as allowed:
            ends_at = loop.time() + DELIVERY_TIMEOUT_SECONDS
            await _connect(client)
            await _address(client, sender, recipient)
            mail = await write()
            if mail is None:
                return False
            if loop.time() >= ends_at:  # a process that was frozen may have lost the mail to another meanwhile
                raise TransientMailError("timeout")
            handed_over = True
            await _hand_over(client, mail, utf8=not recipient.isascii())
            return True
    except TimeoutError as error:
        if allowed.expired():
            raise (UncertainMailError if handed_over else TransientMailError)("timeout") from error
        raise


async def _connect(client: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):  # for all of its steps together
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
    except aiosmtplib.SMTPResponseException as error:
        raise MailServerError(f"{Step.CONNECT} {codes_of(error.code, error.message)}") from error
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise MailServerError(f"{Step.CONNECT} {type(error).__name__}") from error


async def _address(client: aiosmtplib.SMTP, sender: str, recipient: str) -> None:
    utf8 = not recipient.isascii()
    if utf8 and not client.supports_extension("smtputf8"):
        raise PermanentMailError("recipient needs SMTPUTF8, which the mail server does not offer")
    options = ["SMTPUTF8"] if utf8 else []
    if client.supports_extension("8bitmime"):
        options.append("BODY=8BITMIME")
    try:
        await client.mail(sender, options=options)
        await client.rcpt(recipient, encoding="utf-8" if utf8 else "ascii")
    except aiosmtplib.SMTPSenderRefused as error:
        refused = f"{Step.SENDER} {codes_of(error.code, error.message)}"
        # With such a recipient it may be the address form that this server refuses, which concerns no other mail.
        raise (TransientMailError if utf8 else MailServerError)(refused) from error
    except aiosmtplib.SMTPRecipientRefused as error:
        raise _judged(Step.RECIPIENT, error.code, error.message) from error
    except aiosmtplib.SMTPResponseException as error:
        raise TransientMailError(f"session {codes_of(error.code, error.message)}") from error
    except ValueError as error:
        raise PermanentMailError("an address that cannot be sent to") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TransientMailError(f"session {type(error).__name__}") from error


async def _hand_over(client: aiosmtplib.SMTP, mail: EmailMessage, *, utf8: bool) -> None:
    policy = SMTPUTF8 if utf8 else SMTP
    if not client.supports_extension("8bitmime"):
        policy = policy.clone(cte_type="7bit")
    try:
        await client.data(mail.as_bytes(policy=policy), timeout=DATA_TIMEOUT_SECONDS)
    except aiosmtplib.SMTPDataError as error:
        raise _judged(Step.DATA, error.code, error.message) from error
    except aiosmtplib.SMTPResponseException as error:
        raise TransientMailError(f"session {codes_of(error.code, error.message)}") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise UncertainMailError(f"session {type(error).__name__}") from error


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    """What was sent is taken: whatever happens here must not send it again."""
    try:
        async with asyncio.timeout(GOODBYE_TIMEOUT_SECONDS):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        log.debug("goodbye_not_answered", error=type(error).__name__)


def _judged(step: Step, code: int, message: str) -> TransientMailError | PermanentMailError:
    error = PermanentMailError if is_final(step, code, message) else TransientMailError
    return error(f"{step} {codes_of(code, message)}")
