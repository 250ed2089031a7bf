"""The mailbox's SMTP side: takes every mail that fits, for whomever it is."""

from aiosmtpd.smtp import SMTP, Envelope, Session

from local_run.mailbox.store import MailStore

MAX_MAIL_BYTES = 10 * 1024 * 1024


class Receiver:
    """aiosmtpd's handler; a mail that can't be kept is refused for now, so that the sender tries again."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        recipients = ", ".join(envelope.rcpt_tos)
        try:
            identifier = self._store.add(f"Delivered-To: {recipients}\r\n".encode() + content)
        except OSError as error:
            return f"451 cannot keep the mail now: {error.strerror}"
        return f"250 kept as {identifier}"


def smtp_protocol(store: MailStore) -> SMTP:
    """One connection's protocol."""
    return SMTP(
        Receiver(store),
        data_size_limit=MAX_MAIL_BYTES,
        enable_SMTPUTF8=True,
        hostname="solaris.localhost",
        ident="Solaris",
    )
