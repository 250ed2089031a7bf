"""Hands one mail to the SMTP server and says whether trying again can help."""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

CONNECT_TIMEOUT_SECONDS: Final = 10.0
DELIVERY_TIMEOUT_SECONDS: Final = 30.0
_AUTHENTICATION_REQUIRED: Final = 530
_ENHANCED_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")


class TransientMailError(Exception):
    """The mail may get through later. The text names codes alone: servers repeat addresses in their answers."""


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

    An answer about this mail or its recipient with a 5xx code is final. What concerns connection, TLS, sign-in or
    sender would fail every mail alike, so it counts as passing whatever its code: a wrong password must not throw
    away everyone's mails.

    Raises:
        TransientMailError: try again later.
        PermanentMailError: this mail will never be taken.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.use_tls,
        start_tls=server.start_tls,
        username=server.user,
        password=server.password,
        timeout=CONNECT_TIMEOUT_SECONDS,
    )
    try:
        async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
            await _connect(client)
            await _deliver(client, mail, sender, recipient)
            # The mail is taken: whatever happens while saying goodbye must not send it again.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit()
    except TimeoutError as error:
        raise TransientMailError("timeout") from error
    finally:
        client.close()


async def _connect(client: aiosmtplib.SMTP) -> None:
    try:
        await client.connect()
    except aiosmtplib.SMTPResponseException as error:
        raise TransientMailError(f"connect {_reason(error.code, error.message)}") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TransientMailError(f"connect {type(error).__name__}") from error


async def _deliver(client: aiosmtplib.SMTP, mail: EmailMessage, sender: str, recipient: str) -> None:
    try:
        await client.send_message(mail, sender=sender, recipients=[recipient])
    except aiosmtplib.SMTPRecipientsRefused as error:
        refusal = error.recipients[0]
        raise _judged("recipient", refusal.code, refusal.message) from error
    except aiosmtplib.SMTPSenderRefused as error:
        raise TransientMailError(f"sender {_reason(error.code, error.message)}") from error
    except aiosmtplib.SMTPDataError as error:
        raise _judged("data", error.code, error.message) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise PermanentMailError("recipient needs SMTPUTF8") from error
    except aiosmtplib.SMTPResponseException as error:
        raise TransientMailError(f"session {_reason(error.code, error.message)}") from error
    except ValueError as error:
        raise PermanentMailError("an address that cannot be sent to") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TransientMailError(f"session {type(error).__name__}") from error


def _judged(step: str, code: int, message: str) -> TransientMailError | PermanentMailError:
    reason = f"{step} {_reason(code, message)}"
    final = 500 <= code < 600 and code != _AUTHENTICATION_REQUIRED
    return PermanentMailError(reason) if final else TransientMailError(reason)


def _reason(code: int, message: str) -> str:
    enhanced = _ENHANCED_STATUS.match(message)
    return f"{code} {enhanced[0]}" if enhanced else str(code)
