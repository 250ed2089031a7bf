"""The mailbox keeps the last mails, whatever they hold."""

from pathlib import Path

import pytest
from local_run.mailbox.page import render_page
from local_run.mailbox.store import MailStore, describe

MAIL = (
    b"From: IA SOLARIS <a@solaris.localhost>\r\nTo: ana@example.com\r\nSubject: =?utf-8?q?Ol=C3=A1?=\r\n"
    b"X-Solaris-Kind: threshold-80\r\nMessage-ID: <1@solaris.localhost>\r\n\r\nTexto\r\n"
)
MANGLED = [
    b"",
    b"\xff\xfe\x00",
    b"Subject: =?x-unknown?b?////?=\r\n\r\n",
    b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff\xff",
    b"To: <<>>,,@\r\nFrom: @\r\nDate: yesterday\r\n\r\nx",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
]


def test_a_mail_is_listed_with_its_kind_and_survives_a_restart(tmp_path: Path) -> None:
    identifier = MailStore(tmp_path).add(MAIL)
    (summary,) = MailStore(tmp_path).newest_first()
    assert (summary.id, summary.subject, summary.to, summary.kind) == (
        identifier,
        "Olá",
        "ana@example.com",
        "threshold-80",
    )
    assert MailStore(tmp_path).read(identifier) == MAIL


def test_only_the_last_mails_are_kept(tmp_path: Path) -> None:
    store = MailStore(tmp_path, kept_messages=3)
    identifiers = [store.add(MAIL) for _ in range(5)]
    assert [item.id for item in store.newest_first()] == identifiers[:1:-1]
    assert len(list(tmp_path.glob("*.eml"))) == 3


def test_an_unfinished_file_of_a_killed_mailbox_is_removed(tmp_path: Path) -> None:
    (tmp_path / "1.unfinished").write_bytes(b"half")
    MailStore(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", MANGLED)
def test_mangled_mails_are_kept_and_shown(tmp_path: Path, content: bytes) -> None:
    store = MailStore(tmp_path)
    store.add(content)
    (summary,) = store.newest_first()
    assert render_page([summary], describe(summary, content))


def test_a_mails_markup_is_shown_as_text_on_our_own_page(tmp_path: Path) -> None:
    store = MailStore(tmp_path)
    store.add(b"Subject: <script>alert(1)</script>\r\nTo: <img src=x>\r\n\r\n<b>hi</b> <!--items-->")
    (summary,) = store.newest_first()
    page = render_page([summary], describe(summary, store.read(summary.id) or b""))
    assert "<script>alert" not in page
    assert "<b>hi</b>" not in page
    assert "&lt;script&gt;alert(1)" in page
