"""Which answers of a mail server end a mail, which delay it, and which do not matter any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import EmailMessage

import pytest
from local_run.ports import any_free
from notifier.mail import smtp
from notifier.mail.addresses import usable_address
from notifier.mail.smtp import MailServerError, PermanentMailError, SmtpServer, TransientMailError, send_mail

from tests.integration.notifier.mailbox import new_mailbox

TAKES_ALL = {
    "": "220 ready",
    "EHLO": "250-localhost\r\n250 AUTH PLAIN LOGIN",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    ".": "250 2.0.0 taken",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}
HANG_UP = "hang up"
SILENT = "silent"


@contextlib.asynccontextmanager
async def scripted(**answers: str) -> AsyncIterator[tuple[SmtpServer, list[str]]]:
    """A server that answers each command by the table, and what it heard; `greeting` and `dot` name the odd two."""
    table = TAKES_ALL | {{"greeting": "", "dot": "."}.get(verb, verb.upper()): text for verb, text in answers.items()}
    heard: list[str] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        in_data, verb = False, ""
        try:
            while table[verb] != HANG_UP:
                if table[verb] == SILENT:
                    await reader.read()
                    return
                writer.write(table[verb].encode() + b"\r\n")
                in_data = verb == "DATA" and table[verb].startswith("354")
                line = (await reader.readline()).decode().strip()
                while in_data and line != ".":
                    line = (await reader.readline()).decode().strip()
                if not line:
                    return
                verb = line if in_data else line.split()[0].upper()
                heard.append(verb)
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield SmtpServer(host="127.0.0.1", port=port, use_tls=False, start_tls=None, user="u", password="p"), heard


def mail(to: str = "b@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@solaris.example", usable_address(to), "Hello"
    message.set_content("Hello")
    return message


async def send(server: SmtpServer, to: str = "b@example.com") -> bool:
    async def write() -> EmailMessage:
        return mail(to)

    return await send_mail(server, write, sender="a@solaris.example", recipient=to)


async def test_a_taken_mail_is_sent_whatever_follows() -> None:
    for goodbye in ("221 bye", "421 go away", HANG_UP):
        async with scripted(quit=goodbye) as (server, heard):
            assert await send(server)
            assert heard[-2:] == [".", "QUIT"]


async def test_the_mail_is_written_once_the_recipient_is_accepted_and_none_is_sent_where_there_is_none() -> None:
    async with scripted() as (server, heard):

        async def write() -> None:
            assert heard[-1] == "RCPT"

        assert not await send_mail(server, write, sender="a@solaris.example", recipient="b@example.com")
        assert heard[-2:] == ["RCPT", "QUIT"]


async def test_a_goodbye_that_never_comes_does_not_undo_a_taken_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "GOODBYE_TIMEOUT_SECONDS", 0.1)
    async with scripted(quit=SILENT) as (server, heard):
        assert await send(server)
        assert heard[-2:] == [".", "QUIT"]


async def test_what_fails_while_writing_is_not_taken_for_the_server_s() -> None:
    for error in (TimeoutError(), OSError("database"), KeyError("x")):
        async with scripted() as (server, _):

            async def write(error: Exception = error) -> EmailMessage:
                raise error

            with pytest.raises(type(error)) as raised:
                await send_mail(server, write, sender="a@solaris.example", recipient="b@example.com")
            assert raised.value is error


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"rcpt": "550 5.1.1 <b@example.com> unknown"}, "recipient 550 5.1.1"),
        ({"rcpt": "553 b@example.com not allowed"}, "recipient 553"),
        ({"rcpt": "556 5.1.10 <b@example.com> null MX"}, "recipient 556 5.1.10"),
        ({"dot": "550 5.1.1 b@example.com unknown"}, "data 550 5.1.1"),
    ],
)
async def test_a_final_answer_about_the_recipient_is_permanent_and_quotes_no_address(
    answers: dict[str, str], reason: str
) -> None:
    async with scripted(**answers) as (server, _):
        with pytest.raises(PermanentMailError) as refused:
            await send(server)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"rcpt": "450 4.2.1 busy"}, "recipient 450 4.2.1"),
        ({"rcpt": "530 5.7.0 authentication required"}, "recipient 530 5.7.0"),
        ({"dot": "452 4.3.1 full"}, "data 452 4.3.1"),
        ({"rcpt": "554 5.7.1 <b@example.com>: Relay access denied"}, "recipient 554 5.7.1"),
        ({"rcpt": "552 5.2.2 mailbox full"}, "recipient 552 5.2.2"),
        ({"dot": "550 5.7.26 unauthenticated"}, "data 550 5.7.26"),
        ({"dot": "554 Message rejected: Email address is not verified."}, "data 554"),
        ({"dot": "554 5.7.1 looks like spam to b@example.com"}, "data 554 5.7.1"),
        ({"rcpt": HANG_UP}, "session SMTPServerDisconnected"),
        ({"dot": HANG_UP}, "session SMTPServerDisconnected"),
    ],
)
async def test_what_may_pass_is_transient(answers: dict[str, str], reason: str) -> None:
    async with scripted(**answers) as (server, _):
        with pytest.raises(TransientMailError) as refused:
            await send(server)
    assert str(refused.value) == reason
    assert not isinstance(refused.value, MailServerError)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"auth": "535 5.7.8 wrong password"}, "connect 535 5.7.8"),
        ({"mail": "550 5.7.1 sender not yours"}, "sender 550 5.7.1"),
        ({"mail": "553 5.1.8 sender not verified"}, "sender 553 5.1.8"),
        ({"mail": "421 4.7.0 too many mails"}, "sender 421 4.7.0"),
        ({"greeting": "554 no service"}, "connect 554"),
        ({"greeting": HANG_UP}, "connect SMTPConnectError"),
    ],
)
async def test_what_would_refuse_every_mail_is_told_apart(answers: dict[str, str], reason: str) -> None:
    async with scripted(**answers) as (server, _):
        with pytest.raises(MailServerError) as refused:
            await send(server)
    assert str(refused.value) == reason


async def test_an_address_in_utf8_is_sent_where_the_server_offers_it_and_else_says_what_is_missing() -> None:
    with new_mailbox() as mailbox:
        assert await send(SmtpServer.from_url(mailbox.url), to="jörg@example.com")
    assert mailbox.recipients == ["jörg@example.com"]
    # Python's parser keeps the bytes of an address that is not ASCII as surrogates.
    assert str(mailbox.mails[0]["To"]).encode(errors="surrogateescape").decode() == "jörg@example.com"
    async with scripted() as (server, heard):
        with pytest.raises(PermanentMailError, match="SMTPUTF8"):
            await send(server, to="jörg@example.com")
    assert "MAIL" not in heard


async def test_a_server_that_is_silent_or_absent_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "CONNECT_TIMEOUT_SECONDS", 0.3)
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", 0)
    ports = [silent.sockets[0].getsockname()[1], any_free()]
    async with silent:
        for port in ports:
            with pytest.raises(MailServerError):
                await send(SmtpServer(host="127.0.0.1", port=port, use_tls=False, start_tls=None))
        for writer in held:  # Python 3.12 waits for them
            writer.close()


async def test_a_server_that_falls_silent_in_the_middle_is_transient_and_holds_up_no_other_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smtp, "DELIVERY_TIMEOUT_SECONDS", 0.3)
    for step in ("rcpt", "dot"):
        async with scripted(**{step: SILENT}) as (server, _):
            with pytest.raises(TransientMailError, match="timeout") as refused:
                await send(server)
            assert not isinstance(refused.value, MailServerError)


async def test_demanded_encryption_is_never_given_up() -> None:
    async with scripted() as (server, heard):
        demanding = replace(server, start_tls=True)
        with pytest.raises(TransientMailError):
            await send(demanding)
    assert "AUTH" not in heard
    assert "MAIL" not in heard
