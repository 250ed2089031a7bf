"""What the local run shows when it is ready: addresses, keys and a first call."""

from typing import Final

from local_run.ports import LOOPBACK
from local_run.services import DEVELOPMENT_KEY, Addresses, local_base_url

_PUBLIC_NAMES: Final = (
    ("gateway", "OpenAI-compatible, /v1"),
    ("ledger", "health, metrics"),
    ("notifier", "health, metrics"),
)


def first_call(port: int, key: str) -> str:
    """A call through the gateway as one line for a shell."""
    body = '{"model":"demo","messages":[{"role":"user","content":"Olá! Quem é você?"}]}'
    headers = f"-H 'Authorization: Bearer {key}' -H 'X-User-Id: ana' -H 'Content-Type: application/json'"
    return f"curl {local_base_url(port)}/v1/chat/completions {headers} -d '{body}'"


def banner(addresses: Addresses, gateway_keys: str, *, has_mailbox: bool, has_upstream: bool, folder: str) -> str:
    """The table. A key that the operator chose is not shown; the development key is no secret."""
    ports = addresses.ports
    first_key = gateway_keys.split(",", maxsplit=1)[0].strip()
    rows = [
        (name, f"{local_base_url(ports[name])}{'/v1' if name == 'gateway' else ''}", note)
        for name, note in _PUBLIC_NAMES
    ]
    if has_upstream:
        rows.append(("upstream", f"{addresses.upstream_url}/v1", "demo models: demo, demo-fast, …"))
    else:
        rows.append(("upstream", "SOLARIS_UPSTREAM_URL", "as the environment says"))
    if has_mailbox:
        rows.append(("mailbox", local_base_url(ports["mailbox"]), f"SMTP on {LOOPBACK}:{ports['smtp']}"))
    rows.append(("postgres", f"{LOOPBACK}:{ports['postgres']}", "URL with password: make -s env"))
    rows.append(("nats", f"{LOOPBACK}:{ports['nats']}", "URL with password: make -s env"))
    shown_key = first_key if first_key == DEVELOPMENT_KEY else "$SOLARIS_KEY"
    rows.append(("key", shown_key, "as your SOLARIS_GATEWAY_KEYS say" if shown_key != first_key else "local run only"))
    rows.append(("data", folder, ""))
    name_width = max(len(name) for name, _, _ in rows)
    value_width = max(len(value) for _, value, _ in rows)
    table = "\n".join(f"  {name:<{name_width}}  {value:<{value_width}}  {note}".rstrip() for name, value, note in rows)
    call = first_call(ports["gateway"], shown_key).replace(
        "'Authorization: Bearer $SOLARIS_KEY'", '"Authorization: Bearer $SOLARIS_KEY"'
    )
    return f"\n{table}\n\n  {call}\n"
