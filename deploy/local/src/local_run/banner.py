"""What the local run shows when it is ready: addresses, keys and a first call."""

from urllib.parse import urlsplit

from chassis.setting_types import DEVELOPMENT_KEY

from local_run.addresses import Addresses, local_base_url
from local_run.ports import LOOPBACK
from local_run.services import SERVICES
from local_run.settings import LocalSettings


def first_call(base_url: str, key: str) -> str:
    """A call through the gateway as one line for a shell; `key` may name a variable of that shell."""
    body = '{"model":"demo","messages":[{"role":"user","content":"Olá! Quem é você?"}]}'
    person = "-H 'X-User-Id: ana' -H 'X-User-Email: ana@example.com'"  # the address is where the demo's mails go
    headers = f"-H \"Authorization: Bearer {key}\" {person} -H 'Content-Type: application/json'"
    return f"curl {base_url}/v1/chat/completions {headers} -d '{body}'"


def banner(settings: LocalSettings, addresses: Addresses, folder: str) -> str:
    """The table. A key that the operator chose is not shown; the development key is no secret."""
    ports = addresses.ports
    bases = {service.name: local_base_url(ports[service.name], addresses.host) for service in SERVICES}
    rows = [(service.name, bases[service.name] + service.path, service.note) for service in SERVICES]
    if settings.upstream_url is None:
        rows.append(("upstream", f"{addresses.upstream_url}/v1", "demo models: demo, demo-fast, …"))
    if settings.smtp_url is None:
        rows.append(("mailbox", local_base_url(ports["mailbox"]), f"SMTP on {LOOPBACK}:{ports['smtp']}"))
    rows.append(_stripe_row(settings, addresses))
    for name, outside in (("postgres", settings.database_url), ("nats", settings.nats_url)):
        own = f"{LOOPBACK}:{ports[name]}"
        rows.append((name, own if outside is None else _place_of(outside), "with password: make -s env"))
    is_development = settings.gateway_keys == DEVELOPMENT_KEY
    key = DEVELOPMENT_KEY if is_development else "$SOLARIS_KEY"
    rows.append(("key", key, "local run only" if is_development else "one of your SOLARIS_GATEWAY_KEYS"))
    rows.append(("data", folder, ""))
    name_width = max(len(name) for name, _, _ in rows)
    value_width = max(len(value) for _, value, note in rows if note)
    table = "\n".join(f"  {name:<{name_width}}  {value:<{value_width}}  {note}".rstrip() for name, value, note in rows)
    return f"\n{table}\n\n  {first_call(bases['gateway'], key)}\n"


def _stripe_row(settings: LocalSettings, addresses: Addresses) -> tuple[str, str, str]:
    if addresses.demo_stripe_url is not None:
        return ("stripe", f"{addresses.demo_stripe_url}/demo", "a demo: no real money")
    if settings.stripe_api_key is None:
        return ("stripe", "none", "purchases are off")
    return ("stripe", "api.stripe.com", "with your SOLARIS_STRIPE_API_KEY")


def _place_of(urls: str) -> str:
    """Where servers of others are: what stands before the host may be a password."""
    return ", ".join(urlsplit(url).netloc.rpartition("@")[2] for url in urls.split(","))
