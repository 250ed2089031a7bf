"""What the notifier refuses to start with, and how it reads the mail server's address."""

import pytest
from notifier.mail.smtp import SmtpServer
from notifier.settings import NotifierSettings

REQUIRED = {
    "SOLARIS_DATABASE_URL": "postgresql://solaris@127.0.0.1/solaris",
    "SOLARIS_NATS_URL": "nats://127.0.0.1:4222",
    "SOLARIS_SMTP_URL": "smtp://127.0.0.1:1025",
    "SOLARIS_MAIL_FROM": "avisos@solaris.example",
}


@pytest.fixture(autouse=True)
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


def test_the_url_names_server_sign_in_and_encryption() -> None:
    assert SmtpServer.from_url("smtp://us%40er:p%3Ass@mail.example:2525?starttls=1") == SmtpServer(
        host="mail.example", port=2525, use_tls=False, start_tls=True, user="us@er", password="p:ss"
    )
    assert SmtpServer.from_url("smtps://mail.example") == SmtpServer(
        host="mail.example", port=465, use_tls=True, start_tls=False
    )
    assert SmtpServer.from_url("smtp://mail.example?starttls=1").port == 587
    assert SmtpServer.from_url("smtp://127.0.0.1:1025").start_tls is None
    assert SmtpServer.from_url("smtp://mail.example?starttls=0").start_tls is False


@pytest.mark.parametrize(
    "url", ["", "http://mail.example", "smtp://", "smtp://mail.example?starttls=maybe", "smtp://u:p@mail.example:25"]
)
def test_an_unusable_mail_server_stops_the_start_and_shows_no_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARIS_SMTP_URL", url)
    with pytest.raises(SystemExit) as stopped:
        NotifierSettings.load()
    assert "SOLARIS_SMTP_URL" in str(stopped.value)
    assert "u:p" not in str(stopped.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOLARIS_MAIL_FROM", "nobody"),
        ("SOLARIS_MAIL_FROM", "a@b.example\r\nBcc: c@d.example"),
        ("SOLARIS_MAIL_FROM", "Ana <a@b.example>"),
        ("SOLARIS_BRAND", "x\r\ny"),
        ("SOLARIS_BRAND", " "),
        ("SOLARIS_PUBLIC_URL", "javascript:alert(1)"),
        ("SOLARIS_NOTIFIER_PORT", "0"),
    ],
)
def test_unusable_values_stop_the_start_and_name_their_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=name):
        NotifierSettings.load()


def test_secrets_stay_out_of_a_printed_settings_object() -> None:
    assert "1025" not in repr(NotifierSettings.load())
    assert "secret" not in repr(SmtpServer.from_url("smtps://u:secret@mail.example"))
