"""What a service refuses to start with, and says so by the variable's name."""

import pytest
from chassis.setting_types import NatsUrl
from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    nats_url: NatsUrl = ""


@pytest.mark.parametrize(
    "url", ["", "nats://127.0.0.1:4222", "nats://ana:secret@nats.example", "tls://nats.example:4443"]
)
def test_urls_of_nats_servers_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SOLARIS_NATS_URL", url)
    assert Settings.load().nats_url == url


@pytest.mark.parametrize(
    "url", ["127.0.0.1:4222", "nats.example", "http://nats.example", "nats://", "nats://:4222", "  "]
)
def test_anything_else_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SOLARIS_NATS_URL", url)
    with pytest.raises(SystemExit, match=r"^cannot start: SOLARIS_NATS_URL: .*must be nats://") as refusal:
        Settings.load()
    assert "example" not in str(refusal.value)
