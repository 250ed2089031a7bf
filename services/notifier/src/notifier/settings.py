"""All that the notifier reads from the environment."""

from email.headerregistry import Address
from pathlib import Path

from chassis.setting_types import DatabaseUrl, NatsUrl, Port
from language.settings import PresentationSettings
from pydantic import Field, field_validator

from notifier.mail.smtp import SmtpServer


class NotifierSettings(PresentationSettings):
    """The notifier's settings; `smtp_url` is `smtp://user:password@host:587?starttls=1` or `smtps://…`."""

    notifier_port: Port = 8003
    database_url: DatabaseUrl
    nats_url: NatsUrl
    smtp_url: str = Field(repr=False, description="set it to smtp://user:password@host:587?starttls=1")
    mail_from: str = Field(description="set it to the address that mails come from")
    smtp_connections: int = Field(default=16, ge=1, le=200)
    """Mails that are on their way at the same time; some servers take few connections of one sender."""
    catalog: Path | None = None
    """The file whose names of plans and packages mails show; without it they show their own names."""
    alert_window_seconds: float = Field(default=10.0, ge=0, le=3600)
    """What becomes due for one account within this time is one mail."""

    @field_validator("mail_from")
    @classmethod
    def _one_address(cls, value: str) -> str:
        try:
            address = Address(addr_spec=value)
        except Exception as error:  # the parser raises IndexError and others besides its own errors
            raise ValueError("must be one bare address such as solaris@example.com") from error
        if not address.domain or not value.isascii():
            raise ValueError("must be one bare ASCII address such as solaris@example.com")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _readable_smtp_url(cls, value: str) -> str:
        SmtpServer.from_url(value)
        return value

    @property
    def smtp_server(self) -> SmtpServer:
        return SmtpServer.from_url(self.smtp_url)
