"""Who may say and hear what on NATS: one user per service, written as the server's configuration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts import subjects

OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsUser:
    """Subjects that one user may publish to and subscribe to; None allows everything."""

    name: str
    publish: tuple[str, ...] | None
    subscribe: tuple[str, ...] | None


def _inbox(service: str) -> str:
    """Answers come on a prefix of the service's own (see `chassis.nats`), which no other service can hear."""
    return f"_INBOX_{service}.>"


_DEAD_LETTERS: Final = "solaris.deadletter.>"

USERS: Final = (
    NatsUser(name=OPERATOR, publish=None, subscribe=None),
    NatsUser(
        name="ledger",
        publish=(
            "solaris.ledger.>",
            _DEAD_LETTERS,
            # Answers to requests; `allow_responses` instead would make the server keep a note per request.
            "_INBOX.>",
            *(_inbox(service) for service in ("operator", "gateway", "ledger", "notifier")),
            # Streams and consumers are the ledger's to provision and to look at, not to delete or purge.
            "$JS.API.INFO",
            "$JS.API.STREAM.CREATE.*",
            # What an older release made is to refuse usage when it is full, too.
            f"$JS.API.STREAM.UPDATE.{subjects.USAGE_STREAM}",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.LIST",
            "$JS.API.STREAM.MSG.GET.*",
            "$JS.API.DIRECT.GET.>",
            "$JS.API.CONSUMER.CREATE.>",
            "$JS.API.CONSUMER.DURABLE.CREATE.>",
            "$JS.API.CONSUMER.INFO.>",
            "$JS.API.CONSUMER.NAMES.*",
            "$JS.API.CONSUMER.LIST.*",
            f"$JS.API.CONSUMER.MSG.NEXT.{subjects.USAGE_STREAM}.{subjects.LEDGER_USAGE_CONSUMER}",
            f"$JS.ACK.{subjects.USAGE_STREAM}.{subjects.LEDGER_USAGE_CONSUMER}.>",
        ),
        subscribe=(_inbox("ledger"), "solaris.rpc.ledger.>", "$SRV.>"),
    ),
    NatsUser(
        name="gateway",
        publish=(
            "solaris.usage.>",
            f"{subjects.RESERVE_PREFIX}.*",
            f"{subjects.RESERVE_AGAIN_PREFIX}.*",
            subjects.READ_READY,
            # Whether the stream of usage is still the one that it was.
            f"$JS.API.STREAM.INFO.{subjects.USAGE_STREAM}",
        ),
        subscribe=(_inbox("gateway"),),
    ),
    NatsUser(
        name="notifier",
        publish=(
            _DEAD_LETTERS,
            f"{subjects.READ_PROFILE_PREFIX}.>",
            f"{subjects.READ_BALANCE_PREFIX}.>",
            subjects.READ_READY,
            f"$JS.API.STREAM.INFO.{subjects.LEDGER_STREAM}",
            "$JS.API.STREAM.NAMES",
            f"$JS.API.CONSUMER.INFO.{subjects.LEDGER_STREAM}.{subjects.NOTIFIER_LEDGER_CONSUMER}",
            f"$JS.API.CONSUMER.MSG.NEXT.{subjects.LEDGER_STREAM}.{subjects.NOTIFIER_LEDGER_CONSUMER}",
            f"$JS.ACK.{subjects.LEDGER_STREAM}.{subjects.NOTIFIER_LEDGER_CONSUMER}.>",
        ),
        subscribe=(_inbox("notifier"),),
    ),
)


def authorization(passwords: Mapping[str, str]) -> str:
    """The `authorization` block of the server's configuration, for users that have a password in `passwords`."""
    blocks = [_user_block(user, passwords[user.name]) for user in USERS if user.name in passwords]
    return "authorization {\n  users: [\n" + "\n".join(blocks) + "\n  ]\n}\n"


def _user_block(user: NatsUser, password: str) -> str:
    permissions = []
    if user.publish is not None:
        permissions.append(f"publish: {{ allow: {json.dumps(user.publish)} }}")
    if user.subscribe is not None:
        permissions.append(f"subscribe: {{ allow: {json.dumps(user.subscribe)} }}")
    granted = f", permissions: {{ {', '.join(permissions)} }}" if permissions else ""
    return f"    {{ user: {json.dumps(user.name)}, password: {json.dumps(password)}{granted} }}"
