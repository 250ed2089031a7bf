"""Hands one mail to the SMTP server and says whether trying again can help."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from notifier.mail.refusals import Step, codes_of, is_final

CONNECT_TIMEOUT_SECONDS: Final = 10.0
DELIVERY_TIMEOUT_SECONDS: Final = 30.0


class TransientMailError(Exception):
    """The mail may get through later. The text names codes alone: servers repeat addresses in their answers."""


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
        if parts.username and not encrypted and not _is_loopback(parts.hostname):
            raise ValueError("credentials need smtps:// or ?starttls=1")
        return cls(
            host=parts.hostname,
            port=parts.port or (465 if use_tls else 587 if start_tls else 25),
            use_tls=use_tls,
            start_tls=False if use_tls else start_tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def send_mail(server: SmtpServer, mail: EmailMessage, *, sender: str, recipient: str) -> None:
    """Deliver over a connection of its own; returns once the server has taken responsibility.

    What counts as final is judged in `refusals`. A recipient with UTF-8 in the local part is sent by SMTPUTF8
    (RFC 6531), which the server must offer.

    Raises:
        MailServerError: no mail can be sent now.
        TransientMailError: try this one again later.
        PermanentMailError: this mail will never be taken.
    """
    client = _Conversation(
        hostname=server.host,
        port=server.port,
        use_tls=server.use_tls,
        start_tls=server.start_tls,
        username=server.user,
        password=server.password,
        timeout=CONNECT_TIMEOUT_SECONDS,
    )
    try:
        async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS) as allowed:
            await _connect(client)
            client.data_until = allowed.when()
            await _deliver(client, mail, sender, recipient)
            # The mail is taken: whatever happens while saying goodbye must not send it again.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit()
    except TimeoutError as error:
        raise TransientMailError("timeout") from error
    finally:
        client.close()


class _Conversation(aiosmtplib.SMTP):
    """Hands the mail over only within its time: a process that was frozen may have lost it to another meanwhile."""

    data_until: float | None = None

    async def data(self, *arguments: Any, **options: Any) -> Any:  # as aiosmtplib's own
        if self.data_until is not None and asyncio.get_running_loop().time() >= self.data_until:
            raise TimeoutError
        return await super().data(*arguments, **options)


async def _connect(client: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):  # each of its steps has that time, and together they have
            await client.connect()
    except aiosmtplib.SMTPResponseException as error:
        raise MailServerError(f"{Step.CONNECT} {codes_of(error.code, error.message)}") from error
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise MailServerError(f"{Step.CONNECT} {type(error).__name__}") from error


async def _deliver(client: aiosmtplib.SMTP, mail: EmailMessage, sender: str, recipient: str) -> None:
    try:
        await client.send_message(mail, sender=sender, recipients=[recipient])
    except aiosmtplib.SMTPRecipientsRefused as error:
        refusal = error.recipients[0]
        raise _judged(Step.RECIPIENT, refusal.code, refusal.message) from error
    except aiosmtplib.SMTPSenderRefused as error:
        refused = f"{Step.SENDER} {codes_of(error.code, error.message)}"
        # With such a recipient it may be the address form that this server refuses, which concerns no other mail.
        raise (MailServerError if recipient.isascii() else TransientMailError)(refused) from error
    except aiosmtplib.SMTPDataError as error:
        raise _judged(Step.DATA, error.code, error.message) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise PermanentMailError("recipient needs SMTPUTF8, which the mail server does not offer") from error
    except aiosmtplib.SMTPResponseException as error:
        raise TransientMailError(f"session {codes_of(error.code, error.message)}") from error
    except ValueError as error:
        raise PermanentMailError("an address that cannot be sent to") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TransientMailError(f"session {type(error).__name__}") from error


def _judged(step: Step, code: int, message: str) -> TransientMailError | PermanentMailError:
    error = PermanentMailError if is_final(step, code, message) else TransientMailError
    return error(f"{step} {codes_of(code, message)}")
