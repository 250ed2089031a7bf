"""Every setting of every service, wrong: one line names the variable, its value where it is no secret, a remedy."""

import enum
from collections.abc import Iterator
from pathlib import Path

import pytest
from billing.settings import BillingSettings
from catalog import CatalogError
from chassis.migrate import MigrationSettings
from chassis.setting_types import DEVELOPMENT_KEY
from chassis.settings import ServiceSettings, SettingsError
from gateway.settings import GatewaySettings
from ledger.catalog_file import load_policy
from ledger.projector.settings import ProjectorSettings
from ledger.settings import LedgerSettings
from notifier.settings import NotifierSettings

DATABASE_URL = "postgresql://ana:hidden@127.0.0.1/solaris"
NATS_URL = "nats://ana:hidden@127.0.0.1:4222"
RIGHT: dict[type[ServiceSettings], dict[str, str]] = {
    GatewaySettings: {
        "SOLARIS_NATS_URL": NATS_URL,
        "SOLARIS_UPSTREAM_URL": "http://127.0.0.1:4000",
        "SOLARIS_GATEWAY_KEYS": "sk-of-a-librechat",
        "SOLARIS_GATEWAY_SECRET": "0123456789abcdef",
    },
    LedgerSettings: {"SOLARIS_DATABASE_URL": DATABASE_URL, "SOLARIS_NATS_URL": NATS_URL},
    ProjectorSettings: {"SOLARIS_DATABASE_URL": DATABASE_URL, "SOLARIS_NATS_URL": NATS_URL},
    NotifierSettings: {
        "SOLARIS_DATABASE_URL": DATABASE_URL,
        "SOLARIS_NATS_URL": NATS_URL,
        "SOLARIS_SMTP_URL": "smtp://127.0.0.1:1025",
        "SOLARIS_MAIL_FROM": "avisos@solaris.example",
    },
    BillingSettings: {
        "SOLARIS_DATABASE_URL": DATABASE_URL,
        "SOLARIS_NATS_URL": NATS_URL,
        "SOLARIS_GATEWAY_KEYS": "sk-of-a-librechat",
        "SOLARIS_STRIPE_API_KEY": "sk_test_hidden",
        "SOLARIS_STRIPE_WEBHOOK_SECRETS": "whsec_hidden-9d41ce27f05ba863",
    },
    MigrationSettings: {"SOLARIS_DATABASE_URL": DATABASE_URL},
}
WRONG_TEXTS = {
    "host": ["my computer", "127.0.0.1:8000", "http://127.0.0.1", "300.1.1.1"],
    "log_level": ["loud", "inf"],
    "time_zone": ["America/Sao_paulo", "America", "../etc/passwd", "UTC+3", "-"],
    "locale": ["klingon", "fr", "pt-BRA"],
    "brand": ["   ", "x" * 61, "IA\r\nBcc: ana"],
    "public_url": ["solaris.example", "javascript:alert(1)", "http://", "http://a:99999", "https://a b"],
    "purchase_url": [
        *("solaris.example/buy", "javascript:alert(1)", "http://"),
        *("https://solaris.example", "https://solaris.example/buy?t=", "https://solaris.example/buy/now"),
    ],
    "upstream_url": ["127.0.0.1:4000", "ftp://litellm", "http://litellm:port", "http://" + "x" * 130],
    "database_url": ["127.0.0.1", "mysql://u:hidden@db/x", "postgresql://db", "postgresql://u:hidden@db:99999/x"],
    "nats_url": ["127.0.0.1:4222", "http://u:hidden@nats", "nats://u:hidden@nats:99999", "nats://a,b"],
    "smtp_url": ["mail.example", "smtp://u:hidden@mail.example:99999", "smtp://u:hidden@mail.example:25"],
    "mail_from": ["nobody", "Ana <a@b.example>", "a@b.example\r\nBcc: c@d.example"],
    "gateway_keys": ["short", "long-enough-key,short", "aaaaaaaaaaaaaaaaaaaa", " , "],
    "metrics_token": ["short", "aaaaaaaaaaaaaaaaaaaaaaaa"],
    "link_keys": ["short", "aaaaaaaaaaaaaaaaaaaaaaaa", " , "],
    "stripe_api_key": ["pk_test_hidden", "hidden"],
    "stripe_webhook_secrets": ["hidden", "whsec_hidden", "whsec_", "whsec_9d41ce27f05ba863,we_hidden"],
    "stripe_api_base": ["127.0.0.1:8012", "ftp://stripe", "http://"],
    "checkout_origins": ["pay.example.com", "http://pay.example.com", "https://pay.example.com/x"],
    "trusted_proxies": ["*", "0.0.0.0/0", "nginx", "10.0.0.7:8080", "10.0.0.7/8"],
    "chat_url": ["chat.example.com", "javascript:alert(1)", "http://"],
    "gateway_secret": ["short", "aaaaaaaaaaaaaaaaaaaaaaaa"],
    "checkpoint_key": ["hidden", "0" * 63, "g" * 64, "0" * 65],
    "checkpoint_public_keys": ["0" * 63, "0" * 64 + ",x"],
    "checkpoints": ["s3://", "s3:///solaris", "http://s3/solaris", "gs://bucket"],
    "litellm_url": ["127.0.0.1:4000", "ftp://litellm", "http://"],
    "litellm_callback_keys": ["short", "aaaaaaaaaaaaaaaaaaaaaaaa", " , "],
    "checkpoints_s3_url": ["127.0.0.1:9000", "ftp://s3", "http://"],
}
ANY_TEXT = {
    *("instance", "data_dir", "catalog", "default_plan", "upstream_api_key"),
    *("checkpoint_key_file", "checkpoints_s3_region", "checkpoints_s3_key_id", "checkpoints_s3_secret", "litellm_key"),
}
"""Right by themselves; the catalog and the plan are looked up (see below), files and folders are tried by whoever uses
them."""


def _variable(name: str) -> str:
    return "SOLARIS_TIMEZONE" if name == "time_zone" else f"SOLARIS_{name.upper()}"


def _wrong_values(settings: type[ServiceSettings], name: str) -> list[str]:
    """Texts that can't be right for a field, by its name or by what its type is."""
    if name in WRONG_TEXTS:
        return WRONG_TEXTS[name]
    annotation = settings.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ["bsic", "ON"]
    if annotation is bool:
        return ["maybe"]
    if "int" in str(annotation):
        return ["abc", "1.5", "-1", "1e400"]
    if "float" in str(annotation):
        return ["abc", "nan", "inf", "-1"]
    raise AssertionError(f"{settings.__name__}.{name}: say in this test what is no right value for it")


def _cases() -> Iterator[tuple[type[ServiceSettings], str, str]]:
    for settings in RIGHT:
        for name in sorted(settings.model_fields.keys() - ANY_TEXT):
            for value in _wrong_values(settings, name):
                yield settings, name, value


@pytest.mark.parametrize("settings", RIGHT)
def test_what_is_right_is_taken(settings: type[ServiceSettings]) -> None:
    assert settings.read(RIGHT[settings]) == settings.read(RIGHT[settings] | {"SOLARIS_LOCALE": ""})


@pytest.mark.parametrize(("settings", "name", "value"), list(_cases()))
def test_a_wrong_value_is_named_with_what_to_do(settings: type[ServiceSettings], name: str, value: str) -> None:
    variable = _variable(name)
    with pytest.raises(SettingsError) as refused:
        settings.read(RIGHT[settings] | {variable: value})
    told = str(refused.value)
    assert told.isprintable()  # one line
    assert told.startswith(variable)
    assert "hidden" not in told
    assert any(word in told for word in ("must ", "use ")), told
    field = settings.model_fields[name]
    if field.repr and "Secret" not in str(field.annotation) and value.isprintable() and len(value) < 100:
        assert value in told


@pytest.mark.parametrize("settings", RIGHT)
def test_what_is_missing_is_named_with_what_to_set(settings: type[ServiceSettings]) -> None:
    for name, field in settings.model_fields.items():
        if field.is_required():
            variable = _variable(name)
            for environment in (
                {**RIGHT[settings], variable: ""},
                {k: v for k, v in RIGHT[settings].items() if k != variable},
            ):
                with pytest.raises(SettingsError, match=f"^{variable} is not set: set it to "):
                    settings.read(environment)


@pytest.mark.parametrize("secret", [None, "", "short", "aaaaaaaaaaaaaaaaaaaa"])
def test_a_missing_or_weak_secret_stops_the_start_outside_the_local_run(secret: str | None) -> None:
    environment = RIGHT[GatewaySettings] | ({} if secret is None else {"SOLARIS_GATEWAY_SECRET": secret})
    if secret is None:
        del environment["SOLARIS_GATEWAY_SECRET"]
    with pytest.raises(SettingsError, match=r"^SOLARIS_GATEWAY_SECRET: must have at least 16 characters"):
        GatewaySettings.read(environment)
    local = environment | {"SOLARIS_GATEWAY_KEYS": DEVELOPMENT_KEY}
    GatewaySettings.read(local)
    with pytest.raises(SettingsError, match=r"^SOLARIS_GATEWAY_KEYS: .* SOLARIS_HOST=0\.0\.0\.0"):
        GatewaySettings.read(local | {"SOLARIS_HOST": "0.0.0.0"})


@pytest.mark.parametrize("settings", [GatewaySettings, BillingSettings])
def test_a_key_that_everybody_knows_opens_nothing_to_others(settings: type[ServiceSettings]) -> None:
    environment = RIGHT[settings] | {"SOLARIS_GATEWAY_KEYS": f"sk-of-a-librechat,{DEVELOPMENT_KEY}"}
    settings.read(environment)
    with pytest.raises(SettingsError, match=r"^SOLARIS_GATEWAY_KEYS: .* SOLARIS_HOST=0\.0\.0\.0"):
        settings.read(environment | {"SOLARIS_HOST": "0.0.0.0"})


def test_without_keys_no_service_may_order() -> None:
    nobody = {name: value for name, value in RIGHT[BillingSettings].items() if name != "SOLARIS_GATEWAY_KEYS"}
    assert BillingSettings.read(nobody | {"SOLARIS_HOST": "0.0.0.0"}).service_keys == []


def test_a_near_miss_is_answered_with_what_was_meant() -> None:
    right = RIGHT[LedgerSettings]
    for variable, value, meant in (
        ("TIMEZONE", "America/Sao_paulo", "America/Sao_Paulo"),
        ("LOG_LEVEL", "inf", "info"),
    ):
        with pytest.raises(SettingsError, match=f"did you mean {meant}\\?"):
            LedgerSettings.read(right | {f"SOLARIS_{variable}": value})


def test_the_catalog_and_the_plan_are_named_like_any_setting(tmp_path: Path) -> None:
    catalog = {"SOLARIS_CATALOG": "deploy/catalog.toml"}
    with pytest.raises(CatalogError, match=r"^SOLARIS_DEFAULT_PLAN=bsic: must be one of .*did you mean basic\?$"):
        load_policy(LedgerSettings.read(RIGHT[LedgerSettings] | catalog | {"SOLARIS_DEFAULT_PLAN": "bsic"}))
    broken = tmp_path / "broken.toml"
    broken.write_text("version = 1")
    for path in (tmp_path / "none.toml", broken, tmp_path):
        with pytest.raises(CatalogError, match=f"^SOLARIS_CATALOG={path}: ") as refused:
            load_policy(LedgerSettings.read(RIGHT[LedgerSettings] | {"SOLARIS_CATALOG": str(path)}))
        assert str(refused.value).isprintable()
