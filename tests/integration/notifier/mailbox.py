"""A real SMTP server that keeps what it takes, and refuses what a test tells it to."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from local_run.ports import any_free


@dataclass
class Mailbox:
    """`recipient_answers` and `data_answers` are used up one by one, then all is taken.

    `hold_answers` keeps the server from answering after it has stored a mail; recipients in `slow` get no answer
    while they are there. `at_once` and `most_at_once` count conversations that wait for such an answer.
    """

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    recipient_answers: list[str] = field(default_factory=list)
    data_answers: list[str] = field(default_factory=list)
    hold_answers: bool = False
    slow: set[str] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0
    takes_utf8: bool = True

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def kinds(self) -> list[str]:
        return [str(mail["X-Solaris-Kind"]) for mail in self.mails]

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            while address in self.slow:  # noqa: ASYNC110  as below
                await asyncio.sleep(0.01)
        finally:
            self.at_once -= 1
        if self.recipient_answers:
            return self.recipient_answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data_answers:
            return self.data_answers.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.extend(envelope.rcpt_tos)
        while self.hold_answers:  # noqa: ASYNC110  set from another thread, so no event of this loop
            await asyncio.sleep(0.01)
        return "250 taken"


@contextmanager
def serving(mailbox: Mailbox) -> Iterator[Mailbox]:
    """The server, for the length of the block; the same mailbox may be served again."""
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, enable_SMTPUTF8=mailbox.takes_utf8)
    controller.start()
    try:
        yield mailbox
    finally:
        mailbox.hold_answers = False
        mailbox.slow.clear()
        controller.stop()


@contextmanager
def new_mailbox() -> Iterator[Mailbox]:
    with serving(Mailbox(port=any_free())) as mailbox:
        yield mailbox
