"""Who may say and hear what on NATS: one user per service, written as the server's configuration."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from local_run.parts import Service
from local_run.services import OPERATOR, SERVICES


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsUser:
    """Subjects that one user may publish to and subscribe to; None allows everything."""

    name: str
    publish: tuple[str, ...] | None
    subscribe: tuple[str, ...] | None


def nats_users(services: Sequence[Service]) -> tuple[NatsUser, ...]:
    """The operator, who may everything, and one user per service with what follows from its entry."""
    inboxes = [_inbox(name) for name in (OPERATOR, *(service.name for service in services))]
    return (
        NatsUser(name=OPERATOR, publish=None, subscribe=None),
        *(
            NatsUser(
                name=service.name,
                publish=tuple(dict.fromkeys(_said(service, inboxes))),
                subscribe=(_inbox(service.name), *service.answers, *service.hears),
            )
            for service in services
        ),
    )


def _said(service: Service, inboxes: Iterable[str]) -> Iterator[str]:
    yield from service.publishes
    if service.answers:
        # `allow_responses` instead would make the server keep a note per request.
        yield from ("_INBOX.>", *inboxes)
    if service.gives_up:
        yield "solaris.deadletter.>"
    for stream, consumer in service.consumes:
        yield f"$JS.API.CONSUMER.INFO.{stream}.{consumer}"
        yield f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        yield f"$JS.ACK.{stream}.{consumer}.>"


def _inbox(name: str) -> str:
    """Answers come on a prefix of the asker's own (see `chassis.core_nats`), which nobody else can hear."""
    return f"_INBOX_{name}.>"


USERS: Final = nats_users(SERVICES)


def authorization(users: Iterable[NatsUser], passwords: Mapping[str, str]) -> str:
    """The `authorization` block of the server's configuration; `passwords` by user name."""
    blocks = [_user_block(user, passwords[user.name]) for user in users]
    return "authorization {\n  users: [\n" + "\n".join(blocks) + "\n  ]\n}\n"


def _user_block(user: NatsUser, password: str) -> str:
    permissions = [
        # An empty list would allow everything.
        f"{act}: {{ allow: {json.dumps(subjects)} }}" if subjects else f'{act}: {{ deny: ">" }}'
        for act, subjects in (("publish", user.publish), ("subscribe", user.subscribe))
        if subjects is not None
    ]
    granted = f", permissions: {{ {', '.join(permissions)} }}" if permissions else ""
    return f"    {{ user: {json.dumps(user.name)}, password: {json.dumps(password)}{granted} }}"
